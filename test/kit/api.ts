import { randomUUID } from 'node:crypto';
import {
  type Access,
  createVerifier,
  type Decision,
  memoryReplay,
  type Receipt,
  Refusal,
  type ReplayStore,
  type RouteOptions,
  type Signer,
  type Verifier,
  type WireRequest,
} from '@bulla/verifier';
import { createProof, type ProofRequest, type RootClaims, signRoot } from '@bulla/verifier/envelope';
import type { TrustView } from '@bulla/verifier/log';
import { type PolicySetDocument, policySetDigest } from '@bulla/verifier/policy';
import { observe } from './leaks.ts';
import { createLedger, type Ledger, type LedgerOptions, type Party } from './log.ts';

export const audience = 'https://api.example';

/** Notes in folders: staff may read and write, nobody may touch what is in the folder `secret`. */
export const notesPolicy: PolicySetDocument = {
  version: 1,
  policies: {
    'staff-notes': {
      effect: 'permit',
      principal: { op: 'in', entity: { type: 'Group', id: 'staff' } },
      action: {
        op: 'in',
        entities: [
          { type: 'Action', id: 'read' },
          { type: 'Action', id: 'write' },
        ],
      },
      resource: { op: 'All' },
      conditions: [],
      annotations: { reason: 'staff may read and write notes' },
    },
    'no-secrets': {
      effect: 'forbid',
      principal: { op: 'All' },
      action: { op: 'All' },
      resource: { op: 'in', entity: { type: 'Folder', id: 'secret' } },
      conditions: [],
      annotations: { reason: 'this folder is closed' },
    },
  },
  schema: {
    '': {
      entityTypes: {
        User: { memberOfTypes: ['Group'] },
        Group: { memberOfTypes: ['Group'] },
        Folder: {},
        Note: { memberOfTypes: ['Folder'] },
      },
      actions: {
        read: { appliesTo: { principalTypes: ['User'], resourceTypes: ['Note'] } },
        write: { appliesTo: { principalTypes: ['User'], resourceTypes: ['Note'] } },
      },
    },
  },
};

/** One account, one API, alice (in `staff`) with her agent, and a verifier that sees the ledger as it is. */
export class ApiWorld {
  readonly ledger: Ledger;
  readonly mint: Signer;
  readonly alice: Party;
  readonly agent: Party;
  readonly receipts: Receipt[] = [];
  readonly documents: Map<string, PolicySetDocument> = new Map<string, PolicySetDocument>();
  readonly stops: Set<string> = new Set<string>();
  readonly verifier: Verifier;
  readonly trust: TrustView;
  /** Unix seconds, as the verifier sees them. */
  now: number;
  /** Age of the trust state, seconds. */
  age = 0;

  constructor(options: ApiWorldOptions = {}) {
    this.ledger = createLedger(options.ledger);
    this.now = this.ledger.time + 100;
    this.ledger.group('staff', { protected: true });
    this.publish(options.policy ?? notesPolicy);
    this.ledger.audience(audience);
    this.mint = this.ledger.mint([audience]);
    this.alice = this.ledger.person({ groups: ['staff'] });
    this.agent = this.ledger.agent(this.alice, options.agentKey && { signer: options.agentKey });
    const { ledger } = this;
    this.trust = {
      account: ledger.account,
      get size() {
        return ledger.leaves.length;
      },
      root: 'root',
      read: ledger.read,
      age: () => this.age,
      policySet: (digest) => this.documents.get(digest),
      stopped: (key) => this.stops.has(key),
    };
    this.verifier = this.verifierWith({});
  }

  /** Another verifier over the same world. */
  verifierWith(change: {
    readonly replay?: ReplayStore;
    readonly trust?: TrustView;
    readonly audience?: string;
    readonly publicOrigins?: readonly string[];
    readonly onReceipt?: (receipt: Receipt) => void;
  }): Verifier {
    return createVerifier({
      account: this.ledger.account,
      audience,
      publicOrigins: [audience],
      trust: this.trust,
      replay: memoryReplay({ processes: 1, startedAt: this.now - 3600 }),
      onReceipt: (receipt) => {
        observe('a receipt', JSON.stringify(receipt));
        this.receipts.push(receipt);
      },
      ports: { now: () => this.now },
      ...change,
    });
  }

  publish(document: PolicySetDocument, overlapUntil?: number): string {
    const digest = policySetDigest(document);
    this.documents.set(digest, document);
    this.ledger.do({
      type: 'policy.publish',
      slot: 'main',
      digest,
      ...(overlapUntil !== undefined && { overlapUntil }),
    });
    return digest;
  }

  /** Claims of an honest root for alice's agent, as the log stands. */
  claims(change: Partial<RootClaims> = {}): RootClaims {
    return {
      iss: 'https://issuer.example',
      aud: [audience],
      sub: this.alice.id,
      jti: randomUUID(),
      iat: this.now,
      exp: this.now + 300,
      account: this.ledger.account,
      epoch: {
        principal: this.ledger.read(`principal/${this.alice.id}`)?.epoch ?? 0,
        agent: this.ledger.read(`agent/${this.agent.id}`)?.epoch ?? 0,
      },
      client_id: this.agent.id,
      cnf: { jkt: this.agent.signer.publicKey.thumbprint },
      key: 'logged',
      policy: this.ledger.read('slot/main')?.digest ?? '',
      narrow: [],
      depth: 4,
      ...change,
    };
  }

  envelope(change: Partial<RootClaims> = {}, mint: Signer = this.mint): string {
    return signRoot(this.claims(change), mint);
  }

  request(options: Partial<ProofRequest> & { readonly envelope: string }): WireRequest {
    const url = new URL(options.url ?? '/notes/1', audience);
    const method = options.method ?? 'GET';
    const proof = createProof({ signer: this.agent.signer, now: this.now, ...options, method, url });
    return {
      method,
      target: url.pathname + url.search,
      headers: [
        ['host', url.host],
        ['authorization', `DPoP ${options.envelope}`],
        ['dpop', proof],
        ...Object.entries(options.headers ?? {}),
      ],
      body: Buffer.from(options.body ?? ''),
    };
  }

  decide(request: WireRequest, access: Access = readNote(), route?: RouteOptions): Promise<Decision> {
    return this.verifier.decide(request, access, route);
  }

  /** `allow`, `deny`, or the code it was refused with, for a fresh proof of this envelope. */
  async outcome(envelope: string, access?: Access, signer: Signer = this.agent.signer): Promise<string> {
    return outcomeOf(this.decide(this.request({ envelope, signer }), access));
  }
}

export interface ApiWorldOptions {
  readonly ledger?: LedgerOptions;
  readonly policy?: PolicySetDocument;
  readonly agentKey?: Signer;
}

export function readNote(id = '1', folder = 'open', action = 'read'): Access {
  return {
    action,
    resource: () => ({ type: 'Note', id, ancestors: [{ type: 'Folder', id: folder }] }),
  };
}

export async function outcomeOf(decision: Promise<Decision>): Promise<string> {
  try {
    return (await decision).allowed ? 'allow' : 'deny';
  } catch (error) {
    if (error instanceof Refusal) {
      observe('the message of a refusal', error.message);
      return error.code;
    }
    throw error;
  }
}
