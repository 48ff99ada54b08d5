import { limits, type Signer } from '@bulla/verifier';
import { encodeBase64url, type Json, type RootClaims, signRoot } from '@bulla/verifier/envelope';
import { audienceKey, type Lease, liveDelegate, type TrustView } from '@bulla/verifier/log';
import { type Engine, type LoadedSet, parsePolicySetDocument } from '@bulla/verifier/policy';
import type { AccountConfig } from '../config.ts';
import { IssuerRefusal } from '../errors.ts';
import type { IssuerPorts } from '../ports.ts';
import type { AccountStore } from '../store/store.ts';
import type { Party } from './party.ts';
import { requireSound } from './self-check.ts';

export interface MintOptions {
  /** Issuer identifier: the envelope's `iss`. */
  readonly issuer: string;
  readonly mintKey: Signer;
  /** The log as this issuer has it. */
  readonly trust: TrustView;
  readonly store: AccountStore;
  readonly engine: Engine;
  readonly config: Pick<AccountConfig, 'envelopeLifetimeSeconds' | 'envelopeDepth' | 'minLeaseSeconds'>;
  readonly ports: IssuerPorts;
}

/** Audiences of one envelope, and the policy set that is current for all of them. */
export interface Target {
  readonly audiences: readonly string[];
  readonly policy: string;
}

export interface MintRequest {
  readonly party: Party;
  readonly target: Target;
  /** `forbid` policies; validated against the target's schema before. */
  readonly narrow: readonly Json[];
  /** A live logged key of the party. */
  readonly keyThumbprint: string;
}

export interface Minted {
  readonly envelope: string;
  readonly id: string;
  readonly expiresInSeconds: number;
}

/**
 * Signs root blocks within the mint key's lease. Nothing it does widens anything (law 2): a verifier holds every claim
 * against the log again.
 */
export class Mint {
  readonly #options: MintOptions;
  #loaded: { readonly digest: string; readonly set: LoadedSet } | undefined;

  constructor(options: MintOptions) {
    this.#options = options;
  }

  /** Seconds until the mint lease ends; undefined without one in force. */
  leaseSecondsLeft(): number | undefined {
    const lease = this.#lease();
    return lease && lease.notAfter - this.#options.ports.now();
  }

  /** Why nothing can be minted now. */
  get failure(): 'lease_missing' | 'lease_ending' | undefined {
    const left = this.leaseSecondsLeft();
    if (left === undefined) return 'lease_missing';
    return left <= this.#options.config.minLeaseSeconds ? 'lease_ending' : undefined;
  }

  /**
   * Finds out what an envelope for these resources (RFC 8707) stands on. None named: the one audience there is.
   *
   * @throws {IssuerRefusal} `target_refused`, `mint_unavailable`.
   */
  target(resources: readonly string[]): Target {
    const { read } = this.#options.trust;
    const lease = this.#requireLease();
    const available = lease.audiences.filter((audience) => read(audienceKey(audience))?.status === 'active');
    const [only] = available;
    if (resources.length === 0 && (only === undefined || available.length > 1)) {
      throw new IssuerRefusal(
        'target_refused',
        '`resource` is required: this account has several audiences, or none',
      );
    }
    const audiences = resources.length === 0 && only !== undefined ? [only] : resources;
    const digests = new Set(audiences.map((audience) => this.#policyOf(audience, available)));
    const [policy] = digests;
    if (policy === undefined || digests.size !== 1) {
      throw new IssuerRefusal(
        'target_refused',
        'these resources are under different policies: ask for one at a time',
      );
    }
    return { audiences, policy };
  }

  #policyOf(audience: string, available: readonly string[]): string {
    const { read } = this.#options.trust;
    const record = read(audienceKey(audience));
    if (record?.status !== 'active') {
      throw new IssuerRefusal('target_refused', '`resource` is not a registered audience');
    }
    if (!available.includes(audience)) {
      throw new IssuerRefusal(
        'target_refused',
        '`resource` is not in the lease of this issuer: ask an admin',
      );
    }
    const slot = read(`slot/${record.slot}`);
    if (slot?.status !== 'active') {
      throw new IssuerRefusal('target_refused', 'policy of this resource was retired');
    }
    return slot.digest;
  }

  /** The policy set of a target, ready to validate limits against. @throws {IssuerRefusal} `store_corrupt`. */
  async policySet(target: Target): Promise<LoadedSet> {
    const digest = target.policy;
    if (this.#loaded?.digest === digest) return this.#loaded.set;
    const body = await this.#options.store.document(digest);
    if (body === undefined)
      throw new IssuerRefusal('store_corrupt', 'a published policy set is not in the store');
    const set = this.#options.engine.load(parsePolicySetDocument(Buffer.from(body)));
    this.#loaded = { digest, set };
    return set;
  }

  /**
   * Mints one envelope and verifies it before handing it out.
   *
   * @throws {IssuerRefusal} `mint_unavailable`, `mint_self_check`.
   */
  mint({ party, target, narrow, keyThumbprint }: MintRequest): Minted {
    const { issuer, mintKey, trust, config, ports } = this.#options;
    const lease = this.#requireLease();
    const iat = Math.floor(ports.now());
    const lifetime = Math.min(
      config.envelopeLifetimeSeconds,
      lease.maxLifetimeSeconds,
      limits.maxEnvelopeLifetimeSeconds,
    );
    const exp = Math.min(iat + lifetime, lease.notAfter);
    const claims: RootClaims = {
      iss: issuer,
      aud: target.audiences,
      sub: party.principal,
      jti: encodeBase64url(ports.randomBytes(16)),
      iat,
      exp,
      account: trust.account,
      epoch: party.epoch,
      ...(party.clientId !== party.principal && { client_id: party.clientId }),
      cnf: { jkt: keyThumbprint },
      key: 'logged',
      policy: target.policy,
      narrow,
      depth: config.envelopeDepth,
    };
    const envelope = signRoot(claims, mintKey);
    requireSound(envelope, claims, trust, ports.now());
    return { envelope, id: claims.jti, expiresInSeconds: exp - iat };
  }

  #lease(): Lease | undefined {
    const { trust, mintKey, ports } = this.#options;
    const lease = liveDelegate(trust.read, mintKey.publicKey.thumbprint, ports.now())?.lease;
    return lease?.operations.includes('capability.mint') === true ? lease : undefined;
  }

  #requireLease(): Lease {
    const lease = this.#lease();
    const { failure } = this;
    if (lease === undefined || failure !== undefined) {
      const why = failure === 'lease_ending' ? 'is about to end' : 'is missing or has ended';
      throw new IssuerRefusal('mint_unavailable', `mint lease ${why}: an admin must renew it`);
    }
    return lease;
  }
}
