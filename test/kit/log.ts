import { createSigner, generatePrivateJwk, Refusal, type Signer } from '@bulla/verifier';
import type { Json } from '@bulla/verifier/envelope';
import {
  accountIdOf,
  agentIdOf,
  apply,
  type Change,
  type EntryDraft,
  genesisPosition,
  type Lease,
  leafHash,
  nextPosition,
  type Operation,
  type Position,
  principalIdOf,
  type Read,
  type RequestDraft,
  signEntry,
  signRequest,
} from '@bulla/verifier/log';

export function newSigner(curve: 'Ed25519' | 'P-256' = 'Ed25519'): Signer {
  return createSigner(generatePrivateJwk(curve));
}

/** The e-mail domain of people whom a delegate provisions in tests. */
export const testDomain = 'corp.example';

/** All that a connection may be lent. */
export const managing: readonly string[] = [
  'principal.provision',
  'principal.update',
  'principal.suspend',
  'principal.resume',
  'principal.deprovision',
  'member.add',
  'member.remove',
  'agent.suspend',
  'agent.resume',
  'agent.revoke',
  'key.revoke',
];

/** What a lease that provisions people must say. */
const provisioning: Partial<Lease> = {
  connection: 'corp',
  domains: [testDomain],
  logins: ['corp'],
  caps: { provisions: 1000, provisionsPerHour: 1000, removals: 1000, removalsPerHour: 1000 },
};

/** A person or an agent of a test: id, and the key it signs with. */
export interface Party {
  readonly id: string;
  readonly signer: Signer;
}

type TrustLogin = Extract<Operation, { readonly type: 'login.trust' }>;
type TrustOutside = Extract<Operation, { readonly type: 'federation.trust' }>;

export interface LedgerOptions {
  /** Unix seconds of genesis. Default 1,800,000,000. */
  readonly time?: number;
  /** Admin keys; default one. */
  readonly admins?: readonly Signer[];
  readonly threshold?: number;
  readonly logKey?: Signer;
  readonly origin?: string;
}

export interface RequestOptions {
  /** Who wraps it; default the first admin. */
  readonly relay?: Signer;
  readonly cosigners?: readonly Signer[];
  readonly change?: Partial<RequestDraft>;
}

/** A trust log in memory: genesis, a plain map as state, and shortcuts that append valid entries. */
export class Ledger {
  readonly leaves: string[] = [];
  /** Change of each leaf, undefined where it was refused. */
  readonly changes: (Change | undefined)[] = [];
  readonly state: Map<string, Json> = new Map<string, Json>();
  readonly account: string;
  readonly admins: readonly Signer[];
  readonly logKey: Signer;
  /** Time of the next entry, Unix seconds. */
  time: number;
  position: Position;

  constructor(options: LedgerOptions = {}) {
    this.time = options.time ?? 1_800_000_000;
    this.admins = options.admins ?? [newSigner()];
    this.logKey = options.logKey ?? newSigner();
    const [first, ...rest] = this.admins;
    if (first === undefined) throw new Error('a ledger needs an admin');
    const op: Operation = {
      type: 'account.create',
      rules: 1,
      nonce: leafHash(this.logKey.publicKey.thumbprint),
      origin: options.origin ?? 'log.example/a',
      logKey: this.logKey.publicKey.jwk,
      admins: this.admins.map(({ publicKey }) => publicKey.jwk),
      threshold: options.threshold ?? 1,
    };
    const genesis = signEntry({ seq: 0, time: this.time, op }, first, [...rest, this.logKey]);
    this.account = accountIdOf(genesis);
    this.position = genesisPosition(this.account);
    this.append(genesis);
  }

  readonly read: Read = (key) => this.state.get(key) as never;

  get admin(): Signer {
    const [first] = this.admins;
    if (first === undefined) throw new Error('a ledger needs an admin');
    return first;
  }

  /** Applies a leaf and appends it. @throws {Refusal} and then nothing has changed, nor is the leaf appended. */
  append(leaf: string): Change {
    const change = apply(this.read, this.position, leaf);
    this.#take(leaf, change);
    return change;
  }

  /** Appends a leaf that no honest issuer would: what a follower does with it. @returns the code, or `accepted`. */
  force(leaf: string): string {
    const code = this.codeOf(leaf);
    if (code === 'accepted') this.append(leaf);
    else this.#take(leaf, undefined);
    return code;
  }

  /** The code a leaf is refused with here, or `accepted`. Changes nothing. */
  codeOf(leaf: string): string {
    try {
      apply(this.read, this.position, leaf);
      return 'accepted';
    } catch (error) {
      if (error instanceof Refusal) return error.code;
      throw error;
    }
  }

  #take(leaf: string, change: Change | undefined): void {
    for (const [key, value] of change?.writes ?? []) this.state.set(key, value);
    this.leaves.push(leaf);
    this.changes.push(change);
    this.position = nextPosition(this.position, leafHash(leaf), change);
  }

  /** A leaf for the next position. */
  sign(
    content: { readonly op: Operation } | { readonly request: string },
    signer: Signer = this.admin,
    cosigners: readonly Signer[] = [],
    change: Partial<EntryDraft> = {},
  ): string {
    const { account, seq, prevHash } = this.position;
    const prev = prevHash ?? '';
    return signEntry({ account, seq, prev, time: this.time, ...content, ...change }, signer, cosigners);
  }

  /** A request about `subject` as it is now, good for an hour. */
  signRequest(
    op: Operation,
    subject: string,
    signer: Signer,
    options: Omit<RequestOptions, 'relay'> = {},
  ): string {
    const version = this.read(subject as `principal/${string}`)?.version ?? 0;
    const notAfter = this.time + 3600;
    const draft = { account: this.account, op, subject, subjectVersion: version, notAfter };
    return signRequest({ ...draft, ...options.change }, signer, options.cosigners);
  }

  /** Appends an operation signed by admins (all of them) or by `signer`. */
  do(op: Operation, cosigners: readonly Signer[] = [], signer?: Signer): Change {
    const [, ...others] = this.admins;
    const signers = signer === undefined ? [...others, ...cosigners] : cosigners;
    return this.append(this.sign({ op }, signer ?? this.admin, signers));
  }

  /** Appends a request of a person or agent. */
  ask(op: Operation, subject: string, signer: Signer, options: RequestOptions = {}): Change {
    const request = this.signRequest(op, subject, signer, options);
    return this.append(this.sign({ request }, options.relay ?? this.admin));
  }

  /** Grants a lease: a day long, nothing listed but what `lease` says. */
  grant(lease: Partial<Lease> = {}, signer: Signer = newSigner()): Signer {
    this.do({ type: 'delegate.grant', key: signer.publicKey.jwk, lease: this.lease(lease) }, [signer]);
    return signer;
  }

  lease(lease: Partial<Lease> = {}): Lease {
    return {
      operations: [],
      groups: [],
      attributes: [],
      audiences: [],
      maxLifetimeSeconds: lease.operations?.includes('capability.mint') === true ? 600 : 0,
      notAfter: this.time + 86_400,
      maxEntriesPerHour: 100,
      maxEntries: 1000,
      ...(lease.operations?.includes('principal.provision') === true && provisioning),
      ...lease,
    };
  }

  /** A delegate that mints for these audiences. */
  mint(audiences: readonly string[], signer: Signer = newSigner()): Signer {
    return this.grant({ operations: ['capability.mint'], audiences }, signer);
  }

  /** Lets delegates provision people in this e-mail domain. */
  trustDomain(domain: string = testDomain): string {
    this.do({ type: 'domain.trust', domain });
    return domain;
  }

  /** A person, active unless told, with a first key. `by`: a delegate provisions them, in the domain of tests. */
  person(
    options: {
      readonly groups?: readonly string[];
      readonly attributes?: Readonly<Record<string, Json>>;
      readonly sponsor?: boolean;
      readonly pending?: boolean;
      readonly signer?: Signer;
      readonly by?: Signer;
    } = {},
  ): Party {
    const { groups = [], attributes = {}, sponsor = false, signer = newSigner(), by } = options;
    const domain = by === undefined ? {} : { domain: testDomain };
    this.do({ type: 'principal.provision', groups, attributes, sponsor, ...domain }, [], by);
    const id = principalIdOf(this.lastLeaf);
    if (options.pending !== true) {
      this.do({ type: 'principal.activate', principal: id, key: signer.publicKey.jwk }, [signer]);
    }
    return { id, signer };
  }

  /** An agent registered by its owner's request; an interactive one by the admin. */
  agent(
    owner: Party,
    options: { readonly kind?: 'autonomous' | 'interactive'; readonly signer?: Signer } = {},
  ): Party {
    const { kind = 'autonomous', signer = newSigner() } = options;
    const op: Operation = { type: 'agent.register', owner: owner.id, kind, key: signer.publicKey.jwk };
    if (kind === 'interactive') this.do(op, [signer]);
    else this.ask(op, `principal/${owner.id}`, owner.signer, { cosigners: [signer] });
    return { id: agentIdOf(this.lastLeaf), signer };
  }

  /** Trusts an outside issuer: by default GitHub Actions of one repository, under a key that no test has. */
  trustOutside(agent: { readonly id: string }, change: Partial<TrustOutside> = {}): string {
    const name = change.name ?? 'build';
    this.do({
      type: 'federation.trust',
      issuer: 'https://token.actions.githubusercontent.com',
      profile: 'github',
      keys: [leafHash('outside')],
      claims: { repository: 'octo-org/octo-repo' },
      ...change,
      name,
      agent: agent.id,
    });
    return name;
  }

  /** Trusts an IdP to confirm people: by default under a key that no test has. */
  trustLogin(change: Partial<TrustLogin> = {}): string {
    const name = change.name ?? 'staff';
    this.do({
      type: 'login.trust',
      issuer: 'https://login.example',
      keys: [leafHash('login')],
      audience: 'bulla',
      claim: 'sub',
      ...change,
      name,
    });
    return name;
  }

  group(name: string, options: { readonly protected?: boolean } = {}): string {
    this.do({ type: 'group.create', group: name, protected: options.protected ?? false });
    return name;
  }

  /** Publishes a digest in a slot. @returns the digest. */
  policy(slot = 'main', digest: string = someDigest(slot)): string {
    this.do({ type: 'policy.publish', slot, digest });
    return digest;
  }

  audience(audience: string, slot = 'main', maxStalenessSeconds = 60): string {
    this.do({ type: 'audience.register', audience, slot, maxStalenessSeconds });
    return audience;
  }

  get lastLeaf(): string {
    return this.leaves.at(-1) ?? '';
  }
}

export function createLedger(options?: LedgerOptions): Ledger {
  return new Ledger(options);
}

/** A policy digest of the right form. */
export function someDigest(text: string): string {
  return `sha-256:${leafHash(text)}`;
}
