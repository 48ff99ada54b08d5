import type { Context, Hono, MiddlewareHandler } from 'hono';
import { matchedRoutes } from 'hono/route';
import { findTargetHandler } from 'hono/utils/handler';
import type { WireRequest } from '../access.ts';
import { Refusal } from '../errors.ts';
import type { Grant as VerifiedGrant } from '../grant.ts';
import { limits } from '../limits.ts';
import { announcedLength, type ContentLimits, inTime, readCapped, tooLarge } from './body.ts';
import { responseOf, wireOf } from './fetch-wire.ts';
import {
  type Decider,
  decideFound,
  type FoundRow,
  type HttpOptions,
  problemOf,
  type RouteRow,
  requireForm,
} from './http.ts';
import { type NodeIncoming, readIncoming, wireOfNode } from './node-wire.ts';
import { answerOwn } from './own.ts';
import type { Answer } from './problem.ts';

export type { ContentLimits } from './body.ts';
export type { AdapterDecision, Decider, HttpOptions, MappedRequest, RouteRow } from './http.ts';
export type { ProtectedResource } from './metadata.ts';
export type { OwnPages } from './own.ts';

/** `METHOD /path` exactly as the route was registered, to what it asks; `'public'` where anyone may call. */
export type GuardTable = Readonly<Record<string, RouteRow | 'public'>>;

/** For `new Hono<GuardEnv>()`: behind the guard `c.get('grant')` is the verified grant. */
export interface GuardEnv<Grant = VerifiedGrant> {
  Variables: { grant: Grant };
}

/** What the guard may be told beside its table. */
export interface GuardOptions extends HttpOptions {
  /** With it, the first request fails if a row matches no route of the app, or a handler stands before the guard. */
  readonly app?: Pick<Hono, 'routes'>;
}

/**
 * One leading middleware for a whole Hono app: `app.use(guard(verifier, table))` before the first route. It asks the
 * router which handler will run and refuses before any handler: a handler without a row, a method without a row (HEAD of a
 * GET route too), a handler registered for ALL methods, and a request for which handlers of two different rows could run.
 *
 * A handler that takes `next` may pass the request on; one that does not ends the chain. The content is read once, capped,
 * and `c.req.json()` and the like give exactly the bytes that were verified. On `@hono/node-server` target and fields are taken raw.
 *
 * @throws {TypeError} for a row that is not `METHOD /path`.
 */
export function guard<Grant>(
  verifier: Decider<Grant>,
  table: GuardTable,
  options: GuardOptions = {},
): MiddlewareHandler<GuardEnv<Grant>> {
  const rows = readTable(table);
  let checked = false;
  const middleware: MiddlewareHandler<GuardEnv<Grant>> = async (c, next) => {
    if (!checked && options.app !== undefined) requireRoutes(options.app, rows, middleware);
    checked = true;
    let answer: Answer | undefined;
    try {
      const decided = await decide(verifier, c, rows, options);
      if (!('grant' in decided)) answer = decided;
      else if (decided.grant !== undefined) c.set('grant', decided.grant);
    } catch (error) {
      answer = problemOf(error, verifier, options);
    }
    if (answer !== undefined) return responseOf(answer);
    // Outside the try: what a handler throws is the app's own.
    await next();
    return undefined;
  };
  return middleware;
}

async function decide<Grant>(
  verifier: Decider<Grant>,
  c: Context,
  rows: ReadonlyMap<string, RouteRow | 'public'>,
  options: HttpOptions,
): Promise<Answer | { readonly grant: Grant | undefined }> {
  const incoming = readIncoming(c.env);
  const prefix = options.publicPathPrefix ?? '';
  const wire =
    incoming === undefined ? wireOf(c.req.raw, [...c.req.raw.headers], prefix) : wireOfNode(incoming, prefix);
  requireForm(wire);
  const own = await answerOwn(c.req.method, c.req.path, options, (caps) =>
    readCapped(c.req.raw.body, { ...options, ...caps }),
  );
  if (own !== undefined) return own;
  const found = findRow(c, rows);
  const body = await readBody(c, wire.headers, incoming, options);
  if (incoming !== undefined && incoming.rawTrailers.length > 0) {
    throw new Refusal('content_refused', 'content ended in trailers');
  }
  const outcome = await decideFound(verifier, found, { ...wire, body }, options);
  return 'problem' in outcome ? outcome.problem : outcome;
}

function readTable(table: GuardTable): ReadonlyMap<string, RouteRow | 'public'> {
  for (const name of Object.keys(table)) {
    if (!/^[A-Z][A-Z-]* \/\S*$/u.test(name) || name.startsWith('ALL ')) {
      throw new TypeError(`route \`${name}\` is not \`METHOD /path\``);
    }
  }
  return new Map(Object.entries(table));
}

function requireRoutes(
  app: Pick<Hono, 'routes'>,
  rows: ReadonlyMap<string, unknown>,
  self: MiddlewareHandler,
): void {
  const registered = new Set(app.routes.map((route) => `${route.method} ${route.path}`));
  for (const name of rows.keys()) {
    if (!registered.has(name) && !registered.has(name.replace(/^HEAD /u, 'GET '))) {
      throw new TypeError(`guard: no route \`${name}\``);
    }
  }
  const own = app.routes.findIndex((route) => route.handler === self);
  const before = app.routes.slice(0, Math.max(own, 0)).find((route) => !mayPassOn(route));
  if (own < 0 || before !== undefined) {
    throw new TypeError('guard: must be registered on this app, before every handler');
  }
}

/**
 * Hono has one kind of handler; only one that takes `next` can be a middleware. Handlers of a sub-app that has an `onError` of
 * its own arrive wrapped in a function that always takes `next`: what counts is the one inside.
 */
function mayPassOn(route: { readonly handler: Parameters<typeof findTargetHandler>[0] }): boolean {
  return findTargetHandler(route.handler).length >= 2;
}

/** The row of the one route that will run, and the parameters that its handler will see. */
function findRow(c: Context, rows: ReadonlyMap<string, RouteRow | 'public'>): FoundRow {
  const found = new Map<string, number>();
  let others = false;
  for (const [index, route] of matchedRoutes(c).entries()) {
    if (index <= c.req.routeIndex) continue;
    if (route.method === 'ALL') {
      if (mayPassOn(route)) continue;
      throw new Refusal('route_unmapped', 'handler for all methods would run');
    }
    others ||= route.method !== c.req.method;
    found.set(`${c.req.method} ${route.path}`, index);
    if (!mayPassOn(route)) break;
  }
  const [first, second] = [...found];
  if (first === undefined) throw new Refusal('route_unknown', 'no route');
  if (second !== undefined) throw new Refusal('route_unmapped', 'handlers of more than one route would run');
  const [name, index] = first;
  const row = rows.get(name);
  if (row === undefined) {
    throw new Refusal(others ? 'route_method_unmapped' : 'route_unmapped', 'route has no row');
  }
  return { row, params: paramsAt(c, index) };
}

function paramsAt(c: Context, index: number): Record<string, string> {
  const own = c.req.routeIndex;
  c.req.routeIndex = index;
  try {
    return c.req.param();
  } finally {
    c.req.routeIndex = own;
  }
}

/** Reads the content once and leaves it where `c.req.json()` and the like look first. */
async function readBody(
  c: Context,
  headers: WireRequest['headers'],
  incoming: NodeIncoming | undefined,
  options: ContentLimits,
): Promise<Uint8Array> {
  const cap = options.maxBodyBytes ?? limits.defaultMaxBodyBytes;
  const length = announcedLength(c.req.method, headers, cap);
  if (c.req.method === 'GET' || c.req.method === 'HEAD' || length === 0) return new Uint8Array(0);
  if (length !== undefined && incoming !== undefined) {
    const body = new Uint8Array(await inTime(c.req.arrayBuffer(), options.contentSeconds));
    if (body.length > cap) throw tooLarge();
    return body;
  }
  const body = await readCapped(c.req.raw.body, options);
  Object.assign(c.req.bodyCache, { arrayBuffer: Promise.resolve(body.buffer) });
  return body;
}
