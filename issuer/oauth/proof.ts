import { limits, type Nonces, Refusal, replayKey } from '@bulla/verifier';
import { type CheckedProof, checkTokenProof } from '@bulla/verifier/envelope';
import { keyIsLive, type Read } from '@bulla/verifier/log';
import { IssuerRefusal } from '../errors.ts';
import type { Party } from '../mint/party.ts';

/** What a proof at the token endpoint is held against. */
export interface ClientProofDemands {
  readonly tokenEndpoint: string;
  readonly body: Uint8Array;
  readonly party: Party;
  readonly read: Read;
  readonly nonces: Nonces;
  readonly requireNonce: boolean;
  /** Unix seconds. */
  readonly now: number;
}

export interface ClientProof {
  readonly keyThumbprint: string;
  /** To be taken in the store before anything is minted: the proof works once. */
  readonly useKey: string;
  /** Unix seconds until when `useKey` must be remembered. */
  readonly expiresAt: number;
}

/**
 * Checks the client's DPoP proof: one field, a sound proof of this request, by a live logged key of the authenticated
 * client. Does NOT remember the proof: take `useKey` in the store.
 *
 * @throws {IssuerRefusal} `proof_refused`, `nonce_required`.
 */
export function checkClientProof(proof: string | undefined, demands: ClientProofDemands): ClientProof {
  if (proof === undefined) throw refused('no `DPoP` header: tokens here are bound to a key');
  if (proof.length > limits.maxProofBytes || proof.includes(','))
    throw refused('proof is too large or sent twice');
  const checked = check(proof, demands);
  if (demands.requireNonce && !checked.nonceBound) throw nonceRequired();
  requireLogged(checked, demands);
  return {
    keyThumbprint: checked.keyThumbprint,
    useKey: `proof/${replayKey(checked)}`,
    expiresAt: checked.issuedAt + limits.proofWindowSeconds + limits.clockSkewSeconds,
  };
}

function check(proof: string, { tokenEndpoint, body, nonces, now }: ClientProofDemands): CheckedProof {
  try {
    return checkTokenProof({ proof, method: 'POST', url: tokenEndpoint, body, nonces, now });
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause;
    throw cause.code === 'proof_nonce_wrong' ? nonceRequired() : refused(cause.message, cause);
  }
}

function requireLogged({ keyThumbprint }: CheckedProof, { read, party }: ClientProofDemands): void {
  const record = read(`key/${keyThumbprint}`);
  if (record?.subject !== party.subject || !keyIsLive(read, keyThumbprint)) {
    throw refused('proof is not by a live logged key of the client');
  }
}

function nonceRequired(): IssuerRefusal {
  return new IssuerRefusal('nonce_required', 'proof needs the nonce of the `DPoP-Nonce` header');
}

function refused(message: string, cause?: Refusal): IssuerRefusal {
  return new IssuerRefusal('proof_refused', message, { cause });
}
