import { Refusal } from '../errors.ts';
import { parseProof, readClaims, requireNonce, requireSignature, requireTime } from './claims.ts';
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
  /** Unix time, seconds. */
  readonly now: number;
  readonly nonces?: Nonces;
}

/**
 * Checks the DPoP proof of a token request (RFC 9449 section 5). The key it shows is the one the new envelope will be
 * bound to. Binds method and URL alone: the client's assertion stands for the content. Does NOT remember the proof.
 *
 * @throws {Refusal} `proof_malformed`, `proof_time`, `proof_method_mismatch`, `proof_target_mismatch`, `proof_nonce_wrong`,
 * `proof_algorithm_wrong`, `proof_signature_invalid`.
 */
export function checkTokenProof(demands: TokenProofDemands): CheckedProof {
  const jws = parseProof(demands.proof);
  const claims = readClaims(jws.payload);
  requireTime(claims.iat, demands.now);
  if (claims.htm !== demands.method) throw new Refusal('proof_method_mismatch', '`htm` is another method');
  if (claims.htu !== demands.url) throw new Refusal('proof_target_mismatch', '`htu` is another URL');
  const nonceBound = requireNonce(claims.nonce, demands.nonces);
  const key = keyOf(jws.header['jwk'], undefined);
  requireSignature(jws, key);
  return {
    keyThumbprint: key.thumbprint,
    jti: claims.jti,
    issuedAt: claims.iat,
    nonceBound,
    origin: new URL(demands.url).origin,
    boundHeaders: [],
  };
}
