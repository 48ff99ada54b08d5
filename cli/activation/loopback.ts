import { randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { contentSecurityPolicy } from './page.ts';

/** A request of the browser that this process opened; strangers' never get here. */
export interface PageRequest {
  readonly method: 'GET' | 'POST';
  readonly url: URL;
  /** Fields of the form, for `POST`. */
  readonly form: URLSearchParams;
}

/** Answers with a whole HTML page; undefined where there is none at this path. */
export type PageHandler = (request: PageRequest) => Promise<string | undefined>;

/** A small server on 127.0.0.1 for one browser, as long as a command runs. */
export interface LoopbackPage {
  /** Opens the pages once: whoever comes first with it is the browser that is answered from then on. */
  readonly url: string;
  /** Where an IdP sends the browser back to (RFC 8252 section 7.3). */
  readonly redirectUri: string;
  close(): Promise<void>;
}

const maxFormBytes = 8192;

/**
 * Serves pages to the browser of whoever runs the command, on a free port of the loopback.
 *
 * Against the other programs and people of the machine, and against pages in the same browser: the first address has a
 * random path that works once and turns into a cookie without which nothing is answered; `Host` must be the address
 * itself (DNS rebinding); `Origin` of a form must be ours. No page of it runs a script or loads anything.
 */
export async function serveLoopback(handle: PageHandler): Promise<LoopbackPage> {
  const ticket = randomBytes(32).toString('base64url');
  const secret = randomBytes(32).toString('base64url');
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const gate = { host, ticket, cookie: `bulla-${host.split(':')[1] ?? ''}=${secret}`, open: true };
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    void answer(request, response, gate, handle);
  });
  return {
    url: `http://${host}/${ticket}`,
    redirectUri: `http://${host}/callback`,
    close: () => close(server),
  };
}

interface Gate {
  readonly host: string;
  readonly ticket: string;
  readonly cookie: string;
  /** Whether the ticket is unused. */
  open: boolean;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  gate: Gate,
  handle: PageHandler,
): Promise<void> {
  response.setHeader('Cache-Control', 'no-store');
  response.setHeader('Referrer-Policy', 'same-origin');
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Content-Security-Policy', contentSecurityPolicy);
  const end = (status: number, body = ''): void => {
    response.writeHead(status, { 'Content-Type': 'text/html; charset=utf-8' }).end(body);
  };
  try {
    const { method, headers } = request;
    if (headers.host !== gate.host || (method !== 'GET' && method !== 'POST')) return end(403);
    const url = new URL(request.url ?? '/', `http://${gate.host}`);
    if (method === 'GET' && gate.open && same(url.pathname, `/${gate.ticket}`)) {
      gate.open = false;
      response.setHeader('Set-Cookie', `${gate.cookie}; HttpOnly; SameSite=Lax; Path=/`);
      response.setHeader('Location', '/');
      return end(303);
    }
    const cookies = (headers.cookie ?? '').split(/; */u);
    if (!cookies.some((cookie) => same(cookie, gate.cookie))) return end(403);
    if (method === 'POST' && headers.origin !== `http://${gate.host}`) return end(403);
    const form = method === 'POST' ? await readForm(request) : new URLSearchParams();
    if (form === undefined) return end(413);
    const page = await handle({ method, url, form });
    return page === undefined ? end(404) : end(200, page);
  } catch {
    return end(500);
  }
}

function same(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxFormBytes) return undefined;
    chunks.push(chunk);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
}

/** What is being answered is answered: the last page says how it went. */
async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), 1000);
  await closed;
  clearTimeout(timer);
}
