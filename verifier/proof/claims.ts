import { parseJws, type UnverifiedJws } from '../envelope/jws.ts';
import { Refusal } from '../errors.ts';
import { isJsonObject, type JsonObject } from '../json.ts';
import type { PublicKey } from '../keys.ts';
import { limits } from '../limits.ts';
import type { Nonces } from './nonce.ts';

const profile = { typ: 'dpop+jwt', members: ['jwk'] } as const;
const knownClaims = new Set(['jti', 'htm', 'htu', 'iat', 'ath', 'nonce', 'htq', 'content_digest', 'htb']);
export interface ProofClaims {
  readonly jti: string;
  readonly htm: string;
  readonly htu: string;
  readonly iat: number;
  readonly ath: string | undefined;
  readonly nonce: string | undefined;
  readonly htq: string | undefined;
  readonly content_digest: string | undefined;
  readonly htb: JsonObject | undefined;
}

export function parseProof(proof: string): UnverifiedJws {
  try {
    return parseJws(proof, profile);
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause;
    throw new Refusal('proof_malformed', `proof: ${cause.message}`, { cause });
  }
}

export function readClaims(payload: JsonObject): ProofClaims {
  for (const name of Object.keys(payload)) {
    if (!knownClaims.has(name)) throw new Refusal('proof_malformed', 'proof has an unknown claim');
  }
  const jti = requireText(payload, 'jti');
  if (jti.length === 0 || Buffer.byteLength(jti) > limits.maxJtiBytes) {
    throw new Refusal('proof_malformed', '`jti` is empty or too long');
  }
  const { iat, htb } = payload as { iat?: unknown; htb?: unknown };
  if (typeof iat !== 'number') throw new Refusal('proof_malformed', '`iat` is not a number');
  if (htb !== undefined && !isJsonObject(htb)) throw new Refusal('proof_malformed', '`htb` is not an object');
  return {
    jti,
    htm: requireText(payload, 'htm'),
    htu: requireText(payload, 'htu'),
    iat,
    ath: readText(payload, 'ath'),
    nonce: readText(payload, 'nonce'),
    htq: readText(payload, 'htq'),
    content_digest: readText(payload, 'content_digest'),
    htb,
  };
}

function readText(payload: JsonObject, name: string): string | undefined {
  const value = payload[name];
  if (value !== undefined && typeof value !== 'string') {
    throw new Refusal('proof_malformed', `\`${name}\` is not a string`);
  }
  return value;
}

function requireText(payload: JsonObject, name: string): string {
  const value = readText(payload, name);
  if (value === undefined) throw new Refusal('proof_malformed', `no \`${name}\``);
  return value;
}

export function requireTime(iat: number, now: number): void {
  if (iat < now - limits.proofWindowSeconds) throw new Refusal('proof_time', 'proof is too old');
  if (iat > now + limits.clockSkewSeconds) throw new Refusal('proof_time', 'proof is from the future');
}

export function requireNonce(nonce: string | undefined, nonces: Nonces | undefined): boolean {
  if (nonce === undefined) return false;
  if (nonces?.check(nonce) === true) return true;
  throw new Refusal('proof_nonce_wrong', 'nonce is not of this process or has expired');
}

export function requireSignature(jws: UnverifiedJws, key: PublicKey): void {
  if (!key.algorithms.includes(jws.header['alg'] as string)) {
    throw new Refusal('proof_algorithm_wrong', '`alg` does not belong to the key');
  }
  if (!key.verify(jws.signingInput, jws.signature)) {
    throw new Refusal('proof_signature_invalid', 'signature does not verify');
  }
}
