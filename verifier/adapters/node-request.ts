import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2Stream } from 'node:http2';
import type { Readable } from 'node:stream';
import type { WireRequest } from '../access.ts';
import { Refusal } from '../errors.ts';
import { limits } from '../limits.ts';
import { announcedLength, type ContentLimits, endedEarly, join, tooLarge, tooSlow } from './body.ts';
import { type Decider, type HttpOptions, pathOf, problemOf, requireForm } from './http.ts';
import { wireOfNode } from './node-wire.ts';
import { answerOwn } from './own.ts';
import type { Answer } from './problem.ts';

/** What the guard reads of a request of `node:http`, or of `node:http2` through its compatibility layer. */
export interface NodeRequest extends Readable {
  method?: string | undefined;
  url?: string | undefined;
  readonly rawHeaders: readonly string[];
  /** Not there in requests that test tools make up. */
  readonly rawTrailers?: readonly string[];
  readonly complete: boolean;
  readonly httpVersionMajor: number;
  /** HTTP/2 only. */
  readonly stream?: unknown;
}

/** A request that has a row, with its content; or what the guard itself answers. */
export type Received<Found> =
  | { readonly found: Found; readonly wire: WireRequest }
  | { readonly own: Answer };

/**
 * Takes in a request of node: its form, what the guard serves itself, its row, then its content, in this order.
 *
 * @throws {Refusal} `request_target_invalid`, `request_field_refused`, what `find` throws, `content_too_large`,
 *   `content_refused`, `content_too_slow`, and those of the stop path.
 * @throws {TypeError} where something read the content before.
 */
export async function receive<Found>(
  incoming: NodeRequest,
  target: string,
  find: (method: string, path: string) => Found,
  options: HttpOptions,
): Promise<Received<Found>> {
  const method = incoming.method ?? '';
  const { rawHeaders } = incoming;
  const wire = wireOfNode({ method, url: target, rawHeaders }, options.publicPathPrefix ?? '');
  requireForm(wire);
  const path = pathOf(target);
  const read = (caps: ContentLimits) => readContent(incoming, wire, { ...options, ...caps });
  const own = await answerOwn(method, path, options, read);
  if (own !== undefined) return { own };
  const found = find(method, path);
  return { found, wire: { ...wire, body: await read({}) } };
}

async function readContent(
  incoming: NodeRequest,
  { method, headers }: Omit<WireRequest, 'body'>,
  caps: ContentLimits,
): Promise<Uint8Array> {
  const length = announcedLength(method, headers, caps.maxBodyBytes);
  if (incoming.readableDidRead) throw new TypeError('guard: something read the content before the guard');
  const announced =
    length !== undefined || headers.some(([name]) => name.toLowerCase() === 'transfer-encoding');
  // HTTP/2 announces nothing, and HTTP/1 has no content without one of the two fields.
  if (incoming.httpVersionMajor < 2 && !announced) return new Uint8Array(0);
  const body = await readToEnd(incoming, caps);
  if ((incoming.rawTrailers?.length ?? 0) > 0)
    throw new Refusal('content_refused', 'content ended in trailers');
  if (body.length > 0 && (method === 'GET' || method === 'HEAD')) {
    throw new Refusal('content_refused', 'method carries no content');
  }
  return body;
}

function readToEnd(
  incoming: NodeRequest,
  { maxBodyBytes = limits.defaultMaxBodyBytes, contentSeconds = limits.defaultContentSeconds }: ContentLimits,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    const stop = (): void => {
      clearTimeout(timer);
      incoming.off('data', take).off('end', end).off('close', early).off('error', early);
    };
    const fail = (refusal: Refusal): void => {
      stop();
      incoming.pause();
      // Whoever goes away later is nobody's failure.
      incoming.on('error', () => undefined);
      reject(refusal);
    };
    const take = (chunk: Uint8Array): void => {
      size += chunk.byteLength;
      if (size > maxBodyBytes) fail(tooLarge());
      else chunks.push(chunk);
    };
    const end = (): void => {
      stop();
      resolve(join(chunks, size));
    };
    const early = (): void => fail(endedEarly());
    const timer = setTimeout(() => fail(tooSlow()), contentSeconds * 1000);
    if (incoming.destroyed) early();
    else incoming.on('data', take).on('end', end).on('close', early).on('error', early);
  });
}

/**
 * Makes a listener of something that answers. What it throws is answered with a problem; where an answer has begun, the connection
 * is broken off.
 */
export function listener(
  verifier: Decider<unknown>,
  options: HttpOptions,
  answer: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    answer(request, response).catch((error: unknown) => {
      const problem = problemOf(error, verifier, options);
      if (response.headersSent) response.destroy();
      else sendAnswer(request, response, problem);
    });
  };
}

/** Answers in place of a handler. A connection whose request was not read to its end is of no more use. */
export function sendAnswer(incoming: NodeRequest, response: ServerResponse, answer: Answer): void {
  const { status, headers, body } = answer;
  response.writeHead(status, { ...headers, ...endUnread(incoming) });
  response.end(body);
}

/**
 * Ends what carries a request that was not read to its end once it is answered: the connection, or with HTTP/2 the stream,
 * which would stay open for as long as the client likes, one beside the other.
 *
 * @returns header fields for the answer.
 */
export function endUnread(incoming: NodeRequest): Readonly<Record<string, string>> {
  if (incoming.complete) return {};
  if (incoming.httpVersionMajor < 2) return { connection: 'close' };
  const stream = incoming.stream as Http2Stream | undefined;
  stream?.once('finish', () => stream.close());
  return {};
}
