import { Readable } from 'node:stream';
import { Refusal } from '../errors.ts';
import type { Grant as VerifiedGrant } from '../grant.ts';
import { firstValues, keepGranted } from './granted.ts';
import {
  type Decider,
  decideFound,
  type FoundRow,
  type HttpOptions,
  problemOf,
  type RouteRow,
} from './http.ts';
import { endUnread, type NodeRequest, receive } from './node-request.ts';
import type { Answer } from './problem.ts';

export type { ContentLimits } from './body.ts';
export { granted } from './granted.ts';
export type { AdapterDecision, Decider, HttpOptions, MappedRequest, RouteRow } from './http.ts';
export type { ProtectedResource } from './metadata.ts';
export { refuseUpgrade } from './node.ts';
export type { OwnPages } from './own.ts';
export type { Granted } from './routes.ts';

/** `METHOD /path` exactly as the route was registered, prefixes included, to what it asks; `'public'` where anyone may call. */
export type FastifyTable = Readonly<Record<string, RouteRow | 'public'>>;

/** What the guard uses of Fastify's request. */
export interface FastifyRequest<Grant = VerifiedGrant> {
  readonly raw: NodeRequest;
  readonly originalUrl: string;
  readonly method: string;
  readonly is404: boolean;
  readonly routeOptions: { readonly url?: string | undefined };
  readonly params: unknown;
  query: unknown;
  grant?: Grant;
}

/** What the guard uses of Fastify's reply. */
export interface FastifyReply {
  code(status: number): FastifyReply;
  headers(headers: Record<string, string>): FastifyReply;
  send(body: string): FastifyReply;
}

/** What the guard uses of a Fastify instance. */
export interface FastifyApp {
  printRoutes(): string;
  hasRoute(route: { method: string; url: string }): boolean;
  decorateRequest(name: string, value: null): unknown;
  addHook(name: 'onReady', hook: () => Promise<void>): unknown;
  addHook(name: 'onRoute', hook: (route: { method: string | string[]; url: string }) => void): unknown;
  addHook(
    name: 'onRequest',
    hook: (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>,
  ): unknown;
  addHook(
    name: 'preParsing',
    hook: (request: FastifyRequest, reply: FastifyReply, payload: Readable) => Promise<Readable | undefined>,
  ): unknown;
}

/**
 * A plugin for a whole Fastify 5 app: `await app.register(guard(verifier, table))` before the first route and plugin. It
 * decides in the first hook of a request, for the route that Fastify's own router chose, automatic HEAD routes and the 404
 * handler included, so before any parser, validation, hook or handler of the app.
 *
 * Handlers find the grant at `request.grant`, all that was verified at `granted(request)`; `request.body` is parsed from the
 * verified bytes; `request.query` has the first value of each name, as rows read them.
 *
 * @throws {TypeError} for a row that is not `METHOD /path`. `ready` fails where the guard is not on the root instance, where a
 *   route was registered before it, and where a row matches no route.
 */
export function guard<Grant>(
  verifier: Decider<Grant>,
  table: FastifyTable,
  options: HttpOptions = {},
): (app: FastifyApp) => Promise<void> {
  for (const name of Object.keys(table)) {
    if (!/^[A-Z][A-Z-]* \/?\S*$/u.test(name))
      throw new TypeError(`route \`${name}\` is not \`METHOD /path\``);
  }
  const contents = new WeakMap<FastifyRequest, Uint8Array>();
  const decide = async (request: FastifyRequest): Promise<Answer | undefined> => {
    const find = (): FoundRow => findRow(request, table);
    const received = await receive(request.raw, request.originalUrl, find, options);
    if ('own' in received) return received.own;
    const { found, wire } = received;
    const outcome = await decideFound(verifier, found, wire, options);
    if ('problem' in outcome) return outcome.problem;
    contents.set(request, wire.body);
    if (found.row === 'public') return undefined;
    const { grant, mapped } = outcome;
    keepGranted(request, { grant, request: mapped });
    Object.assign(request, { grant, query: firstValues(mapped.query) });
    return undefined;
  };
  const plugin = async (app: FastifyApp): Promise<void> => {
    requireFirst(app);
    app.decorateRequest('grant', null);
    app.addHook('onRequest', async (request, reply) => {
      let answer: Answer | undefined;
      try {
        answer = await decide(request);
      } catch (error) {
        answer = problemOf(error, verifier, options);
      }
      if (answer === undefined) return undefined;
      return reply
        .code(answer.status)
        .headers({ ...answer.headers, ...endUnread(request.raw) })
        .send(answer.body);
    });
    app.addHook('preParsing', async (request) => payloadOf(contents.get(request)));
    app.addHook('onRoute', requireOnce());
    app.addHook('onReady', async () => requireRoutes(app, table));
  };
  return Object.assign(plugin, { [Symbol.for('skip-override')]: true });
}

/** Hooks reach routes of this instance and of those made from it later, and no others. */
function requireFirst(app: FastifyApp): void {
  if (!Object.hasOwn(app, 'listen')) throw new TypeError('guard: must be registered on the root instance');
  if (!app.printRoutes().startsWith('(empty tree)')) {
    throw new TypeError('guard: `await app.register(guard(…))` before the first route');
  }
}

/** Constraints (host, version) let two handlers have one method and URL; a row cannot say which it means. */
function requireOnce(): (route: { method: string | string[]; url: string }) => void {
  const seen = new Set<string>();
  return ({ method, url }) => {
    for (const one of [method].flat()) {
      if (seen.has(`${one} ${url}`)) throw new TypeError(`guard: two routes \`${one} ${url}\``);
      seen.add(`${one} ${url}`);
    }
  };
}

function requireRoutes(app: FastifyApp, table: FastifyTable): void {
  for (const name of Object.keys(table)) {
    const [method = '', url = ''] = name.split(' ');
    if (!app.hasRoute({ method, url })) throw new TypeError(`guard: no route \`${name}\``);
  }
}

function findRow(request: FastifyRequest, table: FastifyTable): FoundRow {
  const { is404, method, routeOptions } = request;
  const params = { ...(request.params as Record<string, string>) };
  // Fastify takes `/orders/` for `/orders/:id` with an empty id.
  const empty = Object.entries(params).some(([name, value]) => value === '' && name !== '*');
  if (is404 || empty || routeOptions.url === undefined) throw new Refusal('route_unknown', 'no route');
  const name = `${method} ${routeOptions.url}`;
  const row = Object.hasOwn(table, name) ? table[name] : undefined;
  if (row !== undefined) return { row, params };
  const others = Object.keys(table).some((other) => other.endsWith(` ${routeOptions.url ?? ''}`));
  throw new Refusal(others ? 'route_method_unmapped' : 'route_unmapped', 'route has no row');
}

/** Whatever parses the content reads what was verified. Empty content too: on a stream that has ended, parsers wait for ever. */
function payloadOf(content: Uint8Array | undefined): Readable | undefined {
  if (content === undefined) return undefined;
  const payload = Readable.from(content.length === 0 ? [] : [content], { objectMode: false });
  return Object.assign(payload, { receivedEncodedLength: content.length });
}
