import { hash } from 'node:crypto';
import type { Json, JsonObject } from '../json.ts';
import type { PublicJwk } from '../keys.ts';
import type { ClaimDemand, Lease, LoginClaim, OutsideProfile, PersonLogin } from './operations.ts';

/** Who did something, by what they may override: a higher rank undoes a lower one's suspension, never the reverse. */
export type Rank = 'delegate' | 'owner' | 'admin';

/**
 * By whose word an active person's first key is theirs: a delegate's alone, a sponsor's, a log-in at an IdP that admins trust, an
 * admin's. `none` before activation.
 */
export type Assurance = 'none' | 'delegate' | 'sponsor' | 'login' | 'admin';

/**
 * The world state: map key -> record. Records are never deleted, only marked, so nothing is reused.
 * `<jkt>` is an RFC 7638 thumbprint.
 */
export interface Records {
  readonly account: AccountRecord;
  readonly [admin: `admin/${string}`]: AdminRecord;
  readonly [delegate: `delegate/${string}`]: DelegateRecord;
  readonly [key: `key/${string}`]: KeyRecord;
  readonly [domain: `domain/${string}`]: DomainRecord;
  readonly [principal: `principal/${string}`]: PrincipalRecord;
  readonly [agent: `agent/${string}`]: AgentRecord;
  readonly [federation: `federation/${string}`]: FederationRecord;
  readonly [login: `login/${string}`]: LoginRecord;
  /** `identity/<hash of issuer, claim and value>`: whom a log-in has confirmed. */
  readonly [identity: `identity/${string}`]: IdentityRecord;
  readonly [group: `group/${string}`]: GroupRecord;
  readonly [slot: `slot/${string}`]: SlotRecord;
  /** `audience/<base64url SHA-256 of the URL>`. */
  readonly [audience: `audience/${string}`]: AudienceRecord;
  /** `revoked/<base64url SHA-256 of the jti>`. */
  readonly [revoked: `revoked/${string}`]: RevokedRecord;
}

/** Looks a record up; undefined where there is none. */
export type Read = <K extends keyof Records>(key: K) => Records[K] | undefined;

export interface AccountRecord {
  readonly rules: number;
  readonly origin: string;
  readonly threshold: number;
  readonly admins: number;
  readonly logKey: string;
  readonly seal: { readonly size: number; readonly root: string; readonly state: string } | null;
}

interface AdminRecord {
  readonly status: 'active' | 'removed';
}

export interface DelegateRecord {
  readonly status: 'active' | 'revoked';
  readonly lease: Lease;
  readonly entries: number;
  /** Token bucket at `refilled` (Unix seconds), in 1/3600 of an entry, so that an hour's worth refills in integers. */
  readonly tokens: number;
  readonly refilled: number;
  /** What the lease's caps count; null where it has none. */
  readonly spent: { readonly provisions: Spent; readonly removals: Spent } | null;
}

/** One lifetime total, and its token bucket at `refilled` (Unix seconds), in 1/3600 of a token. */
export interface Spent {
  readonly total: number;
  readonly tokens: number;
  readonly refilled: number;
}

interface DomainRecord {
  readonly status: 'trusted' | 'distrusted';
}

export interface KeyRecord {
  readonly jwk: PublicJwk;
  /** `admin`, `delegate`, `log`, `principal/<id>`, `agent/<id>` or `recovery/<principal id>`: a key has one subject for ever. */
  readonly subject: string;
  readonly status: 'active' | 'revoked';
  /** Thumbprint of the person's or agent's key that added it, null where an admin did. */
  readonly addedBy: string | null;
  readonly addedSeq: number;
  /** Set by `key.revoke { since }`: what this key added from that seq on is dead with it. */
  readonly revokedSince: number | null;
}

export interface PrincipalRecord {
  /** Raised by every applied entry about this person, membership apart (`subjectVersion` of a request). */
  readonly version: number;
  readonly status: 'pending' | 'active' | 'suspended' | 'deprovisioned';
  /** The highest rank among `suspensions`. */
  readonly suspendedBy: Rank | null;
  /** Whose suspensions hold, ascending: `admin`, `connection/<name>`, `delegate/<jkt>`. In force again only without any. */
  readonly suspensions: readonly string[];
  /** Raised by every change of status, by leaving a group, and by `key.recover`. */
  readonly epoch: number;
  /** Thumbprints of the keys not revoked, ascending. */
  readonly keys: readonly string[];
  /** Seq of the last `key.recover`: keys that older keys added to this person's agents do not survive it. */
  readonly recoveredSeq: number | null;
  /** Agents of this person that are not revoked. */
  readonly agents: number;
  readonly assurance: Assurance;
  /** Who may bring in another key for this person, beside admins. */
  readonly recovery: RecoveryRecord | null;
  readonly sponsor: boolean;
  /** Complete list of the groups this person is directly in. */
  readonly groups: readonly string[];
  readonly attributes: JsonObject;
  /** Whose lease provisioned this person, null where an admin did: only leases of that connection manage them. */
  readonly connection: string | null;
  /** E-mail domain. */
  readonly domain: string | null;
  /** Which log-in may confirm this person; fixed when they are provisioned. */
  readonly login: PersonLogin | null;
  /**
   * Time of the entry that last resumed them or took them out of a group, absent until one did: what they were handed and what they
   * approved before does not come back with them.
   */
  readonly renewedAt?: number;
}

export interface AgentRecord {
  /** Raised by every applied entry about this agent (`subjectVersion` of a request). */
  readonly version: number;
  readonly owner: string;
  /** The owner's epoch when the agent was registered or last resumed; any other epoch means: suspended with its owner. */
  readonly ownerEpoch: number;
  readonly kind: 'autonomous' | 'interactive';
  readonly status: 'active' | 'suspended' | 'revoked';
  /** The highest rank among `suspensions`. */
  readonly suspendedBy: Rank | null;
  /** Whose suspensions hold, ascending: `admin`, `owner`, `connection/<name>`, `delegate/<jkt>`. */
  readonly suspensions: readonly string[];
  /** Raised by every change of status. */
  readonly epoch: number;
  /** Thumbprints of the keys not revoked, ascending. */
  readonly keys: readonly string[];
  /** Standing `forbid` policies (EST JSON) by the rank that set them. */
  readonly limits: { readonly admin: readonly Json[]; readonly owner: readonly Json[] };
  /** Actions that it may do with a key that the mint alone vouches for; absent until an admin listed some. */
  readonly vouched?: readonly string[];
  readonly registeredBy: Rank;
  /** The owner's key that registered this agent or last resumed it, null where an admin did: the agent falls with it. */
  readonly adoptedWith: string | null;
  readonly adoptedSeq: number;
  /** Time of the entry that last resumed it, absent until one did: outside tokens from before do not come back with it. */
  readonly resumedAt?: number;
}

/** Which tokens of an outside issuer stand for which agent. */
export interface FederationRecord {
  /** A name that was distrusted is never trusted again. */
  readonly status: 'trusted' | 'distrusted';
  readonly issuer: string;
  readonly profile: OutsideProfile;
  /** Thumbprints of the issuer's keys. */
  readonly keys: readonly string[];
  readonly claims: Readonly<Record<string, ClaimDemand>>;
  readonly audience: string | null;
  readonly agent: string;
}

/** Who may recover a person's key. Ended by every recovery, and by a resume that lets a key go. */
interface RecoveryRecord {
  /** Thumbprint of the recovery key. */
  readonly key: string | null;
  /** Ids of people, ascending. */
  readonly people: readonly string[];
  /** How many of them must sign; 0 without people. */
  readonly threshold: number;
  /** The person's key that set this, null where activation did: it falls with that key. */
  readonly setBy: string | null;
  readonly setSeq: number;
}

/** An IdP whose log-ins confirm people. */
export interface LoginRecord {
  /** A name that was distrusted is never trusted again. */
  readonly status: 'trusted' | 'distrusted';
  readonly issuer: string;
  /** Thumbprints of the IdP's keys. */
  readonly keys: readonly string[];
  readonly audience: string;
  readonly claim: LoginClaim;
}

interface IdentityRecord {
  readonly principal: string;
}

export interface GroupRecord {
  readonly status: 'active' | 'deleted';
  readonly protected: boolean;
  /** Groups this group is directly in. */
  readonly parents: readonly string[];
}

export interface SlotRecord {
  readonly status: 'active' | 'retired';
  readonly digest: string;
  readonly previous: { readonly digest: string; readonly until: number } | null;
}

interface AudienceRecord {
  readonly audience: string;
  readonly slot: string;
  readonly maxStalenessSeconds: number;
  readonly status: 'active' | 'retired';
}

interface RevokedRecord {
  readonly exp: number;
}

/** Map key of an audience: URLs hold characters that map keys do not. */
export function audienceKey(audience: string): `audience/${string}` {
  return `audience/${digest(audience)}`;
}

/** Map key under which a single capability is void. */
export function revokedKey(jti: string): `revoked/${string}` {
  return `revoked/${digest(jti)}`;
}

function digest(text: string): string {
  return hash('sha256', text, 'base64url');
}
