import { Refusal } from '../errors.ts';
import { verifyOutsideToken } from '../federation/token.ts';
import { canonicalJson, type Json, type JsonObject } from '../json.ts';
import { limits } from '../limits.ts';
import type { LoginClaim, LoginProof, PersonLogin } from './operations.ts';
import type { LoginRecord } from './records.ts';
import { sha256 } from './signed.ts';

/** Who somebody is at an IdP. */
export interface LoginIdentity {
  /** `iss`. */
  readonly issuer: string;
  readonly claim: LoginClaim;
  /** What that claim says. */
  readonly value: string;
}

/**
 * The `hash` of a {@link PersonLogin}: base64url SHA-256 of the RFC 8785 form of `{claim, issuer, salt, value}`.
 *
 * @param salt base64url of 16 to 64 random bytes: without it nobody can try values until one fits.
 */
export function loginHash({ issuer, claim, value }: LoginIdentity, salt: string): string {
  return sha256(canonicalJson({ claim, issuer, salt, value })).toString('base64url');
}

/** Map key under which the person is found whom this log-in has confirmed. */
export function identityKey({ issuer, claim, value }: LoginIdentity): `identity/${string}` {
  return `identity/${sha256(canonicalJson({ claim, issuer, value })).toString('base64url')}`;
}

/** Against what a log-in is checked. */
export interface LoginDemands {
  /** The IdP as the log knows it. */
  readonly trusted: LoginRecord;
  readonly commitment: PersonLogin;
  /** Thumbprint of the key that is to be the person's. */
  readonly jkt: string;
  /** Unix seconds. */
  readonly now: number;
}

/**
 * Checks that an ID token is of the IdP named, for us, of the person committed to, fresh, bound to this very key, and says nothing
 * that must not be in a log for ever. docs/spec/log.md section 7.
 *
 * Does NOT ask whether the IdP is trusted now, nor whether this log-in has confirmed somebody else: the rules do.
 *
 * @throws {Refusal} `federation_token_invalid`, `key_invalid`, `rule_login_untrusted` (key is not pinned), `rule_login_discloses`,
 *   `rule_login_mismatch`, `rule_login_not_bound`, `rule_login_time`.
 */
export function checkLogin({ token, jwk, salt }: LoginProof, demands: LoginDemands): LoginIdentity {
  const { trusted, commitment, jkt, now } = demands;
  const { key, claims } = verifyOutsideToken(token, jwk);
  if (!trusted.keys.includes(key)) {
    throw new Refusal('rule_login_untrusted', 'key of the ID token is not one that the log names');
  }
  requireTechnical(claims);
  const identity = identityOf(claims, trusted);
  if (loginHash(identity, salt) !== commitment.hash) {
    throw new Refusal('rule_login_mismatch', 'log-in is of somebody else than who was provisioned');
  }
  if (claims['nonce'] !== jkt) throw new Refusal('rule_login_not_bound', '`nonce` does not name the new key');
  requireTimes(claims, now);
  return identity;
}

/** `aud` may name others only where `azp` names us (OpenID Connect Core 2, 3.1.3.7). */
function identityOf(claims: JsonObject, { issuer, audience, claim }: LoginRecord): LoginIdentity {
  const { iss, aud, azp } = claims;
  const audiences = Array.isArray(aud) ? (aud as readonly Json[]) : [aud];
  const party = azp === undefined && audiences.length === 1 ? audience : azp;
  if (iss !== issuer || !audiences.includes(audience) || party !== audience) {
    throw new Refusal('rule_login_mismatch', 'ID token is by another issuer, or meant for somebody else');
  }
  const value = Object.hasOwn(claims, claim) ? claims[claim] : undefined;
  if (typeof value !== 'string' || value === '') {
    throw new Refusal('rule_login_mismatch', 'ID token does not say who logged in');
  }
  return { issuer, claim, value };
}

/** What IdPs write to run the protocol; everything else is about the person. */
const technical: ReadonlySet<string> = new Set(
  'iss sub aud exp iat nbf nonce auth_time acr amr azp at_hash c_hash s_hash jti sid ver tid oid uti aio rh idp'.split(
    ' ',
  ),
);

function requireTechnical(claims: JsonObject): void {
  const plain = Object.entries(claims).every(
    ([name, value]) =>
      technical.has(name) &&
      (isPlain(value) || (Array.isArray(value) && (value as readonly Json[]).every(isPlain))),
  );
  if (!plain) throw new Refusal('rule_login_discloses', 'ID token says more than the log may hold');
  if ([claims['sub'], claims['oid']].some((value) => typeof value === 'string' && value.includes('@'))) {
    throw new Refusal('rule_login_discloses', 'ID token names the person by an address');
  }
}

function isPlain(value: Json): boolean {
  return (
    typeof value === 'number' ||
    typeof value === 'boolean' ||
    (typeof value === 'string' && value.length <= 512)
  );
}

/** Written so that what is no number refuses. */
function requireTimes({ iat, exp, nbf }: JsonObject, now: number): void {
  const skew = limits.outsideClockSkewSeconds;
  const issued = typeof iat === 'number' ? iat : Number.NaN;
  const expires = typeof exp === 'number' ? exp : Number.NaN;
  if (!(now < expires)) throw new Refusal('rule_login_time', 'ID token has expired, or has no `exp`');
  if (!(now >= issued - skew && now <= issued + limits.maxOutsideTokenAgeSeconds)) {
    throw new Refusal('rule_login_time', 'ID token was not issued shortly before');
  }
  if (nbf !== undefined && !(typeof nbf === 'number' && now + skew >= nbf)) {
    throw new Refusal('rule_login_time', 'ID token is not good yet');
  }
}
