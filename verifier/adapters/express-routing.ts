import type { ServerResponse } from 'node:http';
import type { Refusal } from '../errors.ts';
import type { NodeRequest } from './node-request.ts';

/** What the guard uses of Express's request. */
export interface ExpressRequest extends NodeRequest {
  readonly originalUrl: string;
  baseUrl: string;
  readonly app: unknown;
  readonly params: Readonly<Record<string, unknown>>;
  body?: unknown;
}

/** The middleware that `guard` makes. */
export type ExpressGuard = (
  request: ExpressRequest,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => Promise<void>;

interface Layer {
  readonly route?: unknown;
  readonly handle: { readonly name: string; readonly length: number; readonly stack?: unknown };
}

const parsers = new Set(['jsonParser', 'rawParser', 'textParser', 'urlencodedParser']);

/**
 * What stands before the guard runs for everyone, and a parser there takes the content away.
 *
 * @throws {TypeError} where the guard was not registered on the app itself, for all paths, before every route, router,
 *   parser, and handler that cannot pass on.
 */
export function requireLeading(request: ExpressRequest, self: ExpressGuard): void {
  const stack = stackOf(request.app);
  const own = stack.findIndex((layer) => (layer.handle as unknown) === self);
  if (own < 0 || request.baseUrl !== '') {
    throw new TypeError('guard: must be registered on the app itself, for all paths');
  }
  if (request.url !== request.originalUrl)
    throw new TypeError('guard: the URL was rewritten before the guard');
  if (stack.slice(0, own).some(standsInTheWay)) {
    throw new TypeError('guard: must be registered before every route, router, handler and body parser');
  }
}

function stackOf(app: unknown): readonly Layer[] {
  const { router } = app as { readonly router?: { readonly stack?: unknown } };
  if (!Array.isArray(router?.stack)) throw new TypeError('guard: not an Express 5 app');
  return router.stack as readonly Layer[];
}

/** Express wraps an app that is mounted in a function of this name. */
function standsInTheWay({ route, handle }: Layer): boolean {
  if (route !== undefined || Array.isArray(handle.stack) || handle.name === 'mounted_app') return true;
  return handle.length < 3 || parsers.has(handle.name);
}

/** The row that was decided. */
interface Decided {
  /** `METHOD /path/:param`. */
  readonly name: string;
  /** Raw, as sent. */
  readonly path: string;
  readonly params: Readonly<Record<string, string>>;
}

/**
 * Lets no other route run than the one that the row names. Express's router sets `request.route` when it has chosen a
 * route, and the route sets it once more, to itself, right before its handlers. Only the second time may be thrown:
 * outside of a handler's call Express catches nothing.
 *
 * @param refuse Answers the request; what it returns is thrown.
 */
export function holdRoute(request: ExpressRequest, decided: Decided, refuse: () => Refusal): void {
  const mounted = watchMounts(request);
  let chosen: unknown;
  let refusal: Refusal | undefined;
  Object.defineProperty(request, 'route', {
    enumerable: true,
    get: () => chosen,
    set: (route: unknown) => {
      const runs = route === chosen;
      chosen = route;
      if (!isNamed(request, route, decided, mounted()) || (runs && !hasParams(request.params, decided)))
        refusal ??= refuse();
      if (runs && refusal !== undefined) throw refusal;
    },
  });
}

type Params = ExpressRequest['params'];

/**
 * Remembers with which parameters each mount was entered: where a router is mounted, nothing else tells `/:tenant` from
 * `/admin`. Express's router sets `params` to those of the mount, then makes `baseUrl` longer.
 *
 * @returns the parameters of all mounts that the request is inside of.
 */
function watchMounts(request: ExpressRequest): () => Params {
  const entered = new Map<string, { readonly outer: string; readonly params: Params }>();
  let base: string | undefined = request.baseUrl;
  Object.defineProperty(request, 'baseUrl', {
    enumerable: true,
    get: () => base,
    set: (next: string | undefined) => {
      // When a router is left it is shortened again, and at last taken away, with whatever parameters stand there then.
      const [outer, inner] = [base ?? '', next ?? ''];
      if (inner.length > outer.length) entered.set(inner, { outer, params: request.params });
      base = next;
    },
  });
  return () => {
    const all: Record<string, unknown> = {};
    let mount = entered.get(base ?? '');
    for (; mount !== undefined; mount = entered.get(mount.outer)) Object.assign(all, mount.params);
    return all;
  };
}

function isNamed(request: ExpressRequest, route: unknown, decided: Decided, mounted: Params): boolean {
  const { name, path } = decided;
  const [method, pattern = ''] = name.split(' ');
  if (request.method !== method) return false;
  // What the mounts took away is raw text, and not of another path.
  const base = segmentsOf(request.baseUrl);
  const raw = segmentsOf(path);
  if (!base.every((segment, index) => segment === raw[index])) return false;
  const named = segmentsOf(pattern);
  const names = named.slice(0, base.length).filter((segment) => segment.startsWith(':'));
  const own = Object.keys(mounted).map((each) => `:${each}`);
  if (names.length !== own.length || !names.every((each) => own.includes(each))) return false;
  if (!hasParams(mounted, decided)) return false;
  const rest = named.slice(base.length);
  const { path: patterns } = route as { readonly path: unknown };
  const paths: readonly unknown[] = Array.isArray(patterns) ? patterns : [patterns];
  return paths.some((one) => typeof one === 'string' && isSame(rest, one));
}

function segmentsOf(path: string): string[] {
  return path.split('/').slice(1);
}

/** `/` in a router is the whole path of its mount. */
function isSame(rest: readonly string[], path: string): boolean {
  if (rest.length === 0) return path === '/';
  const own = segmentsOf(path);
  return rest.length === own.length && rest.every((part, index) => part === own[index]);
}

/** A URL or method that was rewritten behind the guard leads to the same pattern with other parameters. */
function hasParams(own: Params, { params }: Decided): boolean {
  return Object.entries(own).every(([name, value]) => params[name] === value);
}
