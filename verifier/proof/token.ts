import { Refusal } from '../errors.ts';
import type { PublicKey } from '../keys.ts';
import {
  type ProofClaims,
  parseProof,
  readClaims,
  requireNonce,
  requireSignature,
  requireTime,
} from './claims.ts';
import { contentDigest, queryDigest } from './content.ts';
import type { CheckedProof } from './dpop.ts';
import { keyOf } from './key-cache.ts';
import type { Nonces } from './nonce.ts';

/** What a proof at a token endpoint is compared with. */
export interface TokenProofDemands {
  /** The value of the one `DPoP` field. At most `maxProofBytes`, which the caller bounds. */
  readonly proof: string;
  readonly method: string;
  /** The endpoint's public URL, without query; never built from Host. */
  readonly url: string;
  /** The content of the request. */
  readonly body: Uint8Array;
  /** Unix time, seconds. */
  readonly now: number;
  readonly nonces?: Nonces;
}

/** A checked proof of a token request, with the key that it shows: a new envelope may have to carry it whole. */
export interface CheckedTokenProof extends CheckedProof {
  readonly key: PublicKey;
}

/**
 * Checks the DPoP proof of a token request (RFC 9449 section 5). The key it shows is the one the new envelope will be
 * bound to. It need bind no more than method and URL, since the client's assertion stands for the content; what it does
 * say about query and content must be true, and of an envelope or of header fields it can say nothing here.
 *
 * Does NOT ask whose key it is, and does NOT remember the proof.
 *
 * @throws {Refusal} `proof_malformed`, `proof_time`, `proof_method_mismatch`, `proof_target_mismatch`, `proof_query_mismatch`,
 *   `proof_content_mismatch`, `proof_header_mismatch`, `proof_envelope_mismatch`, `proof_nonce_wrong`,
 *   `proof_algorithm_wrong`, `proof_signature_invalid`.
 */
export function checkTokenProof(demands: TokenProofDemands): CheckedTokenProof {
  const jws = parseProof(demands.proof);
  const claims = readClaims(jws.payload);
  requireTime(claims.iat, demands.now);
  if (claims.htm !== demands.method) throw new Refusal('proof_method_mismatch', '`htm` is another method');
  if (claims.htu !== demands.url) throw new Refusal('proof_target_mismatch', '`htu` is another URL');
  requireTruth(claims, demands.body);
  const nonceBound = requireNonce(claims.nonce, demands.nonces);
  const key = keyOf(jws.header['jwk'], undefined);
  requireSignature(jws, key);
  return {
    key,
    keyThumbprint: key.thumbprint,
    jti: claims.jti,
    issuedAt: claims.iat,
    nonceBound,
    origin: new URL(demands.url).origin,
    boundHeaders: [],
  };
}

function requireTruth({ htq, content_digest, ath, htb }: ProofClaims, body: Uint8Array): void {
  if (htq !== undefined && htq !== queryDigest('')) {
    throw new Refusal('proof_query_mismatch', '`htq` is another query');
  }
  if (content_digest !== undefined && content_digest !== contentDigest(body)) {
    throw new Refusal('proof_content_mismatch', 'content digest is of other content');
  }
  if (ath !== undefined) throw new Refusal('proof_envelope_mismatch', '`ath` where there is no envelope');
  if (htb !== undefined) throw new Refusal('proof_header_mismatch', '`htb` where no header field is bound');
}
