import type { WireRequest } from '../access.ts';
import { Refusal } from '../errors.ts';
import type { Answer } from './problem.ts';

/** The request as far as a Fetch `Request` still knows it; Host comes from its URL where the field was taken away. */
export function wireOf(
  request: Request,
  headers: WireRequest['headers'],
  prefix: string,
): Omit<WireRequest, 'body'> {
  const url = new URL(request.url);
  if (url.username !== '' || url.password !== '') {
    throw new Refusal('request_target_invalid', 'URL carries user information');
  }
  return {
    method: request.method,
    target: prefix + url.pathname + url.search,
    headers: request.headers.has('host') ? headers : [['host', url.host], ...headers],
  };
}

/** An answer as a Fetch `Response`. */
export function responseOf({ status, headers, body }: Answer): Response {
  return new Response(status === 204 ? null : body, { status, headers });
}
