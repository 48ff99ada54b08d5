import { AgentError } from '../errors.ts';

/**
 * Hosts (`api.example`, `127.0.0.1:8080`, as in the `host` of a URL) and the origin that each stands for.
 *
 * @throws {AgentError} `config_invalid` where two origins have one host.
 */
export function hostsOf(origins: Iterable<string>): ReadonlyMap<string, string> {
  const hosts = new Map<string, string>();
  for (const origin of origins) {
    const { host } = new URL(origin);
    if (hosts.has(host)) throw new AgentError('config_invalid', `two audiences have the host \`${host}\``);
    hosts.set(host, origin);
  }
  return hosts;
}

/**
 * Reads `/<host>/<path>?<query>`, all raw, as a request to the API of that host. The host is looked up as it stands: no
 * decoding, no case folding, no user part. The target must be one that a URL parser leaves as it is, so that what is proved
 * is what is sent: dot segments, backslashes, fragments and bytes that a URL would escape are refused.
 *
 * @throws {AgentError} `origin_not_allowed`, `request_not_provable`.
 */
export function readHandle(
  rest: string,
  hosts: ReadonlyMap<string, string>,
): { readonly url: URL; readonly target: string } {
  const [, host = '', after = ''] = /^\/([^/?#]*)(.*)$/su.exec(rest) ?? [];
  const origin = hosts.get(host);
  if (origin === undefined) {
    throw new AgentError('origin_not_allowed', 'the handle names no host of the envelope’s audiences');
  }
  const target = after.startsWith('/') ? after : `/${after}`;
  const url = URL.canParse(origin + target) ? new URL(origin + target) : undefined;
  if (url === undefined || url.origin !== origin || url.pathname + url.search !== target || url.hash !== '') {
    throw new AgentError('request_not_provable', 'path or query has a second reading');
  }
  return { url, target };
}
