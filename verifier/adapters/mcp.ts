import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Access, RouteOptions, WireRequest } from '../access.ts';
import { Refusal } from '../errors.ts';
import type { Grant as VerifiedGrant } from '../grant.ts';
import type { JsonObject } from '../json.ts';
import { granted, keepGranted } from './granted.ts';
import { type Decider, decideFound, type HttpOptions, type RouteRow } from './http.ts';
import { type McpMessage, readMessage, readToolCall } from './mcp-message.ts';
import { listener, receive, sendAnswer } from './node-request.ts';
import type { Answer } from './problem.ts';

export type { ContentLimits } from './body.ts';
export type { AdapterDecision, Decider, HttpOptions, MappedRequest, RouteRow } from './http.ts';
export type { ProtectedResource } from './metadata.ts';
export { refuseUpgrade } from './node.ts';
export type { OwnPages } from './own.ts';
export type { Granted } from './routes.ts';

/**
 * One tool, or one method of the protocol: what it asks the policy. `input` is the arguments of the call (the `params` of any
 * other method), parsed once from the verified content; the tool gets the very same object.
 *
 * Map what the policy should know name by name; the schema says which types it has. `input` was not checked by the tool's own
 * schema yet: read it as unknown.
 */
export interface McpRow extends RouteOptions {
  /** Id of a Cedar action of the published schema. */
  readonly action: string;
  readonly resource: (input: JsonObject) => ReturnType<Access['resource']>;
  readonly context?: (input: JsonObject) => ReturnType<NonNullable<Access['context']>>;
  /** The tool declares an `outputSchema`: clients hold structured content against it, so that a denial has none. */
  readonly typedOutput?: true;
}

/** Everything that one MCP endpoint lets through; what is not here is refused. `'public'` where anyone may call. */
export interface McpTable {
  /** Raw path of the endpoint. Default `/mcp`. */
  readonly path?: string;
  /** Tool name to row, for `tools/call`. */
  readonly tools: Readonly<Record<string, McpRow | 'public'>>;
  /** Methods and notifications by name (`initialize`, `ping`, `tools/list`, `notifications/initialized`, …), all but `tools/call`. */
  readonly methods: Readonly<Record<string, McpRow | 'public'>>;
  /** What clients answer to requests of the server. */
  readonly answers?: McpRow | 'public';
  /** GET: the stream of messages from the server. */
  readonly stream?: McpRow | 'public';
  /** DELETE: the end of a session. */
  readonly end?: McpRow | 'public';
}

/** What the guard hands to the transport beside the request. */
export interface McpCall<Grant = VerifiedGrant> {
  /** Absent on public rows. */
  readonly grant: Grant | undefined;
  /** As the client sent it; nothing binds it to the grant: a host that keeps sessions compares whose it is. */
  readonly sessionId: string | undefined;
  /** The whole message, already parsed; absent for GET and DELETE. */
  readonly message: JsonObject | undefined;
}

/** `StreamableHTTPServerTransport` of the MCP SDK, as far as the guard uses it. */
export interface McpTransport {
  handleRequest(
    request: IncomingMessage & { auth?: McpAuthInfo },
    response: ServerResponse,
    message?: unknown,
  ): Promise<void>;
}

/** `AuthInfo` of the MCP SDK: tools find it at `extra.authInfo`, and {@link grantOf} finds the grant in it. */
export interface McpAuthInfo {
  /** Always empty: a tool has no use for the envelope. */
  token: string;
  clientId: string;
  /** The one action that was allowed. */
  scopes: string[];
  /** Unix seconds. */
  expiresAt?: number;
}

interface FoundRow {
  readonly row: McpRow | 'public';
  readonly input: JsonObject;
  readonly call?: McpMessage & { readonly kind: 'call' };
}

/**
 * One MCP endpoint over Streamable HTTP as a listener of `node:http`. Each POST is one message with its own envelope and
 * proof, which binds the content: each tool call is one decision. A policy's no to a tool call is a tool result with `isError`
 * that says what to ask for; everything else that is refused is an HTTP problem, before the transport sees it.
 *
 * @param transportFor The transport that takes an allowed message: a new one each time (stateless), or that of its session.
 * @throws {TypeError} for a table that maps `tools/call` as a method.
 */
export function guardMcp<Grant = VerifiedGrant>(
  verifier: Decider<Grant>,
  table: McpTable,
  transportFor: (call: McpCall<Grant>, response: ServerResponse) => McpTransport | Promise<McpTransport>,
  options: HttpOptions = {},
): (request: IncomingMessage, response: ServerResponse) => void {
  if (Object.hasOwn(table.methods, 'tools/call'))
    throw new TypeError('guardMcp: tools have rows of their own');
  return listener(verifier, options, async (request, response) => {
    const received = await receive(request, request.url ?? '', routeOf(table), options);
    if ('own' in received) return sendAnswer(request, response, received.own);
    const message = request.method === 'POST' ? readMessage(received.wire.body) : undefined;
    const found = findRow(table, request.method ?? '', message);
    const outcome = await decideFound(verifier, { row: rowOf(found), params: {} }, received.wire, options);
    if ('problem' in outcome) return sendAnswer(request, response, deniedOr(outcome.problem, found));
    const { mapped, grant } = outcome;
    const whole = message?.whole;
    const transport = await transportFor(
      { grant, sessionId: sessionOf(received.wire), message: whole },
      response,
    );
    const auth = found.row === 'public' ? undefined : authOf(grant, found.row.action);
    if (auth !== undefined) keepGranted(auth, { grant, request: mapped });
    await transport.handleRequest(
      Object.assign(request, auth === undefined ? {} : { auth }),
      response,
      whole,
    );
  });
}

/**
 * The grant behind a tool call: `grantOf(extra)` in a handler of the MCP SDK.
 *
 * @throws {TypeError} where the guard allowed nothing: the tool is public, or the server is not behind a guard.
 */
export function grantOf(extra: { readonly authInfo?: object | undefined }): VerifiedGrant {
  return granted(extra.authInfo ?? {}).grant;
}

/**
 * An argument that must be there and be a string, for rows: `resource: (args) => ({ type: 'Note', id: textOf(args, 'id') })`.
 *
 * @throws {Refusal} `route_input_invalid`.
 */
export function textOf(input: JsonObject, name: string): string {
  const value = Object.hasOwn(input, name) ? input[name] : undefined;
  if (typeof value !== 'string') throw new Refusal('route_input_invalid', `no text argument \`${name}\``);
  return value;
}

function routeOf({ path = '/mcp', stream, end }: McpTable): (method: string, path: string) => undefined {
  const mapped = new Set([
    'POST',
    ...(stream === undefined ? [] : ['GET']),
    ...(end === undefined ? [] : ['DELETE']),
  ]);
  return (method, asked) => {
    if (asked !== path) throw new Refusal('route_unknown', 'no route');
    if (!mapped.has(method)) throw new Refusal('route_method_unmapped', 'method has no row for this path');
  };
}

function findRow(table: McpTable, method: string, message: McpMessage | undefined): FoundRow {
  const own = { GET: table.stream, DELETE: table.end, POST: table.answers }[method];
  if (message?.kind !== 'call') return { row: required(own, 'answers have no row'), input: {} };
  if (message.method === 'tools/call') {
    const { tool, args } = readToolCall(message);
    const row = Object.hasOwn(table.tools, tool) ? table.tools[tool] : undefined;
    return { row: required(row, 'tool has no row'), input: args, call: message };
  }
  const row = Object.hasOwn(table.methods, message.method) ? table.methods[message.method] : undefined;
  return { row: required(row, 'MCP method has no row'), input: message.params };
}

function required(row: McpRow | 'public' | undefined, message: string): McpRow | 'public' {
  if (row === undefined) throw new Refusal('route_unmapped', message);
  return row;
}

function rowOf({ row, input }: FoundRow): RouteRow | 'public' {
  if (row === 'public') return row;
  const { resource, context, ...rest } = row;
  return {
    ...rest,
    resource: () => resource(input),
    ...(context !== undefined && { context: () => context(input) }),
  };
}

/** The model reads results, not HTTP: a denied call is a result that says so, in the words of the problem. */
function deniedOr(problem: Answer, { row, call }: FoundRow): Answer {
  const said = JSON.parse(problem.body) as JsonObject;
  if (call === undefined || said['code'] !== 'policy_denied') return problem;
  const structured = row !== 'public' && row.typedOutput === true ? {} : { structuredContent: said };
  const result = { isError: true, content: [{ type: 'text', text: problem.body }], ...structured };
  return {
    status: 200,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    body: JSON.stringify({ jsonrpc: '2.0', id: call.id, result }),
  };
}

function sessionOf({ headers }: WireRequest): string | undefined {
  const sent = headers.filter(([name]) => name.toLowerCase() === 'mcp-session-id');
  if (sent.length > 1) throw new Refusal('request_field_repeated', '`mcp-session-id` is repeated');
  return sent[0]?.[1];
}

function authOf(grant: unknown, action: string): McpAuthInfo {
  const { agent, subject, expiresAt } = grant as Partial<VerifiedGrant>;
  return {
    token: '',
    clientId: agent ?? subject ?? '',
    scopes: [action],
    ...(expiresAt !== undefined && { expiresAt }),
  };
}
