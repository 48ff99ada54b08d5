import { limits, type PublicKey, type Signer } from '@bulla/verifier';
import {
  encodeBase64url,
  type HolderClaims,
  type InspectedEnvelope,
  inspect,
  type Json,
  type RootClaims,
  signMintBlock,
  signRoot,
} from '@bulla/verifier/envelope';
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
  /** The first holder's key, and how it is known to be the party's. */
  readonly holder: HolderClaims;
  /** Unix seconds that the envelope must not outlive. */
  readonly expiresBy?: number | undefined;
}

/** What is taken from an envelope that was checked before. */
export interface DownscopeRequest {
  readonly envelope: string;
  /** What it comes to after all its blocks. */
  readonly effective: Pick<InspectedEnvelope['effective'], 'aud' | 'exp' | 'depth'>;
  readonly target: Target;
  readonly narrow: readonly Json[];
  /** The key that holds it, and goes on holding it. */
  readonly holder: PublicKey;
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
   * @throws {IssuerRefusal} `mint_unavailable`, `mint_self_check`, `subject_token_refused`, `parameter_invalid` where what is
   *   asked for does not fit into an envelope.
   */
  mint({ party, target, narrow, holder, expiresBy = Infinity }: MintRequest): Minted {
    const { issuer, mintKey, trust, config, ports } = this.#options;
    const lease = this.#requireLease();
    const iat = Math.floor(ports.now());
    const exp = Math.min(this.#latestEnd(lease, iat), Math.floor(expiresBy));
    if (exp <= iat) throw new IssuerRefusal('subject_token_refused', 'subject token is about to expire');
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
      ...holder,
      policy: target.policy,
      narrow,
      depth: config.envelopeDepth,
    };
    const envelope = signRoot(claims, mintKey);
    requireRoom(envelope);
    requireSound(envelope, { root: claims, blocks: 0, audiences: claims.aud }, trust, ports.now());
    return { envelope, id: claims.jti, expiresInSeconds: exp - iat };
  }

  /**
   * Appends a block that takes away, signed by the mint, and verifies the result. The holder stays who it was; life and
   * audiences are never more than before.
   *
   * @throws {IssuerRefusal} `mint_unavailable`, `mint_self_check`, `subject_token_refused` for the envelope of another mint key.
   */
  downscope({ envelope, effective, target, narrow, holder }: DownscopeRequest): Minted {
    const { mintKey, trust, ports } = this.#options;
    const lease = this.#requireLease();
    const before = inspect(envelope);
    if (before.mint !== mintKey.publicKey.thumbprint) {
      throw new IssuerRefusal(
        'subject_token_refused',
        'envelope is by another mint key than this issuer has now: exchange the credential anew',
      );
    }
    const iat = Math.floor(ports.now());
    const exp = Math.min(effective.exp, this.#latestEnd(lease, iat));
    const longer = signMintBlock(
      envelope,
      { iat, exp, depth: effective.depth - 1, aud: target.audiences, narrow, next: holder.jwk },
      mintKey,
    );
    requireRoom(longer);
    const blocks = before.blocks.length + 1;
    requireSound(longer, { root: before.root, blocks, audiences: target.audiences }, trust, ports.now());
    return { envelope: longer, id: before.root.jti, expiresInSeconds: exp - iat };
  }

  #latestEnd(lease: Lease, iat: number): number {
    const lifetime = Math.min(
      this.#options.config.envelopeLifetimeSeconds,
      lease.maxLifetimeSeconds,
      limits.maxEnvelopeLifetimeSeconds,
    );
    return Math.min(iat + lifetime, lease.notAfter);
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

function requireRoom(envelope: string): void {
  if (envelope.length <= limits.maxEnvelopeBytes) return;
  throw new IssuerRefusal(
    'parameter_invalid',
    `envelope would be over ${limits.maxEnvelopeBytes} bytes: ask with fewer words, or a smaller subject token`,
  );
}
