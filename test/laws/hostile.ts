import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { type AccountStore, openLibsqlStore, type StoredCheckpoint } from '@bulla/issuer';
import {
  type Access,
  createVerifier,
  memoryReplay,
  type Receipt,
  type Signer,
  systemPorts,
  type Verifier,
} from '@bulla/verifier';
import { createProof, encodeBase64url, type RootClaims, signRoot } from '@bulla/verifier/envelope';
import {
  type Alarm,
  createFollower,
  type Follower,
  leasable,
  type Operation,
  signCheckpoint,
  type TrustView,
  World,
} from '@bulla/verifier/log';
import { type PolicySetDocument, policySetDigest } from '@bulla/verifier/policy';
import { type ServerType, serve } from '@hono/node-server';
import { notesPolicy, outcomeOf, readNote } from '../kit/api.ts';
import { audience, IssuerWorld, readToken } from '../kit/issuer.ts';
import { observe } from '../kit/leaks.ts';
import { type Ledger, newSigner, type Party } from '../kit/log.ts';

/** As the notes policy, and contractors never write: a `forbid` that stands on a membership. */
const guardedPolicy: PolicySetDocument = {
  ...notesPolicy,
  policies: {
    ...notesPolicy.policies,
    'no-contractors': {
      effect: 'forbid',
      principal: { op: 'in', entity: { type: 'Group', id: 'contractors' } },
      action: { op: '==', entity: { type: 'Action', id: 'write' } },
      resource: { op: 'All' },
      conditions: [],
    },
  },
};

/** A person and an agent of theirs. */
export interface Pair {
  readonly owner: Party;
  readonly agent: Party;
}

/** Claims of an honest root for the pair, as the log stands. */
export function rootClaims(
  ledger: Ledger,
  { owner, agent }: Pair,
  now: number,
  change: Partial<RootClaims> = {},
): RootClaims {
  const iat = Math.floor(now);
  return {
    iss: 'https://issuer.example',
    aud: [audience],
    sub: owner.id,
    jti: randomUUID(),
    iat,
    exp: iat + 300,
    account: ledger.account,
    epoch: {
      principal: ledger.read(`principal/${owner.id}`)?.epoch ?? 0,
      agent: ledger.read(`agent/${agent.id}`)?.epoch ?? 0,
    },
    client_id: agent.id,
    cnf: { jkt: agent.signer.publicKey.thumbprint },
    key: 'logged',
    policy: ledger.read('slot/main')?.digest ?? '',
    narrow: [],
    depth: 4,
    ...change,
  };
}

/** A verifier over a follower's view, and what it says of an envelope with a fresh proof. */
export class Api {
  readonly receipts: Receipt[] = [];
  readonly verifier: Verifier;
  readonly #now: () => number;

  constructor(trust: TrustView, now: () => number) {
    this.#now = now;
    this.verifier = createVerifier({
      account: trust.account,
      audience,
      publicOrigins: [audience],
      trust,
      replay: memoryReplay({ processes: 1, startedAt: now() - 3600 }),
      ports: { now },
      onReceipt: (receipt) => {
        observe('a receipt', JSON.stringify(receipt));
        this.receipts.push(receipt);
      },
    });
  }

  async outcome(envelope: string, holder: Signer, access: Access = readNote()): Promise<string> {
    const url = new URL('/notes/1', audience);
    const proof = createProof({ method: 'GET', url, envelope, signer: holder, now: this.#now() });
    const headers = [
      ['host', url.host],
      ['authorization', `DPoP ${envelope}`],
      ['dpop', proof],
    ] as const;
    const wire = { method: 'GET', target: url.pathname, headers, body: Buffer.alloc(0) };
    return outcomeOf(this.verifier.decide(wire, access));
  }
}

/**
 * A real issuer over a real store and HTTP, and Eve, who has all of it: the process, the database, the mint key, the log
 * key, and a delegate key with every operation a lease can list, the group `interns` and the attribute `team`. A real
 * follower and a real verifier stand on the other side.
 */
export class HostileIssuer {
  readonly alarms: Alarm[] = [];
  readonly world: IssuerWorld;
  readonly eve: Signer = newSigner();
  readonly follower: Follower;
  readonly api: Api;
  readonly #server: ServerType;
  /** What Eve signs for: the whole log, leaves that readers skip included. */
  readonly #tree: World;
  readonly #url: string;

  private constructor(world: IssuerWorld, server: ServerType, address: AddressInfo) {
    this.world = world;
    this.#server = server;
    this.#url = `http://127.0.0.1:${address.port}`;
    this.#tree = new World({ account: world.ledger.account });
    this.follower = this.#follow();
    this.api = new Api(this.follower.trust, world.ports.now);
  }

  static async create(leaseSeconds = 86_400): Promise<HostileIssuer> {
    const world = await IssuerWorld.create({ config: { checkpointSeconds: 0.05 }, leaseSeconds });
    const hostile = await new Promise<HostileIssuer>((resolve) => {
      const fetch = (request: Request) => world.issuer.app.fetch(request);
      const server = serve({ fetch, hostname: '127.0.0.1', port: 0 }, (address) =>
        resolve(new HostileIssuer(world, server, address)),
      );
    });
    const { ledger } = world;
    for (const group of ['interns', 'contractors', 'helpers']) ledger.group(group);
    ledger.trustDomain();
    ledger.policy('main', policySetDigest(guardedPolicy));
    const operations = [...leasable].filter((operation) => operation !== 'capability.mint');
    const notAfter = ledger.time + leaseSeconds;
    ledger.grant({ operations, groups: ['interns'], attributes: ['team'], notAfter }, hostile.eve);
    await hostile.publish([guardedPolicy]);
    return hostile;
  }

  get ledger(): Ledger {
    return this.world.ledger;
  }

  get mint(): Signer {
    return this.world.mint.signer;
  }

  #follow(): Follower {
    const follower = createFollower({
      account: this.ledger.account,
      url: this.#url,
      readToken,
      pollSeconds: 0.01,
      maxBackoffSeconds: 0.05,
      ports: { ...systemPorts, now: this.world.ports.now },
      onAlarm: (alarm) => {
        observe('an alarm', JSON.stringify(alarm));
        this.alarms.push(alarm);
      },
    });
    follower.start();
    return follower;
  }

  async close(): Promise<void> {
    await this.follower.close();
    await this.world.remove();
    await new Promise((resolve) => {
      this.#server.close(resolve);
      if ('closeAllConnections' in this.#server) this.#server.closeAllConnections();
    });
  }

  async #post(leaf: string, documents: readonly PolicySetDocument[] = []): Promise<Response> {
    return fetch(`${this.#url}${this.world.base}/log/entries`, {
      method: 'POST',
      headers: { authorization: `Bearer ${readToken}`, 'content-type': 'application/json' },
      body: JSON.stringify(documents.length === 0 ? { leaf } : { leaf, documents }),
    });
  }

  /** Posts what the ledger has and the issuer has not, and waits until the follower has it too. */
  async publish(documents: readonly PolicySetDocument[] = []): Promise<void> {
    const known = await this.#behindItsBack((store) => store.size());
    for (const leaf of this.ledger.leaves.slice(known)) {
      const payload = Buffer.from(leaf.split('.')[1] ?? '', 'base64url').toString();
      const needed = documents.filter((document) => payload.includes(policySetDigest(document)));
      const response = await this.#post(leaf, needed);
      if (response.status !== 201) throw new Error(`honest entry was refused: ${await response.text()}`);
    }
    const size = this.ledger.leaves.length;
    await this.follower.until(
      (trust) => trust.size >= size && trust.policySet(trust.read('slot/main')?.digest ?? '') !== undefined,
    );
  }

  async #behindItsBack<T>(work: (store: AccountStore) => Promise<T>): Promise<T> {
    const store = openLibsqlStore(this.world.config.database);
    try {
      return await work(await store.openAccount(this.ledger.account));
    } finally {
      await store.close();
    }
  }

  /** The honest issuer's answer to a leaf: its code. */
  async posted(leaf: string): Promise<string> {
    const response = await this.#post(leaf);
    return response.ok ? 'accepted' : ((await response.json()) as { code: string }).code;
  }

  /**
   * Eve stops the issuer, writes a leaf straight into the store, signs a checkpoint over it with the log key, and starts
   * the issuer again, which serves both.
   *
   * @returns the code of the alarm that the follower raised about the leaf, or `accepted`.
   */
  async write(leaf: string): Promise<string> {
    const seq = this.ledger.leaves.length;
    this.ledger.force(leaf);
    for (const each of this.ledger.leaves.slice(this.#tree.size)) this.#tree.append(each);
    await this.world.issuer.close();
    await this.#behindItsBack(async (store) => {
      const append = { expectedSize: seq, leaves: [leaf], documents: new Map(), writes: new Map(), rows: [] };
      if ((await store.append(append)) !== 'appended') throw new Error('ledger and store differ');
      await store.saveCheckpoint(this.#sign());
    });
    await this.world.start();
    await this.follower.until((trust) => trust.size > seq);
    return this.alarms.find((alarm) => alarm.seq === seq)?.code ?? 'accepted';
  }

  #sign(): StoredCheckpoint {
    const [size, root, state] = [this.#tree.size, this.#tree.treeRoot(), this.#tree.stateRoot()];
    const time = Math.floor(this.world.ports.now());
    const origin = this.ledger.read('account')?.origin ?? '';
    const note = signCheckpoint({ origin, size, root, state }, time, this.world.log.signer);
    return { size, root: encodeBase64url(root), time, note };
  }

  /** Tries an operation with the delegate key: over HTTP, then behind the issuer's back. @returns both codes. */
  async tries(op: Operation, cosigners: readonly Signer[] = []): Promise<readonly [string, string]> {
    const leaf = this.ledger.sign({ op }, this.eve, cosigners);
    return [await this.posted(leaf), await this.write(leaf)];
  }

  /** Tries a request signed by any key, wrapped with the delegate key. */
  async triesRequest(
    op: Operation,
    subject: string,
    signer: Signer,
    cosigners: readonly Signer[] = [],
  ): Promise<readonly [string, string]> {
    const request = this.ledger.signRequest(op, subject, signer, { cosigners });
    const leaf = this.ledger.sign({ request }, this.eve);
    return [await this.posted(leaf), await this.write(leaf)];
  }

  /** An envelope that the real mint key signs, for alice and her agent unless told. */
  envelope(change: Partial<RootClaims> = {}, pair: Pair = this.alice): string {
    return signRoot(rootClaims(this.ledger, pair, this.world.ports.now(), change), this.mint);
  }

  get alice(): Pair {
    return { owner: this.world.alice, agent: this.world.agent };
  }

  outcome(envelope: string, holder: Signer = this.world.agent.signer, access?: Access): Promise<string> {
    return this.api.outcome(envelope, holder, access);
  }
}
