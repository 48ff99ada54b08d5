import { hash } from 'node:crypto';
import { limits, type Nonces, type PublicKey, parsePublicJwk, Refusal } from '@bulla/verifier';
import { contentDigest, type JsonObject, parseJws, queryDigest, verifyJws } from '@bulla/verifier/envelope';
import { keyIsLive, type Read } from '@bulla/verifier/log';
import { IssuerRefusal } from '../errors.ts';
import type { Party } from '../mint/party.ts';

/** What a proof at the token endpoint is held against. */
export interface TokenProofDemands {
  readonly tokenEndpoint: string;
  readonly body: Uint8Array;
  readonly party: Party;
  readonly read: Read;
  readonly nonces: Nonces;
  readonly requireNonce: boolean;
  /** Unix seconds. */
  readonly now: number;
}

export interface CheckedTokenProof {
  readonly keyThumbprint: string;
  readonly useKey: string;
  readonly expiresAt: number;
}

const profile = { typ: 'dpop+jwt', members: ['jwk'] } as const;
const knownClaims = new Set(['jti', 'htm', 'htu', 'iat', 'nonce', 'htq', 'content_digest', 'htb']);

/**
 * Checks a DPoP proof at the token endpoint (RFC 9449 section 5): there is no token yet, so no `ath`. The key must be a live
 * logged key of the authenticated client. What the proof says beyond RFC 9449 about query and content must be true as well.
 * Does NOT remember the proof: take `useKey` in the store.
 *
 * @throws {IssuerRefusal} `proof_refused`, `nonce_required`.
 */
export function checkTokenProof(proof: string | undefined, demands: TokenProofDemands): CheckedTokenProof {
  if (proof === undefined) throw refused('no `DPoP` header: tokens here are bound to a key');
  if (proof.length > limits.maxProofBytes || proof.includes(','))
    throw refused('proof is too large or sent twice');
  try {
    return check(proof, demands);
  } catch (cause) {
    if (cause instanceof Refusal) throw refused(`proof: ${cause.message}`, cause);
    throw cause;
  }
}

function check(proof: string, demands: TokenProofDemands): CheckedTokenProof {
  const jws = parseJws(proof, profile);
  const { payload } = jws;
  if (Object.keys(payload).some((name) => !knownClaims.has(name)))
    throw refused('proof has an unknown claim');
  const jti = payload['jti'];
  if (typeof jti !== 'string' || jti === '' || Buffer.byteLength(jti) > limits.maxJtiBytes) {
    throw refused('`jti` is missing or too long');
  }
  if (payload['htm'] !== 'POST') throw refused('`htm` is not `POST`');
  if (payload['htu'] !== demands.tokenEndpoint) throw refused('`htu` is not the token endpoint');
  const issuedAt = requireTime(payload['iat'], demands.now);
  requireBinding(payload, demands.body);
  requireNonce(payload['nonce'], demands);
  const key = parsePublicJwk(jws.header['jwk']);
  verifyJws(jws, key);
  requireLogged(key, demands);
  return {
    keyThumbprint: key.thumbprint,
    useKey: `proof/${hash('sha256', `${key.thumbprint}\n${jti}`, 'base64url')}`,
    expiresAt: issuedAt + limits.proofWindowSeconds + limits.clockSkewSeconds,
  };
}

function requireTime(iat: unknown, now: number): number {
  if (typeof iat !== 'number') throw refused('no `iat`');
  if (iat < now - limits.proofWindowSeconds || iat > now + limits.clockSkewSeconds) {
    throw refused('proof is too old or from the future; check the clock of the client');
  }
  return iat;
}

function requireBinding(payload: JsonObject, body: Uint8Array): void {
  const { htq, content_digest: digest } = payload as { htq?: unknown; content_digest?: unknown };
  if (htq !== undefined && htq !== queryDigest('')) throw refused('`htq` is another query');
  if (digest !== undefined && digest !== contentDigest(body))
    throw refused('`content_digest` is of another body');
}

function requireNonce(nonce: unknown, demands: TokenProofDemands): void {
  if (nonce === undefined && !demands.requireNonce) return;
  if (typeof nonce !== 'string' || !demands.nonces.check(nonce)) {
    throw new IssuerRefusal('nonce_required', 'proof needs the nonce of the `DPoP-Nonce` header');
  }
}

function requireLogged(key: PublicKey, { read, party }: TokenProofDemands): void {
  const record = read(`key/${key.thumbprint}`);
  if (record?.subject !== party.subject || !keyIsLive(read, key.thumbprint)) {
    throw refused('proof is not by a live logged key of the client');
  }
}

function refused(message: string, cause?: unknown): IssuerRefusal {
  return new IssuerRefusal('proof_refused', message, { cause });
}
