import type { WireRequest } from '../access.ts';
import { Refusal } from '../errors.ts';
import type { Grant as VerifiedGrant } from '../grant.ts';
import { announcedLength, readCapped } from './body.ts';
import {
  type Decider,
  decideRow,
  type HttpOptions,
  type MappedRequest,
  mapRequest,
  problemOf,
  type RouteRow,
} from './http.ts';
import { resourceMetadata, resourceMetadataUrl } from './metadata.ts';
import type { Problem } from './problem.ts';
import { compileRoutes, type Match } from './routes.ts';
import { acceptStop } from './stop.ts';

export type { AdapterDecision, Decider, HttpOptions, MappedRequest, RouteRow } from './http.ts';
export type { ProtectedResource } from './metadata.ts';

/** What a handler gets beside the request: the grant and the very bytes that were verified. */
export interface Granted<Grant = VerifiedGrant> {
  readonly grant: Grant;
  readonly request: MappedRequest;
}

/** A route that is decided before its handler runs. */
export interface GuardedRoute<Grant = VerifiedGrant> extends RouteRow {
  readonly public?: never;
  readonly handler: (request: Request, granted: Granted<Grant>) => Response | Promise<Response>;
}

/** A route that anyone may call, without envelope and proof. */
export interface PublicRoute {
  readonly public: true;
  readonly handler: (request: Request, mapped: MappedRequest) => Response | Promise<Response>;
}

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
  const metadataPath =
    options.protectedResource && resourceMetadataUrl(options.protectedResource.resource).pathname;
  return async (request) => {
    try {
      const { pathname } = new URL(request.url);
      if (options.protectedResource !== undefined && request.method === 'GET' && pathname === metadataPath) {
        return Response.json(JSON.parse(resourceMetadata(options.protectedResource)));
      }
      if (options.stop !== undefined && request.method === 'POST' && pathname === options.stop.path) {
        await acceptStop(request.body, options.stop.accept);
        return new Response(null, { status: 204 });
      }
      return await answer(verifier, match(request.method, pathname), request, options);
    } catch (error) {
      return responseOf(problemOf(error, verifier, options));
    }
  };
}

async function answer<Grant>(
  verifier: Decider<Grant>,
  found: Match<GuardedRoute<Grant> | PublicRoute>,
  request: Request,
  options: HttpOptions,
): Promise<Response> {
  const headers = [...request.headers];
  announcedLength(request.method, headers, options.maxBodyBytes);
  const body = await readCapped(request.body, options.maxBodyBytes);
  const wire = wireOf(request, headers, body, options.publicPathPrefix ?? '');
  const mapped = mapRequest(wire, found.params, found.route.public === true ? {} : found.route);
  const handed = body.length === 0 ? request : new Request(request, { method: request.method, body });
  if (found.route.public === true) return found.route.handler(handed, mapped);
  const outcome = await decideRow(verifier, found.route, mapped, wire, options);
  if ('problem' in outcome) return responseOf(outcome.problem);
  return found.route.handler(handed, { grant: outcome.grant, request: mapped });
}

/** The request as far as a Fetch `Request` still knows it; Host comes from its URL where the field was taken away. */
export function wireOf(
  request: Request,
  headers: readonly (readonly [string, string])[],
  body: Uint8Array,
  prefix: string,
): WireRequest {
  const url = new URL(request.url);
  if (url.username !== '' || url.password !== '') {
    throw new Refusal('request_target_invalid', 'URL carries user information');
  }
  return {
    method: request.method,
    target: prefix + url.pathname + url.search,
    headers: request.headers.has('host') ? headers : [['host', url.host], ...headers],
    body,
  };
}

function responseOf(problem: Problem): Response {
  return new Response(problem.body, { status: problem.status, headers: problem.headers });
}
