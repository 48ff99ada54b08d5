import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { OutsideIssuer } from './federation.ts';

/** What the server publishes of one key. */
type PublishedJwk = Readonly<Record<string, unknown>>;

/** A local OIDC endpoint in the shape of GitHub's: discovery, and a key set beside it. It gives no tokens: tests sign them. */
export class OutsideServer {
  /** Issuer identifier, without a slash at the end. */
  readonly url: string;
  /** The key set, to be changed at will. */
  keys: readonly PublishedJwk[];
  /** Paths asked for, in order. */
  readonly asked: string[] = [];
  /** What it answers beside discovery and key set, by path. */
  readonly beside: Map<string, RequestListener> = new Map<string, RequestListener>();
  /** Answers in place of all that. */
  answer: RequestListener | undefined;
  readonly #close: () => Promise<void>;

  private constructor(url: string, keys: readonly PublishedJwk[], close: () => Promise<void>) {
    this.url = url;
    this.keys = keys;
    this.#close = close;
  }

  /** @param path of the issuer identifier, like `/realms/corp`. */
  static async start(issuers: readonly OutsideIssuer[], path = ''): Promise<OutsideServer> {
    let started: OutsideServer | undefined;
    const server = createServer((request, response) => {
      if (started === undefined) return;
      started.asked.push(request.url ?? '');
      (started.answer ?? started.#publish)(request, response);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    started = new OutsideServer(
      `http://127.0.0.1:${String(port)}${path}`,
      issuers.map((issuer, index) => published(issuer, `k${index + 1}`)),
      async () => {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      },
    );
    return started;
  }

  get jwksUrl(): string {
    return `${this.url}/.well-known/jwks`;
  }

  async close(): Promise<void> {
    await this.#close();
  }

  readonly #publish: RequestListener = (request, response) => {
    const { pathname } = new URL(this.url);
    const own = (request.url ?? '').slice(pathname === '/' ? 0 : pathname.length);
    const other = this.beside.get(own.split('?', 1)[0] ?? '');
    if (other !== undefined) {
      other(request, response);
      return;
    }
    const body =
      own === '/.well-known/openid-configuration'
        ? { issuer: this.url, jwks_uri: this.jwksUrl, response_types_supported: ['id_token'] }
        : { keys: this.keys };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(body));
  };
}

/** A key as GitHub publishes it. */
export function published({ jwk, kind }: OutsideIssuer, kid: string, use = 'sig'): PublishedJwk {
  return { ...jwk, kid, use, alg: kind };
}
