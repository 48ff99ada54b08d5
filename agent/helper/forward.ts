import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import { pipeline } from 'node:stream/promises';
import type { HeldEnvelope } from '../envelope.ts';
import { AgentError } from '../errors.ts';
import { parse, reasonOf } from '../http.ts';
import type { AgentParts } from '../parts.ts';
import type { ProofHeaders } from '../prove.ts';
import { type Fields, requestFields, responseFields } from './fields.ts';
import { helperLimits } from './limits.ts';

/** A child's request, read whole, as it goes on to the API. */
interface Outgoing {
  readonly method: string;
  readonly url: URL;
  /** As it stands on the wire; {@link url} parses to the same. */
  readonly target: string;
  readonly fields: Fields;
  readonly body: Buffer;
  readonly signal: AbortSignal;
}

/** An API's answer whose head was read, with what was read of its content already. */
interface Incoming {
  readonly message: IncomingMessage;
  readonly begun: readonly Buffer[];
  /** `code` of a short problem document. */
  readonly code: string | undefined;
}

/**
 * Proves a child's request, sends it to the API and streams the answer back. As `agent.fetch`: sends again, once each, with a
 * new envelope when the policy changed and with the nonce that the API asks for. Redirects are handed back, not followed.
 *
 * @throws {AgentError} `request_not_provable`, `api_unreachable`, and those of the holder.
 */
export async function forward(
  parts: AgentParts,
  handle: { readonly url: URL; readonly target: string },
  request: IncomingMessage,
  body: Buffer,
  response: ServerResponse,
  onProof: (proof: ProofHeaders) => void,
): Promise<void> {
  const abandoned = new AbortController();
  response.once('close', () => abandoned.abort());
  const { method = 'GET', rawHeaders } = request;
  const outgoing = { ...handle, method, body, fields: requestFields(rawHeaders), signal: abandoned.signal };
  const send = async (held: HeldEnvelope): Promise<Incoming> => {
    const proof = parts.prover({ method, url: handle.url, body, headers: joined(outgoing.fields) }, held);
    onProof(proof);
    const incoming = await sendOnce(outgoing, proof);
    parts.nonces.keep(handle.url.origin, new Headers(nonceOf(incoming.message)));
    return incoming;
  };
  let held = await parts.holder.current();
  let incoming = await send(held);
  if (incoming.code === 'policy_superseded') {
    const renewed = await parts.holder.replace(held);
    if (renewed !== undefined) {
      held = renewed;
      incoming = await send(held);
    }
  }
  if (demandsNonce(incoming.message)) {
    incoming.message.resume();
    incoming = await send(held);
  }
  await handBack(incoming, response);
}

function joined(fields: Fields): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(fields).map(([name, values]) => [name, values.join(', ')]));
}

function nonceOf({ headers }: IncomingMessage): Record<string, string> {
  const nonce = headers['dpop-nonce'];
  return typeof nonce === 'string' ? { 'dpop-nonce': nonce } : {};
}

/** RFC 9449 section 9. */
function demandsNonce({ statusCode, headers }: IncomingMessage): boolean {
  const challenge = headers['www-authenticate'] ?? '';
  return (
    statusCode === 401 && /\berror="use_dpop_nonce"/u.test(challenge) && headers['dpop-nonce'] !== undefined
  );
}

async function sendOnce(
  { method, url, target, fields, body, signal }: Outgoing,
  proof: ProofHeaders,
): Promise<Incoming> {
  const hasContent = body.length > 0 || /^(?:POST|PUT|PATCH)$/u.test(method);
  const headers = {
    ...fields,
    host: url.host,
    ...proof,
    ...(hasContent && { 'content-length': String(body.length) }),
  };
  const { request } = url.protocol === 'https:' ? https : http;
  const hostname = url.hostname.replace(/^\[(.*)\]$/u, '$1');
  const port = url.port === '' ? undefined : url.port;
  try {
    const message = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent = request({ method, hostname, port, path: target, headers, signal, agent: false });
      sent.once('response', resolve);
      sent.once('error', reject);
      // All that is heard of an API that switches protocols.
      sent.once('close', () => reject(new Error('closed without an answer')));
      sent.end(body);
    });
    return await lookInto(message);
  } catch {
    throw new AgentError('api_unreachable', `no answer from the API at \`${url.origin}\``);
  }
}

/** Reads a short problem document for its code. What was read is kept, for the child to have. */
async function lookInto(message: IncomingMessage): Promise<Incoming> {
  const { statusCode, headers } = message;
  const isProblem = headers['content-type']?.startsWith('application/problem+json') === true;
  if ((statusCode !== 401 && statusCode !== 403) || !isProblem)
    return { message, begun: [], code: undefined };
  const begun: Buffer[] = [];
  let size = 0;
  for await (const chunk of message.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    begun.push(chunk);
    size += chunk.length;
    if (size > helperLimits.maxProblemBytes) return { message, begun, code: undefined };
  }
  return { message, begun, code: reasonOf(parse(Buffer.concat(begun).toString('utf8'))) };
}

async function handBack({ message, begun }: Incoming, response: ServerResponse): Promise<void> {
  // Parsers take bytes in a reason phrase that writers refuse; nobody reads it.
  const phrase = /^[\x20-\x7e]*$/u.test(message.statusMessage ?? '') ? message.statusMessage : '';
  response.writeHead(message.statusCode ?? 502, phrase, responseFields(message.rawHeaders));
  for (const chunk of begun) response.write(chunk);
  try {
    if (message.readableEnded) response.end();
    else await pipeline(message, response);
  } catch {
    // One side has gone: the other is told by the connection that ends.
    message.destroy();
    response.destroy();
  }
}
