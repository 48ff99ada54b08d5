import { Refusal } from '../errors.ts';
import type { Grant as VerifiedGrant } from '../grant.ts';
import type { MappedRequest, RouteRow } from './http.ts';

/** What a handler gets beside the request: the grant and the very bytes that were verified. */
export interface Granted<Grant = VerifiedGrant> {
  readonly grant: Grant;
  readonly request: MappedRequest;
}

/** A route that is decided before its handler runs. */
export interface GuardedRow<Handler> extends RouteRow {
  readonly public?: never;
  readonly handler: Handler;
}

/** A route that anyone may call, without envelope and proof. */
export interface PublicRow<Handler> {
  readonly public: true;
  readonly handler: Handler;
}

/** The row of a route that brings its handler. */
export function rowOf(route: GuardedRow<unknown> | PublicRow<unknown>): RouteRow | 'public' {
  return route.public === true ? 'public' : route;
}

/** A row that was found, with its decoded parameters. */
export interface Match<Row> {
  readonly route: Row;
  readonly params: Readonly<Record<string, string>>;
}

interface Compiled<Row> {
  readonly method: string;
  readonly segments: readonly string[];
  readonly route: Row;
}

const rowName = /^([A-Z][A-Z-]*) (\/[^\s?#]*)$/u;
const parameter = /^:([A-Za-z_][A-Za-z0-9_]*)$/u;

/**
 * A matcher for `METHOD /path/:param` rows. A parameter takes exactly one non-empty segment; where literal and parameter
 * both fit, the literal wins, first segment first. No trailing-slash or case folding.
 *
 * @throws {TypeError} for a malformed name or two rows that match the same requests.
 */
export function compileRoutes<Row>(
  rows: Readonly<Record<string, Row>>,
): (method: string, path: string) => Match<Row> {
  const seen = new Set<string>();
  const compiled = Object.entries(rows).map(([name, route]): Compiled<Row> => {
    const [, method, path] = rowName.exec(name) ?? [];
    if (method === undefined || path === undefined) {
      throw new TypeError(`route \`${name}\` is not \`METHOD /path\``);
    }
    const segments = path.split('/').slice(1);
    if (
      segments.some((segment) => segment.includes('*') || (segment.includes(':') && !parameter.test(segment)))
    ) {
      throw new TypeError(`route \`${name}\`: a segment is either literal or \`:name\``);
    }
    const shape = `${method} ${segments.map((segment) => (parameter.test(segment) ? ':' : segment)).join('/')}`;
    if (seen.has(shape)) throw new TypeError(`route \`${name}\` matches the same requests as another`);
    seen.add(shape);
    return { method, segments, route };
  });
  compiled.sort((a, b) => (specificity(a.segments) < specificity(b.segments) ? -1 : 1));
  return (method, path) => find(compiled, method, path);
}

/** `0` for a literal, `1` for a parameter: in the order of these strings literals come first. */
function specificity(segments: readonly string[]): string {
  return segments.map((segment) => (parameter.test(segment) ? '1' : '0')).join('');
}

function find<Row>(compiled: readonly Compiled<Row>[], method: string, path: string): Match<Row> {
  const segments = path.split('/').slice(1);
  let known = false;
  for (const row of compiled) {
    if (!fits(row.segments, segments)) continue;
    known = true;
    if (row.method === method) return { route: row.route, params: paramsOf(row.segments, segments) };
  }
  if (known) throw new Refusal('route_method_unmapped', 'method has no row for this path');
  throw new Refusal('route_unknown', 'no route');
}

function fits(pattern: readonly string[], segments: readonly string[]): boolean {
  if (pattern.length !== segments.length) return false;
  return pattern.every((part, index) =>
    parameter.test(part) ? segments[index] !== '' : part === segments[index],
  );
}

function paramsOf(pattern: readonly string[], segments: readonly string[]): Record<string, string> {
  const params: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    const name = parameter.exec(part)?.[1];
    if (name === undefined) continue;
    try {
      params[name] = decodeURIComponent(segments[index] ?? '');
    } catch {
      throw new Refusal('route_input_invalid', 'path parameter is not UTF-8');
    }
  }
  return params;
}
