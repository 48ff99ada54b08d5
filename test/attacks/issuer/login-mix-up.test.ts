import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InvitedDesk } from '../../cli/invited-desk.ts';
import type { PlainBrowser } from '../../kit/browser.ts';
import { newKey } from '../../kit/issuer.ts';

const digest = (text: string): string => createHash('sha256').update(text).digest('base64url');

/** An IdP of Eve's, who has the issuer: it sends people on to the real one, with her key's thumbprint as nonce. */
class Relay {
  readonly key = newKey().signer;
  readonly verifier: string = randomBytes(32).toString('base64url');
  /** Codes that the tool brought. */
  readonly codes: string[] = [];
  readonly #server: Server;
  readonly #real: string;
  /** What its discovery says, and where it has the real IdP send people back to. */
  readonly namesItself: boolean;
  readonly callback: (redirectUri: string) => string;

  constructor(real: string, namesItself: boolean, callback: (redirectUri: string) => string) {
    this.#real = real;
    this.namesItself = namesItself;
    this.callback = callback;
    this.#server = createServer((request, response) => {
      const url = new URL(request.url ?? '/', this.issuer);
      if (url.pathname === '/auth') {
        response.writeHead(302, { location: this.#onward(url.searchParams) }).end();
      } else if (url.pathname === '/token') {
        let body = '';
        request.setEncoding('utf8').on('data', (chunk: string) => {
          body += chunk;
        });
        request.on('end', () => {
          this.codes.push(new URLSearchParams(body).get('code') ?? '');
          response.writeHead(400, { 'content-type': 'application/json' }).end('{"error":"invalid_grant"}');
        });
      } else {
        response.setHeader('content-type', 'application/json').end(
          JSON.stringify({
            issuer: this.issuer,
            authorization_endpoint: `${this.issuer}/auth`,
            token_endpoint: `${this.issuer}/token`,
            jwks_uri: `${this.#real}/jwks`,
            authorization_response_iss_parameter_supported: this.namesItself,
          }),
        );
      }
    });
  }

  get issuer(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  #onward(asked: URLSearchParams): string {
    const url = new URL(`${this.#real}/auth`);
    url.search = new URLSearchParams({
      ...Object.fromEntries(asked),
      redirect_uri: this.callback(asked.get('redirect_uri') ?? ''),
      nonce: this.key.publicKey.thumbprint,
      code_challenge: digest(this.verifier),
    }).toString();
    return url.href;
  }

  async start(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

let at: InvitedDesk;
let relay: Relay | undefined;
beforeEach(async () => {
  at = await InvitedDesk.create();
});
afterEach(async () => {
  await relay?.close();
  await at.close();
});

/** Has the command line read another answer than the one that was given. */
function answering(path: string, change: (answer: object) => object): void {
  const options = at.options();
  const { ports } = options;
  if (ports === undefined) throw new Error('desk has no ports');
  const fetch: typeof ports.fetch = async (input, init) => {
    const response = await ports.fetch(input, init);
    const url = input instanceof Request ? input.url : String(input);
    if (!url.endsWith(path)) return response;
    return Response.json(change((await response.json()) as object));
  };
  at.options = () => ({ ...options, ports: { ...ports, fetch } });
}

/** Logs in at the real IdP, which does not say who it is when it sends the browser back. */
async function logIn(browser: PlainBrowser): Promise<void> {
  await browser.submit({ way: 'login' });
  const onward = await fetch(browser.refresh, { redirect: 'manual' });
  const back = new URL(await at.invited.idp.logIn(onward.headers.get('location') ?? '', 'idp-bob'));
  back.searchParams.delete('iss');
  await browser.open(back.href);
}

describe('an issuer that names its own IdP, which sends people on to theirs with a nonce of its own', () => {
  const plain = (redirectUri: string): string => new URL('/callback', redirectUri).href;
  const ofReal = (redirectUri: string): string =>
    new URL(`/callback/${digest(at.invited.idp.issuer)}`, redirectUri).href;
  it.each([
    { says: 'that it names itself', namesItself: true, to: plain },
    { says: 'that it does not name itself', namesItself: false, to: plain },
    { says: 'that it names itself, to the address of the real one', namesItself: true, to: ofReal },
    { says: 'that it does not, to the address of the real one', namesItself: false, to: ofReal },
  ])('gets no code of theirs where it says $says', async ({ namesItself, to }) => {
    relay = await new Relay(at.invited.idp.issuer, namesItself, to).start();
    const bob = await at.invited.provision('bob');
    const url = await at.invitation();
    const { issuer } = relay;
    answering('/activation/look', (looked) => ({
      ...looked,
      login: { ...(looked as { login: object }).login, issuer },
    }));
    let last = '';
    const stopped = at.browse(['--insecure-plaintext-key', 'activate', url], async (browser) => {
      await logIn(browser);
      last = browser.page;
      throw new Error('enough');
    });
    await expect(stopped).rejects.toThrow('enough');
    expect(relay.codes).toEqual([]);
    expect(last).not.toContain('You are confirmed');
    expect(at.invited.world.hosted.log.read(`principal/${bob}`)?.status).toBe('pending');
  });
});

it.each([
  [
    'an IdP in the clear',
    '/activation/look',
    { login: { issuer: 'http://idp.example', audience: 'x', salt: 'x' } },
  ],
  [
    'a log-in page that is a script',
    '/openid-configuration',
    { authorization_endpoint: 'javascript:alert(1)' },
  ],
  ['a log-in page that is a file', '/openid-configuration', { authorization_endpoint: 'file:///etc/passwd' }],
])('nobody is sent to %s', async (_name, path, change) => {
  await at.invited.provision('bob');
  const url = await at.invitation();
  answering(path, (answer) => ({ ...answer, ...change }));
  let page = '';
  const stopped = at.browse(['--insecure-plaintext-key', 'activate', url], async (browser) => {
    await browser.submit({ way: 'login' });
    page = browser.page;
    expect(browser.refresh).toBe('');
    throw new Error('enough');
  });
  await expect(stopped).rejects.toThrow('enough');
  expect(page).toContain('login_refused');
  expect(page).not.toMatch(/idp\.example|javascript:|passwd/u);
});

it('an IdP that does not name itself has an address of its own to send people back to', async () => {
  const { issuer } = at.invited.idp;
  const bob = await at.invited.provision('bob');
  const url = await at.invitation();
  answering('/.well-known/openid-configuration', (discovery) => ({
    ...discovery,
    authorization_response_iss_parameter_supported: false,
  }));
  const { exit } = await at.browse(['--insecure-plaintext-key', 'activate', url], async (browser) => {
    await browser.submit({ way: 'login' });
    const back = new URL(await at.invited.idp.logIn(browser.refresh, 'idp-bob'));
    expect(back.pathname).toBe(`/callback/${digest(issuer)}`);
    back.searchParams.delete('iss');
    await browser.open(back.href);
  });
  expect(exit).toBe(0);
  expect(at.invited.world.hosted.log.read(`principal/${bob}`)?.assurance).toBe('login');
});
