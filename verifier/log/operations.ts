import type { OutsideJwk } from '../federation/key.ts';
import type { Json, JsonObject } from '../json.ts';
import type { PublicJwk } from '../keys.ts';

/**
 * The operations of the trust log, version 1. `actor` names who may sign; the rules in `rules/` decide.
 *
 * admin     the account's threshold of admin keys, signing the entry itself on a head they followed
 * delegate  a key with a lease that lists the operation, signing the entry itself
 * request   a person or owner signs a request; a delegate (lease lists `request.relay`) or an admin wraps it
 */
export type Operation =
  | AccountOperation
  | AuthorityOperation
  | DomainOperation
  | PrincipalOperation
  | AgentOperation
  | FederationOperation
  | LoginOperation
  | KeyOperation
  | GroupOperation
  | PolicyOperation;

/** Ids of principals (`prn_…`) and agents (`agt_…`) are derived from the hash of the leaf that creates them. */
type AccountOperation =
  | {
      readonly type: 'account.create';
      readonly rules: number;
      readonly nonce: string;
      /** C2SP checkpoint origin: a schema-less URL without trailing slash. */
      readonly origin: string;
      readonly logKey: PublicJwk;
      readonly admins: readonly PublicJwk[];
      readonly threshold: number;
    }
  | { readonly type: 'account.seal'; readonly size: number; readonly root: string; readonly state: string }
  | { readonly type: 'account.rules'; readonly rules: number };

type AuthorityOperation =
  | { readonly type: 'admin.add'; readonly key: PublicJwk }
  | { readonly type: 'admin.remove'; readonly key: string }
  | { readonly type: 'delegate.grant'; readonly key: PublicJwk; readonly lease: Lease }
  | { readonly type: 'delegate.renew'; readonly key: string; readonly notAfter: number }
  | { readonly type: 'delegate.revoke'; readonly key: string }
  | { readonly type: 'log.key'; readonly key: PublicJwk };

/** What an admin lends to a service key, and for how long. Everything not listed is refused. */
export interface Lease {
  /** Operation types, and `capability.mint` (may sign root blocks), and `request.relay` (may wrap requests). */
  readonly operations: readonly string[];
  readonly groups: readonly string[];
  readonly attributes: readonly string[];
  readonly audiences: readonly string[];
  /** Longest life of an envelope minted under this lease, seconds. 0 without `capability.mint`. */
  readonly maxLifetimeSeconds: number;
  /** Unix seconds; at most `maxLeaseSeconds` after the entry's time. */
  readonly notAfter: number;
  /** Entries this delegate may sign: a token bucket that holds one hour's worth, and a lifetime total. */
  readonly maxEntriesPerHour: number;
  readonly maxEntries: number;
  /** Whose people this lease manages; absent, it manages nobody's and can at most suspend, end its suspensions, and revoke. */
  readonly connection?: string;
  /** E-mail domains that people may be provisioned in, if the account trusts them too. */
  readonly domains?: readonly string[];
  /** Names of `login.trust`: at which identity providers the people it provisions may confirm themselves. */
  readonly logins?: readonly string[];
  readonly caps?: LeaseCaps;
}

/**
 * How many people a delegate may bring in, and how much it may take away, in entries that it signs itself. Each is a
 * lifetime total, which no renewal resets, and a token bucket that holds one hour's worth.
 */
export interface LeaseCaps {
  readonly provisions: number;
  readonly provisionsPerHour: number;
  readonly removals: number;
  readonly removalsPerHour: number;
}

/** E-mail domains in which delegates may provision people: lower-case letters, digits, hyphens, at least one dot. */
type DomainOperation =
  | { readonly type: 'domain.trust'; readonly domain: string }
  /** Nobody is provisioned there any more; who is there stays. */
  | { readonly type: 'domain.distrust'; readonly domain: string };

/** The account at an outside issuer by which a person confirms themselves: fixed for life, and named by a salted hash alone. */
export interface PersonLogin {
  /** Name of the trust. */
  readonly trust: string;
  /** base64url SHA-256 of RFC 8785 `{claim, issuer, salt, value}`. */
  readonly hash: string;
}

type PrincipalOperation =
  | {
      readonly type: 'principal.provision';
      readonly groups: readonly string[];
      readonly attributes: JsonObject;
      /** May confirm other people's activation. Admin only. */
      readonly sponsor: boolean;
      /** E-mail domain; a delegate must say one that its lease lists and the account trusts. */
      readonly domain?: string;
      readonly login?: PersonLogin;
    }
  /** Replaces the attributes, and the domain where one is given. A delegate changes only attributes that its lease lists. */
  | {
      readonly type: 'principal.update';
      readonly principal: string;
      readonly attributes: JsonObject;
      readonly domain?: string;
    }
  | {
      readonly type: 'principal.activate';
      readonly principal: string;
      readonly key: PublicJwk;
      /** The log-in that confirms the person; only in a request that the new key itself signs. */
      readonly login?: LoginProof;
      /** May later bring in another key (`key.recover`), and nothing else. Signs too. */
      readonly recovery?: PublicJwk;
    }
  /**
   * Replaces who may recover this person's key: `threshold` of `people` (ids of others, active now), and a recovery key. Without
   * `key`, the recovery key stays as it is. `people` may be empty, with `threshold` 0.
   */
  | {
      readonly type: 'recovery.set';
      readonly principal: string;
      readonly key?: PublicJwk;
      readonly people: readonly string[];
      readonly threshold: number;
    }
  | { readonly type: 'principal.suspend'; readonly principal: string }
  /** `keys`: thumbprints that survive; every other key of the subject is revoked. */
  | { readonly type: 'principal.resume'; readonly principal: string; readonly keys: readonly string[] }
  | { readonly type: 'principal.deprovision'; readonly principal: string };

type AgentOperation =
  | {
      readonly type: 'agent.register';
      readonly owner: string;
      readonly kind: 'autonomous' | 'interactive';
      /** Absent: an agent that exchanges outside tokens and has no key of its own in the log. */
      readonly key?: PublicJwk;
    }
  /** Replaces the limits set by actors of the signer's rank; limits of all ranks always apply together. */
  | { readonly type: 'agent.limit'; readonly agent: string; readonly limits: readonly Json[] }
  | { readonly type: 'agent.suspend'; readonly agent: string }
  | { readonly type: 'agent.resume'; readonly agent: string; readonly keys: readonly string[] }
  | { readonly type: 'agent.revoke'; readonly agent: string }
  /** Replaces the actions that the agent may do with a key nobody vouches for but the mint (`key: "vouched"`). */
  | { readonly type: 'agent.vouch'; readonly agent: string; readonly actions: readonly string[] };

/** Which kind of outside issuer a trust is about: it decides how its tokens are read (docs/spec/federation.md). */
export type OutsideProfile = 'github' | 'spiffe' | 'oidc';

/** What a claim of an outside token must say: exactly this text, or text like `like`, in which `*` is any run of characters. */
export type ClaimDemand = string | { readonly like: string };

/** Whom tokens of an outside issuer stand for. The same name again replaces it; distrusted, the name is dead for ever. */
type FederationOperation =
  | {
      readonly type: 'federation.trust';
      readonly name: string;
      /** `iss` of the tokens; for SPIFFE the trust domain, `spiffe://<name>`. */
      readonly issuer: string;
      readonly profile: OutsideProfile;
      /** RFC 7638 SHA-256 thumbprints of the keys that the issuer signs with. */
      readonly keys: readonly string[];
      readonly claims: Readonly<Record<string, ClaimDemand>>;
      /** What the issuer calls us in `aud`, where a token is bound to its key otherwise, or not at all. */
      readonly audience?: string;
      /** The agent that such a token stands for. */
      readonly agent: string;
    }
  | { readonly type: 'federation.distrust'; readonly name: string };

/** An ID token whose `nonce` is the thumbprint of the new key, with what it takes to check it: it stays in the log for ever. */
export interface LoginProof {
  /** Compact JWS. */
  readonly token: string;
  /** The key that signed it. */
  readonly jwk: OutsideJwk;
  /** base64url; opens the person's {@link PersonLogin}. */
  readonly salt: string;
}

/** Claims by which an IdP can name a person in the log: neither is a name or an address. */
export type LoginClaim = 'sub' | 'oid';

/** IdPs whose log-ins confirm people. The same name again replaces it; distrusted, the name is dead for ever. */
type LoginOperation =
  | {
      readonly type: 'login.trust';
      readonly name: string;
      /** `iss` of the ID tokens. */
      readonly issuer: string;
      /** RFC 7638 SHA-256 thumbprints of the keys that the IdP signs with. */
      readonly keys: readonly string[];
      /** Our client id there: `aud` of the ID tokens. */
      readonly audience: string;
      readonly claim: LoginClaim;
    }
  | { readonly type: 'login.distrust'; readonly name: string };

/** `subject` is `principal/<id>` or `agent/<id>`. */
type KeyOperation =
  | { readonly type: 'key.add'; readonly subject: string; readonly key: PublicJwk }
  | { readonly type: 'key.rotate'; readonly old: string; readonly key: PublicJwk }
  | { readonly type: 'key.recover'; readonly principal: string; readonly key: PublicJwk }
  /** `since`: a seq; what this key added in entries from there on falls with it. */
  | { readonly type: 'key.revoke'; readonly key: string; readonly since?: number };

/** A group's id is its name: only admins create groups, and a name is never used twice. */
type GroupOperation =
  | { readonly type: 'group.create'; readonly group: string; readonly protected: boolean }
  | { readonly type: 'group.delete'; readonly group: string }
  /** `member` is `principal/<id>` or `group/<name>`. */
  | { readonly type: 'member.add'; readonly group: string; readonly member: string }
  | { readonly type: 'member.remove'; readonly group: string; readonly member: string };

type PolicyOperation =
  /** Replaces the slot's current set. `overlapUntil`: until then the set before it must allow too. */
  | {
      readonly type: 'policy.publish';
      readonly slot: string;
      readonly digest: string;
      readonly overlapUntil?: number;
    }
  | { readonly type: 'policy.overlap'; readonly slot: string; readonly until: number }
  | { readonly type: 'policy.retire'; readonly slot: string }
  | {
      readonly type: 'audience.register';
      readonly audience: string;
      readonly slot: string;
      readonly maxStalenessSeconds: number;
    }
  | { readonly type: 'audience.retire'; readonly audience: string }
  | { readonly type: 'capability.revoke'; readonly jti: string; readonly exp: number };
