import { hash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { AgentError } from '../errors.ts';

/** What a request has to know and to look like before the helper reads on. */
export interface Door {
  /** The one value that `Host` may have; undefined on a Unix socket, which no browser reaches. */
  readonly host: string | undefined;
  /** Of this run, unguessable. */
  readonly token: string;
}

const digest = (text: string): Buffer => Buffer.from(hash('sha256', text, 'hex'), 'hex');

/** Fields that browsers add by themselves and pages cannot leave out. Node's `fetch` sends `sec-fetch-mode`, but not these. */
const browserFields = ['origin', 'sec-fetch-site', 'access-control-request-method'];

/**
 * Lets a request in: the host of this helper (against DNS rebinding), nothing that only browsers send, no upgrade, and the
 * token of this run as the first segment of an origin-form target.
 *
 * @returns the rest of the target, raw, from the `/` behind the token.
 * @throws {AgentError} `helper_host_wrong`, `helper_browser_refused`, `helper_request_invalid`, `helper_not_found`.
 */
export function enter(request: IncomingMessage, { host, token }: Door): string {
  const hosts = valuesOf(request, 'host');
  if (host !== undefined && (hosts.length !== 1 || hosts[0] !== host)) {
    throw new AgentError('helper_host_wrong', 'the request is for another host');
  }
  if (browserFields.some((name) => request.headers[name] !== undefined)) {
    throw new AgentError('helper_browser_refused', 'pages of a browser are not served here');
  }
  if (request.headers.upgrade !== undefined || !/^[A-Z][A-Z-]{0,31}$/u.test(request.method ?? '')) {
    throw new AgentError('helper_request_invalid', 'neither upgrades nor unusual methods are taken');
  }
  const [, given = '', rest = ''] = /^\/([^/?#]*)(.*)$/su.exec(request.url ?? '') ?? [];
  if (!timingSafeEqual(digest(given), digest(token)) || !rest.startsWith('/')) {
    throw new AgentError('helper_not_found', 'no such handle');
  }
  return rest;
}

function valuesOf({ rawHeaders }: IncomingMessage, name: string): string[] {
  return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name);
}
