import { Refusal } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import { limits } from '../limits.ts';
import type { FederationRecord } from '../log/records.ts';
import { claimsMatch } from './claims.ts';
import { type SignedOutsideToken, verifyOutsideToken } from './token.ts';

const bindingScheme = 'bulla:';

/** What an outside token must name, in `aud` or `nonce`, to be bound to a holder key: `bulla:<account>:<thumbprint>`. */
export function bindingOf(account: string, jkt: string): string {
  return `${bindingScheme}${account}:${jkt}`;
}

/** For whom and when. `now`: Unix seconds; of an envelope, the `iat` of its root. */
export interface BindingDemands {
  readonly account: string;
  /** Thumbprint of the holder key. */
  readonly jkt: string;
  readonly now: number;
  /** `resumedAt` of the agent's record: what was issued before does not come back with it (law 7). */
  readonly since?: number | undefined;
}

/** An outside token, and the key that is said to have signed it. */
interface OutsideSubject {
  readonly token: string;
  readonly jwk: unknown;
}

/**
 * Checks that an outside token is what a trust in the log asks for, and bound to this holder key: used by whoever mints
 * and, with `now` = the root's `iat`, by every verifier.
 *
 * Does NOT look at the agent: that `record.agent` is who is minted for, and active, is the caller's to ask.
 *
 * @returns the token's claims.
 * @throws {Refusal} `federation_token_invalid`, `key_invalid`, `federation_not_trusted`, `federation_claims_mismatch`,
 *   `federation_not_bound`, `federation_time`.
 */
export function checkOutsideToken(
  record: FederationRecord | undefined,
  { token, jwk, ...demands }: BindingDemands & OutsideSubject,
): JsonObject {
  const signed = verifyOutsideToken(token, jwk);
  requireOutsideToken(record, signed, demands);
  return signed.claims;
}

/**
 * As {@link checkOutsideToken} for a token that cannot be bound to a key: `aud` must contain the record's `audience`. What
 * stands on it is `key: "vouched"`: no verifier sees this token. Clients keep such tokens until they expire, so it may be as old
 * as `maxUnboundTokenLifeSeconds` lets it live.
 *
 * @throws {Refusal} as {@link checkOutsideToken}; `federation_not_bound` also for a profile whose tokens can be bound, and for a
 *   token that is bound or an ID token: whoever copied it would get rid of the binding.
 */
export function checkUnboundToken(
  record: FederationRecord | undefined,
  { token, jwk, now, since }: Pick<BindingDemands, 'now' | 'since'> & OutsideSubject,
): JsonObject {
  const signed = verifyOutsideToken(token, jwk);
  const trusted = requireTrusted(record, signed);
  if (trusted.profile !== 'oidc' || trusted.audience === null) {
    throw new Refusal('federation_not_bound', 'tokens of this trust must be bound to the holder key');
  }
  if (!audiencesOf(signed.claims).includes(trusted.audience)) {
    throw new Refusal('federation_claims_mismatch', 'outside token is meant for somebody else');
  }
  requireUnbound(signed.claims);
  requireUnboundTimes(signed.claims, now);
  requireSince(signed.claims, since);
  return signed.claims;
}

/**
 * All of {@link checkOutsideToken} but the signature: look-ups and comparisons, made anew on each request.
 *
 * @throws {Refusal} `federation_not_trusted`, `federation_claims_mismatch`, `federation_not_bound`, `federation_time`.
 */
export function requireOutsideToken(
  record: FederationRecord | undefined,
  signed: SignedOutsideToken,
  { account, jkt, now, since }: BindingDemands,
): void {
  const trusted = requireTrusted(record, signed);
  requireBound(trusted, signed.claims, bindingOf(account, jkt));
  requireTimes(trusted, signed.claims, now);
  requireSince(signed.claims, since);
}

function requireTrusted(
  record: FederationRecord | undefined,
  { key, claims }: SignedOutsideToken,
): FederationRecord {
  if (record?.status !== 'trusted') {
    throw new Refusal('federation_not_trusted', 'outside issuer is not trusted under this name');
  }
  if (!record.keys.includes(key)) {
    throw new Refusal('federation_not_trusted', 'key of the outside token is not one that the log names');
  }
  if (!isIssuedBy(record, claims)) {
    throw new Refusal('federation_claims_mismatch', 'outside token is by another issuer');
  }
  if (!claimsMatch(record.claims, claims)) {
    throw new Refusal('federation_claims_mismatch', 'outside token does not say what the log demands');
  }
  if (record.profile === 'github') requireOwnEvent(record, claims);
  return record;
}

/** Whether claims say that they are of the record's issuer. A JWT-SVID need have no `iss`: its subject says the trust domain. */
export function isIssuedBy({ profile, issuer }: FederationRecord, { iss, sub }: JsonObject): boolean {
  return profile === 'spiffe' ? typeof sub === 'string' && sub.startsWith(`${issuer}/`) : iss === issuer;
}

/**
 * Events that only people (or programs) who may write to the repository can cause. The others let strangers run its
 * workflows, or run code that strangers wrote: they need a trust that names the event.
 */
const ownEvents: ReadonlySet<unknown> = new Set([
  'push',
  'schedule',
  'workflow_dispatch',
  'repository_dispatch',
  'release',
]);

function requireOwnEvent(record: FederationRecord, claims: JsonObject): void {
  if (Object.hasOwn(record.claims, 'event_name')) return;
  if (!ownEvents.has(claims['event_name'])) {
    throw new Refusal(
      'federation_claims_mismatch',
      'outside token is of an event that the trust does not name',
    );
  }
}

/** Bound by `aud`, which then names nobody else but whom the record says; or, for an ID token, by `nonce`. */
function requireBound({ profile, audience }: FederationRecord, claims: JsonObject, binding: string): void {
  const audiences = audiencesOf(claims);
  const byAudience =
    audiences.includes(binding) && audiences.every((name) => name === binding || name === audience);
  const byNonce =
    profile === 'oidc' && claims['nonce'] === binding && audience !== null && audiences.includes(audience);
  if (!byAudience && !byNonce) {
    throw new Refusal('federation_not_bound', 'outside token is not bound to the holder key');
  }
}

/** Nobody takes a binding away by presenting the token as something else. A `nonce` is what ID tokens have (OpenID Connect Core 2). */
function requireUnbound(claims: JsonObject): void {
  const bound = audiencesOf(claims).some((name) => name.startsWith(bindingScheme));
  if (bound || Object.hasOwn(claims, 'nonce')) {
    throw new Refusal(
      'federation_not_bound',
      'outside token is bound, or an ID token: exchange it as what it is',
    );
  }
}

/** An odd `aud` names nobody. */
function audiencesOf({ aud }: JsonObject): readonly string[] {
  if (typeof aud === 'string') return [aud];
  if (!Array.isArray(aud)) return [];
  const names = aud.filter((name) => typeof name === 'string');
  return names.length === aud.length ? names : [];
}

/** Written so that what is no number refuses. */
function requireTimes({ profile }: FederationRecord, claims: JsonObject, now: number): void {
  const { iat, exp, nbf } = claims;
  const skew = limits.outsideClockSkewSeconds;
  const expires = typeof exp === 'number' ? exp : Number.NaN;
  if (!(now < expires)) throw new Refusal('federation_time', 'outside token has expired, or has no `exp`');
  const recent =
    iat === undefined && profile === 'spiffe'
      ? now >= expires - limits.maxOutsideTokenLifeSeconds
      : typeof iat === 'number' && now >= iat - skew && now <= iat + limits.maxOutsideTokenAgeSeconds;
  if (!recent) throw new Refusal('federation_time', 'outside token was not issued shortly before');
  if (nbf !== undefined && !(typeof nbf === 'number' && now + skew >= nbf)) {
    throw new Refusal('federation_time', 'outside token is not good yet');
  }
}

function requireUnboundTimes({ iat, exp, nbf }: JsonObject, now: number): void {
  const skew = limits.outsideClockSkewSeconds;
  if (typeof exp !== 'number' || typeof iat !== 'number' || !(now < exp)) {
    throw new Refusal(
      'federation_time',
      'outside token has expired, or does not say from when until when it is good',
    );
  }
  if (exp - iat > limits.maxUnboundTokenLifeSeconds) {
    throw new Refusal('federation_time', 'outside token lives longer than `maxUnboundTokenLifeSeconds`');
  }
  if (now + skew < iat || (nbf !== undefined && !(typeof nbf === 'number' && now + skew >= nbf))) {
    throw new Refusal('federation_time', 'outside token is not good yet');
  }
}

/** Comes after the times. A token that does not say when it was issued may be as old as its kind can be. */
function requireSince({ iat, exp }: JsonObject, since: number | undefined): void {
  const issued = typeof iat === 'number' ? iat : Number(exp) - limits.maxOutsideTokenLifeSeconds;
  if (since === undefined || issued >= since) return;
  throw new Refusal('federation_time', 'outside token is from before the agent was resumed');
}
