import { hash } from 'node:crypto';
import { limits, type PublicKey, Refusal } from '@bulla/verifier';
import { decodeBase64url, type JsonObject, parseJsonObject, verifyJws } from '@bulla/verifier/envelope';
import { IssuerRefusal } from '../errors.ts';

/** What an assertion is held against. */
export interface AssertionDemands {
  /** Issuer identifier and token endpoint URL: each member of `aud` must be one of them. */
  readonly audiences: readonly string[];
  /** `client_id` of the form, where it was sent. */
  readonly clientId: string | undefined;
  /** Unix seconds. */
  readonly now: number;
  /** Keys the client may sign with, those that `kid` names where it names some. May throw for a client there is none of. */
  readonly keysOf: (clientId: string, kid: unknown) => readonly PublicKey[];
}

export interface CheckedAssertion {
  readonly clientId: string;
  /** To be taken in the store before anything is given for it: the assertion works once. */
  readonly useKey: string;
  /** Unix seconds until when `useKey` must be remembered. */
  readonly expiresAt: number;
}

const maxAssertionBytes = 4096;
const maxAssertionSeconds = 300;
const headerMembers = new Set(['alg', 'typ', 'kid']);
const types = new Set(['jwt', 'client-authentication+jwt']);

/**
 * Checks an assertion of `private_key_jwt` (RFC 7523): by a key of the client that `sub` names, for this endpoint, for at most
 * five minutes. Does NOT remember it: take `useKey` in the store.
 *
 * @throws {IssuerRefusal} `client_unauthenticated`, and what `keysOf` throws.
 */
export function checkAssertion(assertion: string, demands: AssertionDemands): CheckedAssertion {
  const jws = parseAssertion(assertion);
  const clientId = text(jws.payload, 'sub');
  if (text(jws.payload, 'iss') !== clientId) throw refused('`iss` and `sub` differ');
  if (demands.clientId !== undefined && demands.clientId !== clientId) {
    throw refused('`client_id` and `sub` differ');
  }
  requireAudience(jws.payload['aud'], demands.audiences);
  const expiresAt = requireTimes(jws.payload, demands.now);
  const jti = text(jws.payload, 'jti');
  if (Buffer.byteLength(jti) > limits.maxJtiBytes) throw refused('`jti` is too long');
  requireSignature(jws, demands.keysOf(clientId, jws.header['kid']));
  return { clientId, useKey: `assertion/${hash('sha256', `${clientId}\n${jti}`, 'base64url')}`, expiresAt };
}

interface Assertion {
  readonly compact: string;
  readonly header: JsonObject;
  readonly payload: JsonObject;
  readonly signingInput: Buffer;
  readonly signature: Buffer;
}

/** Stock clients leave `typ` out and choose `kid` freely, so the strict parser with its exact header does not fit. */
function parseAssertion(compact: string): Assertion {
  if (compact.length > maxAssertionBytes) throw refused('assertion is too large');
  const [header = '', payload = '', signature = '', ...rest] = compact.split('.');
  if (rest.length > 0 || signature === '') throw refused('assertion is not a compact JWS');
  try {
    const parsed = {
      compact,
      header: parseJsonObject(decodeBase64url(header)),
      payload: parseJsonObject(decodeBase64url(payload)),
      signingInput: Buffer.from(`${header}.${payload}`, 'latin1'),
      signature: decodeBase64url(signature),
    };
    requireHeader(parsed.header);
    return parsed;
  } catch (cause) {
    if (cause instanceof Refusal) throw refused(`assertion: ${cause.message}`, cause);
    throw cause;
  }
}

function requireHeader(header: JsonObject): void {
  const { typ } = header as { typ?: unknown };
  if (Object.keys(header).some((member) => !headerMembers.has(member))) {
    throw refused('assertion has a header member beside `alg`, `typ` and `kid`');
  }
  if (typ !== undefined && !(typeof typ === 'string' && types.has(typ.toLowerCase()))) {
    throw refused('assertion is of another `typ`');
  }
}

function requireAudience(aud: unknown, accepted: readonly string[]): void {
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  // A further audience could replay the assertion here.
  if (
    audiences.length === 0 ||
    !audiences.every((item) => typeof item === 'string' && accepted.includes(item))
  ) {
    throw refused('`aud` is not this issuer');
  }
}

function requireTimes(payload: JsonObject, now: number): number {
  const exp = payload['exp'];
  if (typeof exp !== 'number') throw refused('no `exp`');
  if (exp <= now) throw refused('assertion has expired; check the clock of the client');
  if (exp > now + maxAssertionSeconds + limits.clockSkewSeconds) {
    throw refused(`assertion lives longer than ${maxAssertionSeconds} s`);
  }
  for (const name of ['iat', 'nbf']) {
    const time = payload[name];
    if (time !== undefined && (typeof time !== 'number' || time > now + limits.clockSkewSeconds)) {
      throw refused(`\`${name}\` is in the future; check the clock of the client`);
    }
  }
  return exp;
}

function requireSignature(jws: Assertion, keys: readonly PublicKey[]): void {
  for (const key of keys) {
    try {
      verifyJws(jws, key);
      return;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
  }
  throw refused('assertion is not signed by a live key of the client');
}

function text(payload: JsonObject, name: string): string {
  const value = payload[name];
  if (typeof value !== 'string' || value === '') throw refused(`no \`${name}\``);
  return value;
}

function refused(message: string, cause?: unknown): IssuerRefusal {
  return new IssuerRefusal('client_unauthenticated', message, { cause });
}
