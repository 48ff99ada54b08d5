import type { RouteOptions } from './access.ts';
import type { SignedEnvelope } from './envelope/signatures.ts';
import { Refusal } from './errors.ts';
import { limits } from './limits.ts';
import { liveDelegate } from './log/standing.ts';
import type { TrustView } from './log/view.ts';

/** The API's own record in the trust log, and the policy set that is current for it. */
export interface AudienceStanding {
  readonly maxStalenessSeconds: number;
  readonly slot: string;
  readonly digest: string;
  /** The set before, while an admin-signed overlap lasts: it must allow too. */
  readonly overlapping: string | undefined;
}

/** @throws {Refusal} `audience_not_active`, `policy_retired`. */
export function readAudience(trust: TrustView, key: `audience/${string}`, now: number): AudienceStanding {
  const record = trust.read(key);
  if (record?.status !== 'active' || trust.stopped(key)) {
    throw new Refusal('audience_not_active', 'audience is not registered in the trust log');
  }
  const slot = trust.read(`slot/${record.slot}`);
  if (slot?.status !== 'active' || trust.stopped(`slot/${record.slot}`)) {
    throw new Refusal('policy_retired', 'policy slot of this audience has no current set');
  }
  return {
    maxStalenessSeconds: record.maxStalenessSeconds,
    slot: record.slot,
    digest: slot.digest,
    overlapping: slot.previous !== null && now < slot.previous.until ? slot.previous.digest : undefined,
  };
}

/**
 * What is known of the log is young enough for the route, the audience's record and (once it is known) the envelope.
 *
 * @throws {Refusal} `trust_stale`.
 */
export function requireFresh(trust: TrustView, now: number, ...limitsSeconds: readonly number[]): void {
  // Written so that NaN, too, refuses.
  if (!(trust.age(now) <= Math.min(...limitsSeconds))) {
    throw new Refusal('trust_stale', 'trust state is older than this route allows');
  }
}

/** What holds for every request to a route at one moment. `staleness`: seconds. */
export interface Here {
  readonly standing: AudienceStanding;
  readonly staleness: number;
}

/**
 * The API's record, and how old our knowledge may be for this route; it is no older.
 *
 * @throws {Refusal} `audience_not_active`, `policy_retired`, `trust_stale`.
 */
export function readHere(
  trust: TrustView,
  key: `audience/${string}`,
  { stalenessSeconds = limits.defaultStalenessSeconds }: RouteOptions,
  now: number,
): Here {
  const standing = readAudience(trust, key, now);
  const staleness = Math.min(stalenessSeconds, standing.maxStalenessSeconds);
  requireFresh(trust, now, staleness);
  return { standing, staleness };
}

/**
 * The envelope is for this account and this API, and now is within its life.
 *
 * @throws {Refusal} `account_mismatch`, `audience_mismatch`, `envelope_not_yet_valid`, `envelope_expired`.
 */
export function requireHereAndNow(
  envelope: SignedEnvelope,
  here: { readonly account: string; readonly audience: string },
  now: number,
): void {
  if (envelope.root.account !== here.account) {
    throw new Refusal('account_mismatch', 'envelope stands on another trust log');
  }
  if (!envelope.effective.aud.includes(here.audience)) {
    throw new Refusal('audience_mismatch', 'envelope is not meant for this API');
  }
  const issued = Math.max(envelope.root.iat, ...envelope.blocks.map((block) => block.iat));
  if (issued > now + limits.clockSkewSeconds) {
    throw new Refusal('envelope_not_yet_valid', 'envelope was issued in the future');
  }
  if (envelope.effective.exp <= now) throw new Refusal('envelope_expired', 'envelope has expired');
}

/**
 * The mint key holds a lease in force that covers every audience of the root and its whole life.
 *
 * @throws {Refusal} `mint_not_trusted`, `mint_lifetime_exceeded`.
 */
export function requireMintLease(trust: TrustView, envelope: SignedEnvelope, now: number): void {
  const { mint, root } = envelope;
  const delegate = liveDelegate(trust.read, mint, now);
  if (
    delegate?.lease.operations.includes('capability.mint') !== true ||
    trust.stopped(`delegate/${mint}`) ||
    trust.stopped(`key/${mint}`)
  ) {
    throw new Refusal('mint_not_trusted', 'mint key holds no lease in force');
  }
  if (!root.aud.every((audience) => delegate.lease.audiences.includes(audience))) {
    throw new Refusal('mint_not_trusted', 'mint lease does not cover this audience');
  }
  const lifetime = Math.min(delegate.lease.maxLifetimeSeconds, limits.maxEnvelopeLifetimeSeconds);
  if (root.exp - root.iat > lifetime || root.exp > delegate.lease.notAfter) {
    throw new Refusal('mint_lifetime_exceeded', 'envelope lives longer than the mint lease allows');
  }
}

/** @throws {Refusal} `envelope_revoked`. */
export function requireNotRevoked(trust: TrustView, envelope: SignedEnvelope): void {
  if (trust.read(envelope.revokedKey) !== undefined || trust.stopped(envelope.revokedKey)) {
    throw new Refusal('envelope_revoked', 'capability was revoked');
  }
}

/**
 * The envelope was minted under the current set, or, during an overlap, the one before.
 *
 * @throws {Refusal} `policy_superseded`.
 */
export function requireCurrentPolicy(envelope: SignedEnvelope, standing: AudienceStanding): void {
  const { policy } = envelope.root;
  if (policy !== standing.digest && policy !== standing.overlapping) {
    throw new Refusal('policy_superseded', 'policy set changed since minting: exchange again');
  }
}
