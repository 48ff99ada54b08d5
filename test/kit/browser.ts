import { observe } from './leaks.ts';

/** A browser with one tab, cookies, no scripts: enough for pages that have none. */
export class PlainBrowser {
  readonly #cookies = new Map<string, string>();
  /** Of the page that is shown. */
  url = '';
  page = '';
  status = 0;

  async open(url: string): Promise<this> {
    return this.#go(url);
  }

  /** Sends the form of the page that is shown, as the button with this value does. */
  async submit(fields: Readonly<Record<string, string>>, origin?: string): Promise<this> {
    const [, action = ''] = /<form[^>]* action="([^"]+)"/u.exec(this.page) ?? [];
    const target = new URL(action, this.url);
    return this.#go(target.href, new URLSearchParams(fields), origin ?? target.origin);
  }

  /** Where the page sends the browser by itself. */
  get refresh(): string {
    const [, url = ''] = /http-equiv="refresh" content="0;url=([^"]+)"/u.exec(this.page) ?? [];
    return url.replaceAll(/&#(\d+);/gu, (_, code: string) => String.fromCharCode(Number(code)));
  }

  /** The text of the page's text area. */
  get area(): string {
    return /<textarea[^>]*>([^<]*)</u.exec(this.page)?.[1] ?? '';
  }

  async #go(url: string, form?: URLSearchParams, origin?: string): Promise<this> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { ...(cookie !== '' && { cookie }), ...(origin !== undefined && { origin }) },
      ...(form !== undefined && { method: 'POST', body: form }),
    });
    for (const set of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/u.exec(set) ?? [];
      this.#cookies.set(name, value);
    }
    const location = response.headers.get('location');
    if (location !== null) return this.#go(new URL(location, url).href);
    this.url = url;
    this.status = response.status;
    this.page = await response.text();
    observe('a page', this.page);
    return this;
  }
}
