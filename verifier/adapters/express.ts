import type { ServerResponse } from 'node:http';
import { Refusal } from '../errors.ts';
import { type ExpressGuard, type ExpressRequest, holdRoute, requireLeading } from './express-routing.ts';
import { contentOf, firstValues, keepGranted } from './granted.ts';
import { type Decider, decideFound, type HttpOptions, pathOf, problemOf, type RouteRow } from './http.ts';
import { receive, sendAnswer } from './node-request.ts';
import type { Answer } from './problem.ts';
import { compileRoutes } from './routes.ts';

export type { ContentLimits } from './body.ts';
export type { ExpressGuard, ExpressRequest } from './express-routing.ts';
export { granted } from './granted.ts';
export type { AdapterDecision, Decider, HttpOptions, MappedRequest, RouteRow } from './http.ts';
export type { ProtectedResource } from './metadata.ts';
export { refuseUpgrade } from './node.ts';
export type { OwnPages } from './own.ts';
export type { Granted } from './routes.ts';

/** `METHOD /path/:param`, with the paths under which routers are mounted, to what it asks; `'public'` where anyone may call. */
export type ExpressTable = Readonly<Record<string, RouteRow | 'public'>>;

/**
 * One leading middleware for a whole Express 5 app: `app.use(guard(verifier, table))` before every route, router and body
 * parser. The row is matched against the raw path, without Express's folding of case and trailing slash; a route of
 * another pattern, with other parameters or for another method than the row's is refused when Express comes to run it.
 *
 * Handlers get the verified bytes: `request.body` is the parsed JSON, or a `Buffer` of any other content; `request.query` has
 * the first value of each name, as rows read them; `granted(request)` has the grant and all the rest. The stream is at its end.
 *
 * Does NOT tell middleware from handlers: what `app.use` registered runs under any row (docs/spec/http.md section 1).
 *
 * @throws {TypeError} for a malformed row, or two for the same requests; the first request fails where a route, a
 *   router, or a handler that cannot pass on stands before the guard.
 */
export function guard<Grant>(
  verifier: Decider<Grant>,
  table: ExpressTable,
  options: HttpOptions = {},
): ExpressGuard {
  const named = Object.entries(table).map(([name, row]) => [name, { name, row }] as const);
  const match = compileRoutes(Object.fromEntries(named));
  let checked = false;
  const decide = async (request: ExpressRequest, response: ServerResponse): Promise<Answer | undefined> => {
    const received = await receive(request, request.originalUrl, match, options);
    if ('own' in received) return received.own;
    const { found, wire } = received;
    const { name, row } = found.route;
    const outcome = await decideFound(verifier, { row, params: found.params }, wire, options);
    if ('problem' in outcome) return outcome.problem;
    const { mapped, grant } = outcome;
    request.body = contentOf(mapped, wire.headers);
    if (row !== 'public') {
      keepGranted(request, { grant, request: mapped });
      Object.defineProperty(request, 'query', { value: firstValues(mapped.query), writable: true });
    }
    holdRoute(request, { name, path: pathOf(request.originalUrl), params: found.params }, () => {
      const refusal = new Refusal('route_unmapped', 'another route than the row names would run');
      // A handler may have answered and passed on all the same.
      if (!response.headersSent) sendAnswer(request, response, problemOf(refusal, verifier, options));
      return refusal;
    });
    return undefined;
  };
  const middleware: ExpressGuard = async (request, response, next) => {
    let answer: Answer | undefined;
    try {
      if (!checked) requireLeading(request, middleware);
      checked = true;
      answer = await decide(request, response);
    } catch (error) {
      answer = problemOf(error, verifier, options);
    }
    if (answer !== undefined) return sendAnswer(request, response, answer);
    // Outside the try: what a handler throws is the app's own.
    next();
  };
  return middleware;
}
