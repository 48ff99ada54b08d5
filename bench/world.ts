import { randomUUID } from 'node:crypto';
import {
  createSigner,
  createVerifier,
  generatePrivateJwk,
  memoryReplay,
  type PrivateJwk,
  type Signer,
  type Verifier,
  type WireRequest,
} from '@bulla/verifier';
import { createProof, type Json, type RootClaims, signRoot } from '@bulla/verifier/envelope';
import {
  accountIdOf,
  agentIdOf,
  apply,
  genesisPosition,
  type Lease,
  leafHash,
  nextPosition,
  type Operation,
  type Position,
  parseEntry,
  principalIdOf,
  type Read,
  signEntry,
  signRequest,
  type TrustView,
} from '@bulla/verifier/log';
import { type PolicySetDocument, policySetDigest } from '@bulla/verifier/policy';

export type Curve = 'Ed25519' | 'P-256';

/** A trust log in memory: genesis, the state, and every leaf. */
export class Ledger {
  readonly admin: Signer = createSigner(generatePrivateJwk());
  readonly leaves: string[] = [];
  readonly account: string;
  /** Time of the next entry, Unix seconds. */
  time: number;
  readonly #state = new Map<string, Json>();
  #position: Position;

  constructor(time: number, logKey: Signer, origin: string) {
    this.time = time;
    const op: Operation = {
      type: 'account.create',
      rules: 1,
      nonce: leafHash(logKey.publicKey.thumbprint),
      origin,
      logKey: logKey.publicKey.jwk,
      admins: [this.admin.publicKey.jwk],
      threshold: 1,
    };
    const genesis = signEntry({ seq: 0, time, op }, this.admin, [logKey]);
    this.account = accountIdOf(genesis);
    this.#position = genesisPosition(this.account);
    this.#append(genesis);
  }

  readonly read: Read = (key) => this.#state.get(key) as never;

  /** Appends an operation that the admin signs. @returns the leaf. */
  do(op: Operation, cosigners: readonly Signer[] = []): string {
    return this.#append(signEntry({ ...this.#next(), op }, this.admin, cosigners));
  }

  /** Appends an owner's request that the admin wraps. @returns the leaf. */
  ask(op: Operation, subject: `principal/${string}`, signer: Signer, cosigner: Signer): string {
    const request = signRequest(
      {
        account: this.account,
        op,
        subject,
        subjectVersion: this.read(subject)?.version ?? 0,
        notAfter: this.time + 3600,
      },
      signer,
      [cosigner],
    );
    return this.#append(signEntry({ ...this.#next(), request }, this.admin));
  }

  /** Takes in a leaf that somebody else appended to the same log. */
  take(leaf: string): void {
    this.#append(leaf);
    this.time = Math.max(this.time, parseEntry(leaf).time);
  }

  #next(): { readonly account: string; readonly seq: number; readonly prev: string; readonly time: number } {
    const { account, seq, prevHash } = this.#position;
    return { account, seq, prev: prevHash ?? '', time: this.time };
  }

  #append(leaf: string): string {
    const change = apply(this.read, this.#position, leaf);
    for (const [key, value] of change.writes) this.#state.set(key, value);
    this.leaves.push(leaf);
    this.#position = nextPosition(this.#position, leafHash(leaf), change);
    return leaf;
  }
}

export interface WorldOptions {
  readonly policy: PolicySetDocument;
  /** Of the mint and the agent. Default Ed25519. */
  readonly curve?: Curve;
  readonly audience?: string;
  /** Unix seconds of the whole log. */
  readonly time?: number;
  readonly logKey?: Signer;
  readonly origin?: string;
}

/** One account, one API, a person in the group `staff` with an agent, and whoever may mint for it. */
export class World {
  readonly ledger: Ledger;
  readonly audience: string;
  readonly mintJwk: PrivateJwk;
  readonly mint: Signer;
  readonly agentJwk: PrivateJwk;
  readonly agent: Signer;
  readonly personId: string;
  readonly agentId: string;
  readonly policyDigest: string;
  readonly trust: TrustView;
  /** Unix seconds, as the verifier sees them. */
  now: number;

  constructor(options: WorldOptions) {
    const { policy, curve = 'Ed25519', audience = 'https://api.example', time = 1_800_000_000 } = options;
    const logKey = options.logKey ?? createSigner(generatePrivateJwk());
    this.ledger = new Ledger(time, logKey, options.origin ?? 'log.example/bench');
    this.audience = audience;
    this.now = time + 100;
    this.mintJwk = generatePrivateJwk(curve);
    this.mint = createSigner(this.mintJwk);
    this.agentJwk = generatePrivateJwk(curve);
    this.agent = createSigner(this.agentJwk);
    this.policyDigest = policySetDigest(policy);
    const { ledger } = this;
    ledger.do({ type: 'group.create', group: 'staff', protected: true });
    ledger.do({ type: 'policy.publish', slot: 'main', digest: this.policyDigest });
    ledger.do({ type: 'audience.register', audience, slot: 'main', maxStalenessSeconds: 60 });
    this.grant(this.mint, ['capability.mint']);
    const person = createSigner(generatePrivateJwk());
    this.personId = principalIdOf(
      ledger.do({
        type: 'principal.provision',
        groups: ['staff'],
        attributes: { team: 'blue' },
        sponsor: false,
      }),
    );
    ledger.do({ type: 'principal.activate', principal: this.personId, key: person.publicKey.jwk }, [person]);
    const register: Operation = {
      type: 'agent.register',
      owner: this.personId,
      kind: 'autonomous',
      key: this.agent.publicKey.jwk,
    };
    this.agentId = agentIdOf(ledger.ask(register, `principal/${this.personId}`, person, this.agent));
    this.trust = {
      account: ledger.account,
      size: ledger.leaves.length,
      root: 'root',
      read: ledger.read,
      age: () => 0,
      policySet: (digest) => (digest === this.policyDigest ? policy : undefined),
      stopped: () => false,
    };
  }

  grant(key: Signer, operations: readonly string[], change: Partial<Lease> = {}): void {
    const lease = {
      operations,
      groups: [],
      attributes: [],
      audiences: operations.includes('capability.mint') ? [this.audience] : [],
      maxLifetimeSeconds: operations.includes('capability.mint') ? 3600 : 0,
      notAfter: this.ledger.time + 86_400,
      maxEntriesPerHour: 1000,
      maxEntries: 1000,
      ...change,
    };
    this.ledger.do({ type: 'delegate.grant', key: key.publicKey.jwk, lease }, [key]);
  }

  /** A verifier with a replay store of its own, and a host that takes the receipts. */
  verifier(maxEnvelopeBytes?: number): Verifier {
    return createVerifier({
      account: this.ledger.account,
      audience: this.audience,
      publicOrigins: [this.audience],
      trust: this.trust,
      replay: memoryReplay({ processes: 1, startedAt: this.now - 3600 }),
      onReceipt: () => undefined,
      ports: { now: () => this.now },
      ...(maxEnvelopeBytes !== undefined && { maxEnvelopeBytes }),
    });
  }

  /** A root block for the agent, as an honest mint writes it. */
  envelope(change: Partial<RootClaims> = {}, mint: Signer = this.mint): string {
    return signRoot(
      {
        iss: `https://issuer.example/a/${this.ledger.account}`,
        aud: [this.audience],
        sub: this.personId,
        jti: randomUUID(),
        iat: Math.floor(this.now),
        exp: Math.floor(this.now) + 300,
        account: this.ledger.account,
        epoch: {
          principal: this.ledger.read(`principal/${this.personId}`)?.epoch ?? 0,
          agent: this.ledger.read(`agent/${this.agentId}`)?.epoch ?? 0,
        },
        client_id: this.agentId,
        cnf: { jkt: this.agent.publicKey.thumbprint },
        key: 'logged',
        policy: this.policyDigest,
        narrow: [],
        depth: 15,
        ...change,
      },
      mint,
    );
  }

  /** A GET with a new proof, as it stands on the wire behind an ordinary client. */
  request(envelope: string, signer: Signer = this.agent): WireRequest {
    const url = new URL('/documents/1', this.audience);
    return {
      method: 'GET',
      target: url.pathname,
      headers: [
        ['host', url.host],
        ['authorization', `DPoP ${envelope}`],
        ['dpop', createProof({ method: 'GET', url, envelope, signer, now: this.now })],
        ['accept', 'application/json'],
        ['accept-encoding', 'gzip, deflate, br'],
        ['user-agent', 'bench'],
      ],
      body: new Uint8Array(),
    };
  }
}
