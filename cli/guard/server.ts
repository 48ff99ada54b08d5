import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Refusal } from '@bulla/verifier';
import { type Answer, acceptStop, problemOf, readCapped } from '@bulla/verifier/adapter';
import { answerAuthzen, authzenMetadata } from './authzen.ts';
import { GuardRefusal } from './codes.ts';
import { answerEnvoy } from './envoy.ts';
import { type JudgeOptions, refused } from './judge.ts';
import { answerNginx } from './nginx.ts';
import { type Asked, headersOf, requireCaller } from './wire.ts';

/** What guard serves. */
export interface GuardServerOptions extends JudgeOptions {
  readonly nginx: boolean;
  readonly envoy: { readonly pathPrefix: string; readonly maxRequestBytes: number } | undefined;
  readonly authzen: { readonly identifier: string } | undefined;
  /** Largest content of a question, bytes. */
  readonly maxBodyBytes: number;
  readonly callerSecret: string | undefined;
  /** What `/.bulla/ready` says; undefined while guard would refuse everything. */
  readonly ready: () => Readonly<Record<string, unknown>> | undefined;
  /** Takes an admin-signed restriction (`bulla stop`). */
  readonly takeStop: (leaf: string) => Promise<void>;
}

/** A client's fields and those of the proxy: 16 KiB, what node takes by itself, are nearly filled by one request of an agent. */
const maxHeaderBytes = 49_152;

/** Guard as an HTTP server that does not listen yet. Nothing it is asked makes it throw. */
export function createGuardServer(options: GuardServerOptions): Server {
  const settings = { maxHeaderSize: maxHeaderBytes, requireHostHeader: false, requestTimeout: 30_000 };
  const server = createServer(settings, (request, response) => {
    serve(options, request, response).catch((error: unknown) => {
      options.onError?.(error);
      response.destroy();
    });
  });
  // An `Upgrade` that nobody listens for is served as a request; the verifier refuses the field.
  return server;
}

async function serve(
  options: GuardServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  let answer: Answer;
  try {
    answer = await answerOf(options, request);
  } catch (error) {
    const judged = error instanceof GuardRefusal ? refused(error) : undefined;
    answer = judged?.problem ?? problemOf(error, options.verifier, options);
  }
  if (response.destroyed) return;
  response.writeHead(answer.status, { ...answer.headers, 'content-length': Buffer.byteLength(answer.body) });
  response.end(answer.body);
}

async function answerOf(options: GuardServerOptions, request: IncomingMessage): Promise<Answer> {
  const { method = '', url: target = '' } = request;
  const own = await answerOwn(options, request);
  if (own !== undefined) return own;
  const headers = headersOf(request);
  const form = formOf(options, `${method} ${target}`);
  if (form === undefined && !isNginx(options, request)) {
    throw new GuardRefusal('guard_path_unknown', 'guard serves nothing here');
  }
  try {
    requireCaller(headers, options.callerSecret);
  } catch (error) {
    // AuthZEN (Sender Authentication Failure) demands 401; for a proxy that would be the client's fault.
    if (target === evaluationPath && error instanceof GuardRefusal) return unauthorized(error);
    throw error;
  }
  // Content that nginx announces to a subrequest never comes: it is not waited for.
  if (form === undefined) return answerNginx(options, headers);
  return form({ method, target, headers, body: await read(request, options.maxBodyBytes) });
}

const evaluationPath = '/access/v1/evaluation';

function unauthorized({ code, message }: GuardRefusal): Answer {
  const headers = { 'content-type': 'text/plain', 'www-authenticate': 'Bulla-Caller-Secret' };
  return { status: 401, headers, body: `${code}: ${message}` };
}

function isNginx({ nginx }: GuardServerOptions, { method, url }: IncomingMessage): boolean {
  return nginx && method === 'GET' && url === '/nginx/auth';
}

function formOf(options: GuardServerOptions, line: string): ((asked: Asked) => Promise<Answer>) | undefined {
  const { envoy, authzen } = options;
  if (authzen !== undefined && line === `POST ${evaluationPath}`) {
    return (asked) => answerAuthzen(options, asked);
  }
  if (envoy !== undefined && line.split(' ')[1]?.startsWith(`${envoy.pathPrefix}/`) === true) {
    return (asked) => answerEnvoy({ ...options, ...envoy }, asked);
  }
  return undefined;
}

async function answerOwn(options: GuardServerOptions, request: IncomingMessage): Promise<Answer | undefined> {
  const json = { 'content-type': 'application/json', 'cache-control': 'no-store' };
  switch (`${request.method} ${request.url}`) {
    case 'GET /.bulla/ready': {
      const ready = options.ready();
      const status = ready === undefined ? 503 : 200;
      return { status, headers: json, body: JSON.stringify({ ready: ready !== undefined, ...ready }) };
    }
    case 'POST /.bulla/stop':
      await acceptStop(streamOf(request), options.takeStop);
      return { status: 204, headers: {}, body: '' };
    case 'GET /.well-known/authzen-configuration':
      if (options.authzen === undefined) return undefined;
      return { status: 200, headers: json, body: authzenMetadata(options.authzen.identifier) };
    default:
      return undefined;
  }
}

function streamOf(request: IncomingMessage): ReadableStream<Uint8Array> {
  return ReadableStream.from(request as AsyncIterable<Uint8Array>);
}

/** @throws {Refusal} `content_too_large`, `content_refused` for trailers, or what ended before its announced length. */
async function read(request: IncomingMessage, maxBodyBytes: number): Promise<Uint8Array> {
  let body: Uint8Array;
  try {
    body = await readCapped(streamOf(request), { maxBodyBytes });
  } catch (cause) {
    if (cause instanceof Refusal) throw cause;
    throw new Refusal('content_refused', 'content ended early', { cause });
  }
  if (request.rawTrailers.length > 0 || !request.complete) {
    throw new Refusal('content_refused', 'content ended early, or in trailers');
  }
  return body;
}
