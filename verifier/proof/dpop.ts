import type { RouteOptions } from '../access.ts';
import { Refusal } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import type { PublicKey } from '../keys.ts';
import { parseProof, readClaims, requireNonce, requireSignature, requireTime } from './claims.ts';
import { contentDigest, queryDigest } from './content.ts';
import { keyOf } from './key-cache.ts';
import type { Nonces } from './nonce.ts';
import type { ProofUse } from './replay.ts';
import type { PresentedRequest } from './request.ts';
import { canonicalPath } from './target.ts';

/** What a proof is held against, beside the request itself. */
export interface ProofDemands {
  /** The key that must have signed: the last holder of the envelope, or its RFC 7638 thumbprint. */
  readonly holder: PublicKey | string;
  /** Unix time, seconds. */
  readonly now: number;
  readonly route: RouteOptions;
  /** The nonces of this process. Without them a proof that carries a nonce is refused. */
  readonly nonces?: Nonces;
}

/** A proof that was checked against one request. It still has to be claimed in the replay store. */
export interface CheckedProof extends ProofUse {
  /** The public origin the proof names. */
  readonly origin: string;
  /** Names of the header fields whose values the proof binds, lower case. */
  readonly boundHeaders: readonly string[];
}

const maxBoundHeaders = 16;

/**
 * Checks a DPoP proof (RFC 9449 section 4.3) and that it binds this exact request: method, origin, raw path, query,
 * content, listed header fields, envelope, time, key. Cheap comparisons first, then the signature, then the content.
 *
 * Does NOT verify the envelope, and does NOT remember the proof: claim the result in a replay store, or it works again.
 * A mismatch names the part, never the value. docs/spec/proof.md section 4.
 *
 * @throws {Refusal} `proof_malformed`, `proof_time`, `proof_method_mismatch`, `proof_target_mismatch`, `proof_query_mismatch`,
 *   `proof_header_mismatch`, `proof_header_unbound`, `proof_envelope_mismatch`, `proof_nonce_wrong`, `proof_key_mismatch`,
 *   `proof_algorithm_wrong`, `proof_signature_invalid`, `proof_content_mismatch`, `request_field_repeated`.
 */
export function checkProof(request: PresentedRequest, demands: ProofDemands): CheckedProof {
  const jws = parseProof(request.proof);
  const claims = readClaims(jws.payload);
  requireTime(claims.iat, demands.now);
  if (claims.htm !== request.method) throw new Refusal('proof_method_mismatch', '`htm` is another method');
  const origin = requireTarget(claims.htu, request);
  requireQuery(claims.htq, request, demands.route);
  const boundHeaders = requireHeaders(claims.htb, request, demands.route);
  if (claims.ath !== request.envelopeDigest) {
    throw new Refusal('proof_envelope_mismatch', '`ath` is missing or of another envelope');
  }
  const nonceBound = requireNonce(claims.nonce, demands.nonces);
  const key = requireKey(jws.header['jwk'], demands.holder);
  requireSignature(jws, key);
  requireContent(claims.content_digest, request, demands.route);
  return {
    keyThumbprint: key.thumbprint,
    jti: claims.jti,
    issuedAt: claims.iat,
    nonceBound,
    origin,
    boundHeaders,
  };
}

/**
 * `htu` must be canonical already: one of the origins, then the canonical path. Equality of strings says both, and an `htu`
 * with a query or fragment (RFC 9449 section 4.2 has neither) equals nothing.
 */
function requireTarget(htu: string, request: PresentedRequest): string {
  for (const origin of request.origins) {
    if (!htu.startsWith(`${origin}/`)) continue;
    const path = htu.slice(origin.length);
    if (path === request.path || (path.includes('%') && foldedPath(path) === request.path)) return origin;
  }
  throw new Refusal('proof_target_mismatch', '`htu` is another origin or path');
}

function foldedPath(path: string): string {
  try {
    return canonicalPath(path);
  } catch (cause) {
    throw new Refusal('proof_target_mismatch', '`htu` is not canonical', { cause });
  }
}

function requireQuery(htq: string | undefined, request: PresentedRequest, route: RouteOptions): void {
  if (htq === undefined) {
    if (request.query === '' || isPlain(route)) return;
    throw new Refusal('proof_query_mismatch', 'proof does not bind the query');
  }
  if (htq !== queryDigest(request.query)) throw new Refusal('proof_query_mismatch', '`htq` is another query');
}

function requireHeaders(
  htb: JsonObject | undefined,
  request: PresentedRequest,
  route: RouteOptions,
): string[] {
  const bound = htb === undefined ? [] : Object.entries(htb);
  if (bound.length > maxBoundHeaders) throw new Refusal('proof_malformed', '`htb` has too many fields');
  for (const [name, value] of bound) {
    if (typeof value !== 'string' || request.header(name) !== value) {
      throw new Refusal('proof_header_mismatch', 'field in `htb` has another value or is absent');
    }
  }
  const mustBind = (route.bindHeaders ?? []).map((name) => name.toLowerCase());
  if (request.body.length > 0 && !isPlain(route)) mustBind.push('content-type');
  for (const name of mustBind) {
    if (request.header(name) !== undefined && (htb === undefined || !Object.hasOwn(htb, name))) {
      throw new Refusal('proof_header_unbound', `proof does not bind \`${name}\``);
    }
  }
  return bound.map(([name]) => name);
}

function requireKey(jwk: unknown, holder: PublicKey | string): PublicKey {
  const key = keyOf(jwk, holder);
  if (key.thumbprint !== (typeof holder === 'string' ? holder : holder.thumbprint)) {
    throw new Refusal('proof_key_mismatch', 'proof is by another key than the holder of the envelope');
  }
  return key;
}

function requireContent(claimed: string | undefined, request: PresentedRequest, route: RouteOptions): void {
  const field = request.header('content-digest');
  if (claimed === undefined && request.body.length > 0 && !isPlain(route)) {
    throw new Refusal('proof_content_mismatch', 'proof does not bind the content');
  }
  if (claimed === undefined && field === undefined) return;
  const digest = contentDigest(request.body);
  if ((claimed ?? digest) !== digest || (field ?? digest) !== digest) {
    throw new Refusal('proof_content_mismatch', 'content digest is of other content');
  }
}

function isPlain(route: RouteOptions): boolean {
  // oxlint-disable-next-line typescript/no-deprecated -- the one place that honours the escape hatch
  return route.dangerouslyPlainDpop === true;
}
