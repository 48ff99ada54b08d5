import type { WireRequest } from '../access.ts';

/** What `@hono/node-server` leaves in `c.env.incoming`: node's own view of the request, before any clean-up. */
export interface NodeIncoming {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  /** Filled once the content was read. */
  readonly rawTrailers: readonly string[];
}

/** Undefined on other runtimes. */
export function readIncoming(env: unknown): NodeIncoming | undefined {
  if (typeof env !== 'object' || env === null || !('incoming' in env)) return undefined;
  const { incoming } = env;
  return isIncoming(incoming) ? incoming : undefined;
}

function isIncoming(value: unknown): value is NodeIncoming {
  return (
    typeof value === 'object' &&
    value !== null &&
    'url' in value &&
    typeof value.url === 'string' &&
    'method' in value &&
    typeof value.method === 'string' &&
    'rawHeaders' in value &&
    Array.isArray(value.rawHeaders) &&
    'rawTrailers' in value &&
    Array.isArray(value.rawTrailers)
  );
}

/**
 * The request as node received it: `req.headers` would drop a second Authorization or Host. HTTP/2's `:authority`
 * counts as Host; one that differs from a Host field is refused as a repeated field.
 */
export function wireOfNode(
  incoming: Omit<NodeIncoming, 'rawTrailers'>,
  prefix: string,
): Omit<WireRequest, 'body'> {
  const headers: [string, string][] = [];
  let authority: string | undefined;
  for (let index = 0; index + 1 < incoming.rawHeaders.length; index += 2) {
    const name = incoming.rawHeaders[index] ?? '';
    const value = incoming.rawHeaders[index + 1] ?? '';
    if (name === ':authority') authority = value;
    else if (!name.startsWith(':')) headers.push([name, value]);
  }
  if (authority !== undefined && !headers.some(([name, value]) => name === 'host' && value === authority)) {
    headers.push(['host', authority]);
  }
  const target = incoming.url.startsWith('/') ? prefix + incoming.url : incoming.url;
  return { method: incoming.method, target, headers };
}
