import type { Grant as VerifiedGrant } from '../grant.ts';
import type { MappedRequest } from './http.ts';
import type { Granted } from './routes.ts';

const verified = new WeakMap<object, Granted<unknown>>();

/** Keeps what was verified for the handlers of this very request. */
export function keepGranted(request: object, what: Granted<unknown>): void {
  verified.set(request, what);
}

/**
 * What the guard verified of this request: the grant, and path, parameters, query and content as the row saw them.
 *
 * @throws {TypeError} where the guard allowed nothing: on a public row, or without a guard.
 */
export function granted<Grant = VerifiedGrant>(request: object): Granted<Grant> {
  const found = verified.get(request);
  if (found === undefined) throw new TypeError('granted: no guard allowed this request');
  return found as Granted<Grant>;
}

/** The first value of each name, which is what a row reads: a second one must not be what a handler acts on. */
export function firstValues(query: URLSearchParams): Record<string, string> {
  const values = Object.create(null) as Record<string, string>;
  for (const [name, value] of query) values[name] ??= value;
  return values;
}

const jsonType = /^application\/(?:[a-z0-9!#$&^_.+-]+\+)?json[\t ]*(?:;|$)/iu;

/** The content for `request.body`: parsed where it says it is JSON, else its bytes; undefined where there is none. @throws {Refusal} `route_input_invalid`. */
export function contentOf(mapped: MappedRequest, headers: readonly (readonly [string, string])[]): unknown {
  if (mapped.body.length === 0) return undefined;
  const type = headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? '';
  return jsonType.test(type)
    ? mapped.json()
    : Buffer.from(mapped.body.buffer, mapped.body.byteOffset, mapped.body.length);
}
