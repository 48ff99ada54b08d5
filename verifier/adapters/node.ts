import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { Refusal } from '../errors.ts';
import type { Grant as VerifiedGrant } from '../grant.ts';
import { type Decider, decideFound, type HttpOptions, type MappedRequest } from './http.ts';
import { listener, receive, sendAnswer } from './node-request.ts';
import { type Answer, problemOfError } from './problem.ts';
import { compileRoutes, type Granted, type GuardedRow, type PublicRow, rowOf } from './routes.ts';

export type { ContentLimits } from './body.ts';
export type { AdapterDecision, Decider, HttpOptions, MappedRequest, RouteRow } from './http.ts';
export type { ProtectedResource } from './metadata.ts';
export type { OwnPages } from './own.ts';
export type { Granted, GuardedRow, PublicRow } from './routes.ts';

/** Runs behind the guard. The content was read: it is in `granted.request`, the stream of `request` is at its end. */
export type NodeHandler<Grant = VerifiedGrant> = (
  request: IncomingMessage,
  response: ServerResponse,
  granted: Granted<Grant>,
) => void | Promise<void>;

/** Runs for anyone. */
export type PublicNodeHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  mapped: MappedRequest,
) => void | Promise<void>;

/** `METHOD /path/:param` to route. A literal segment is preferred to a parameter; nothing else matches in part. */
export type NodeRoutes<Grant = VerifiedGrant> = Readonly<
  Record<string, GuardedRow<NodeHandler<Grant>> | PublicRow<PublicNodeHandler>>
>;

/**
 * A whole API as one listener: `createServer(guardNode(verifier, routes))`. What was checked and what runs come from the
 * same row; what has no row is refused, HEAD and OPTIONS too. A handler that throws is answered with `internal_error`.
 *
 * Does NOT see upgrades where the server has an `upgrade` listener: give it {@link refuseUpgrade} as the only one.
 *
 * @throws {TypeError} for a malformed row, or two rows for the same requests.
 */
export function guardNode<Grant>(
  verifier: Decider<Grant>,
  routes: NodeRoutes<Grant>,
  options: HttpOptions = {},
): (request: IncomingMessage, response: ServerResponse) => void {
  const match = compileRoutes(routes);
  return listener(verifier, options, async (request, response) => {
    const received = await receive(request, request.url ?? '', match, options);
    if ('own' in received) return sendAnswer(request, response, received.own);
    const { route, params } = received.found;
    const outcome = await decideFound(verifier, { row: rowOf(route), params }, received.wire, options);
    if ('problem' in outcome) return sendAnswer(request, response, outcome.problem);
    const { mapped, grant } = outcome;
    if (route.public === true) await route.handler(request, response, mapped);
    else if (grant === undefined) throw new Refusal('internal_error', 'no grant');
    else await route.handler(request, response, { grant, request: mapped });
  });
}

/**
 * For `server.on('upgrade', refuseUpgrade)`: answers a WebSocket or any other upgrade with a problem and closes. An upgraded
 * connection carries messages that no proof covers. Without a listener node hands upgrades to the guard, which refuses them too.
 */
export function refuseUpgrade(_request: IncomingMessage, socket: Duplex): void {
  const refusal = new Refusal('request_field_refused', '`upgrade` is not acceptable here');
  const { status, headers, body }: Answer = problemOfError(refusal, {});
  const fields = { ...headers, 'content-length': String(Buffer.byteLength(body)), connection: 'close' };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.on('error', () => undefined);
  socket.end(`HTTP/1.1 ${String(status)} Bad Request\r\n${lines.join('')}\r\n${body}`);
}
