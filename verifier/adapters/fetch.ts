import { Refusal } from '../errors.ts';
import type { Grant as VerifiedGrant } from '../grant.ts';
import { announcedLength, readCapped } from './body.ts';
import { responseOf, wireOf } from './fetch-wire.ts';
import {
  type Decider,
  decideFound,
  type HttpOptions,
  type MappedRequest,
  problemOf,
  requireForm,
} from './http.ts';
import { answerOwn } from './own.ts';
import { compileRoutes, type Granted, type GuardedRow, type Match, type PublicRow, rowOf } from './routes.ts';

export type { ContentLimits } from './body.ts';
export type { AdapterDecision, Decider, HttpOptions, MappedRequest, RouteRow } from './http.ts';
export type { ProtectedResource } from './metadata.ts';
export type { OwnPages } from './own.ts';
export type { Granted, GuardedRow, PublicRow } from './routes.ts';

/** A route that is decided before its handler runs. */
export type GuardedRoute<Grant = VerifiedGrant> = GuardedRow<
  (request: Request, granted: Granted<Grant>) => Response | Promise<Response>
>;

/** A route that anyone may call, without envelope and proof. */
export type PublicRoute = PublicRow<
  (request: Request, mapped: MappedRequest) => Response | Promise<Response>
>;

/** `METHOD /path/:param` to route. A literal segment is preferred to a parameter; nothing else matches in part. */
export type FetchRoutes<Grant = VerifiedGrant> = Readonly<Record<string, GuardedRoute<Grant> | PublicRoute>>;

/**
 * A whole API as one `(request) => Response`: what was checked and what runs come from the same row. Everything that has
 * no row is refused, HEAD and OPTIONS too.
 *
 * A Fetch `Request` no longer has the bytes of the wire; the URL it carries is what is verified, and also all that
 * handlers can see. Repeated fields arrive joined by a comma, which envelope, proof and Host refuse.
 *
 * @throws {TypeError} for a malformed row, or two rows for the same requests.
 */
export function guardFetch<Grant>(
  verifier: Decider<Grant>,
  routes: FetchRoutes<Grant>,
  options: HttpOptions = {},
): (request: Request) => Promise<Response> {
  const match = compileRoutes(routes);
  return async (request) => {
    try {
      return await answer(verifier, match, request, options);
    } catch (error) {
      return responseOf(problemOf(error, verifier, options));
    }
  };
}

type Route<Grant> = GuardedRoute<Grant> | PublicRoute;

async function answer<Grant>(
  verifier: Decider<Grant>,
  match: (method: string, path: string) => Match<Route<Grant>>,
  request: Request,
  options: HttpOptions,
): Promise<Response> {
  const { method } = request;
  const wire = wireOf(request, [...request.headers], options.publicPathPrefix ?? '');
  requireForm(wire);
  const { pathname } = new URL(request.url);
  const own = await answerOwn(method, pathname, options, (caps) =>
    readCapped(request.body, { ...options, ...caps }),
  );
  if (own !== undefined) return responseOf(own);
  const { route, params } = match(method, pathname);
  announcedLength(method, wire.headers, options.maxBodyBytes);
  const body = await readCapped(request.body, options);
  const outcome = await decideFound(verifier, { row: rowOf(route), params }, { ...wire, body }, options);
  if ('problem' in outcome) return responseOf(outcome.problem);
  const { mapped, grant } = outcome;
  const handed = body.length === 0 ? request : new Request(request, { method, body });
  if (route.public === true) return route.handler(handed, mapped);
  if (grant === undefined) throw new Refusal('internal_error', 'no grant');
  return route.handler(handed, { grant, request: mapped });
}
