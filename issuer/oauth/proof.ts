import { limits, type Nonces, type PublicKey, Refusal, replayKey } from '@bulla/verifier';
import { type CheckedTokenProof, checkTokenProof } from '@bulla/verifier/envelope';
import { IssuerRefusal } from '../errors.ts';

/** What a proof at the token endpoint is held against. */
export interface RequestProofDemands {
  readonly tokenEndpoint: string;
  readonly body: Uint8Array;
  readonly nonces: Nonces;
  readonly requireNonce: boolean;
  /** Unix seconds. */
  readonly now: number;
}

export interface RequestProof {
  /** The key that signed it. Whose it is was not asked. */
  readonly key: PublicKey;
  /** To be taken in the store before anything is minted: the proof works once. */
  readonly useKey: string;
  /** Unix seconds until when `useKey` must be remembered. */
  readonly expiresAt: number;
}

/**
 * Checks the DPoP proof of a token request: one field, a sound proof of this request. Does NOT ask whose key it is, which each
 * grant does; does NOT remember the proof: take `useKey` in the store.
 *
 * @throws {IssuerRefusal} `proof_refused`, `nonce_required`.
 */
export function checkRequestProof(proof: string | undefined, demands: RequestProofDemands): RequestProof {
  if (proof === undefined) throw refused('no `DPoP` header: tokens here are bound to a key');
  if (proof.length > limits.maxProofBytes || proof.includes(','))
    throw refused('proof is too large or sent twice');
  const checked = check(proof, demands);
  if (demands.requireNonce && !checked.nonceBound) throw nonceRequired();
  return {
    key: checked.key,
    useKey: `proof/${replayKey(checked)}`,
    expiresAt: checked.issuedAt + limits.proofWindowSeconds + limits.clockSkewSeconds,
  };
}

function check(proof: string, { tokenEndpoint, body, nonces, now }: RequestProofDemands): CheckedTokenProof {
  try {
    return checkTokenProof({ proof, method: 'POST', url: tokenEndpoint, body, nonces, now });
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause;
    throw cause.code === 'proof_nonce_wrong' ? nonceRequired() : refused(cause.message, cause);
  }
}

function nonceRequired(): IssuerRefusal {
  return new IssuerRefusal('nonce_required', 'proof needs the nonce of the `DPoP-Nonce` header');
}

function refused(message: string, cause?: Refusal): IssuerRefusal {
  return new IssuerRefusal('proof_refused', message, { cause });
}
