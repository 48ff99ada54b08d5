import { type PublicJwk, parsePublicJwk, Refusal } from '@bulla/verifier';
import {
  type AuthorizationDetail,
  decodeBase64url,
  inspect,
  isJsonObject,
  type Json,
  type JsonObject,
  narrowTo,
  parseAuthorizationDetails,
  parseJsonObject,
  signBlock,
} from '@bulla/verifier/envelope';
import { AgentError } from '../errors.ts';
import type { AgentParts } from '../parts.ts';
import { type ProofHeaders, type RequestToProve, requireAllowedOrigin } from '../prove.ts';

const invalid = (message: string): AgentError => new AgentError('helper_request_invalid', message);

/**
 * Answers `POST /<token>/prove`: header fields for one request that the child sends itself, to the same origins as a handle.
 *
 * @throws {AgentError} `helper_request_invalid`, `origin_not_allowed`, `request_not_provable`, and those of the holder.
 */
export async function proveFor(parts: AgentParts, document: Buffer): Promise<ProofHeaders> {
  const request = readRequestToProve(readDocument(document));
  requireAllowedOrigin(parts.config, request.url);
  return parts.prover(request, await parts.holder.current());
}

function readRequestToProve(document: JsonObject): RequestToProve {
  const { method, url, body, body_base64url: bytes, headers, ...unknown } = document;
  if (Object.keys(unknown).length > 0) throw invalid('unknown member');
  if (typeof method !== 'string' || typeof url !== 'string') throw invalid('`method` or `url` is missing');
  if (!/^[A-Z][A-Z-]{0,31}$/u.test(method)) throw invalid('`method` is not a method');
  if (body !== undefined && bytes !== undefined) throw invalid('`body` and `body_base64url` are both there');
  if (body !== undefined && typeof body !== 'string') throw invalid('`body` is not text');
  return {
    method,
    url,
    ...(body !== undefined && { body }),
    ...(bytes !== undefined && { body: readBytes(bytes) }),
    ...(headers !== undefined && { headers: readFields(headers) }),
  };
}

function readBytes(value: unknown): Buffer {
  if (typeof value !== 'string') throw invalid('`body_base64url` is not text');
  return malformed(() => decodeBase64url(value));
}

function readFields(value: unknown): Readonly<Record<string, string>> {
  if (!isJsonObject(value) || Object.values(value).some((each) => typeof each !== 'string')) {
    throw invalid('`headers` is not an object of texts');
  }
  return value as Readonly<Record<string, string>>;
}

/**
 * Answers `POST /<token>/delegate`: the envelope with one more block, which names the asker's key and takes away whatever
 * was not asked for. The signatures are the asker's to make: no key travels.
 *
 * Does NOT hold what is asked against a schema: an API refuses names that its policy set does not know.
 *
 * @throws {AgentError} `helper_request_invalid`, `envelope_sealed`, and those of the holder.
 */
export async function delegateTo(
  { config, holder }: AgentParts,
  document: Buffer,
): Promise<{ readonly envelope: string }> {
  const { next, details, until, audience } = readDelegation(readDocument(document));
  const { text } = await holder.current();
  const { effective } = inspect(text);
  if (effective.depth === 0) throw new AgentError('envelope_sealed', 'the envelope is sealed');
  if (audience?.every((each) => effective.aud.includes(each)) === false) {
    throw new AgentError('origin_not_allowed', 'the envelope is for other audiences');
  }
  const now = Math.floor(config.ports.now());
  const exp = Math.min(until ?? effective.exp, effective.exp);
  if (exp <= now) throw invalid('`until` has passed');
  const narrow = narrowTo(details);
  const block = {
    iat: now,
    exp,
    depth: effective.depth - 1,
    next,
    ...(audience !== undefined && { aud: audience }),
    ...(narrow.length > 0 && { narrow }),
  };
  return { envelope: signBlock(text, block, config.signer) };
}

interface AskedDelegation {
  readonly next: PublicJwk;
  readonly details: readonly AuthorizationDetail[];
  readonly until: number | undefined;
  readonly audience: readonly string[] | undefined;
}

function readDelegation(document: JsonObject): AskedDelegation {
  const { jwk, authorization_details: details, until, audience, ...unknown } = document;
  if (Object.keys(unknown).length > 0) throw invalid('unknown member');
  if (until !== undefined && !Number.isSafeInteger(until)) throw invalid('`until` is not a time');
  return {
    next: malformed(() => parsePublicJwk(jwk).jwk),
    details: details === undefined ? [] : malformed(() => parseAuthorizationDetails(details)),
    until: typeof until === 'number' ? until : undefined,
    audience: audience === undefined ? undefined : readAudience(audience),
  };
}

function readAudience(value: Json): readonly string[] {
  const list: readonly Json[] = Array.isArray(value) ? value : [];
  const texts = list.filter((each) => typeof each === 'string');
  if (texts.length === 0 || texts.length !== list.length || new Set(texts).size !== texts.length) {
    throw invalid('`audience` is not a list of audiences');
  }
  return texts;
}

function readDocument(document: Buffer): JsonObject {
  return malformed(() => parseJsonObject(document));
}

function malformed<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new AgentError('helper_request_invalid', error.message, { reason: error.code });
  }
}
