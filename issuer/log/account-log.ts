import { Refusal, type Signer } from '@bulla/verifier';
import { encodeBase64url } from '@bulla/verifier/envelope';
import {
  type Change,
  type FederationRecord,
  liveDelegate,
  parseEntry,
  parseRequest,
  type Read,
  signEntry,
  TreeNodes,
  type TrustView,
  type UnverifiedEntry,
  World,
} from '@bulla/verifier/log';
import type { Engine } from '@bulla/verifier/policy';
import { IssuerRefusal } from '../errors.ts';
import { createRateLimit, type RateLimit } from '../http/rate.ts';
import type { IssuerPorts } from '../ports.ts';
import type { AccountStore, StoredCheckpoint } from '../store/store.ts';
import type { RowWrite } from '../store/table.ts';
import { CheckpointSigner } from './checkpoints.ts';
import { requireDocuments } from './documents.ts';
import { requireDelegateTime, requireTime } from './entry-time.ts';
import { draftPlan, type MakePlan, recordsOf, rowsInOrder, type Written } from './plan.ts';
import { appendStored, replay } from './replay.ts';
import { Roster } from './roster.ts';
import { Turns } from './turns.ts';

export interface AccountLogOptions {
  readonly store: AccountStore;
  readonly logKey: Signer;
  /** Wraps requests. */
  readonly delegateKey: Signer;
  readonly engine: Engine;
  readonly ports: IssuerPorts;
  /** What entries, whoever signed them, mean for the directory: written with them. Default: nothing. */
  readonly project?: (changes: readonly Change[], store: AccountStore) => Promise<readonly RowWrite[]>;
}

/** Where an accepted entry stands. */
export interface Accepted {
  readonly seq: number;
  /** Number of entries, this one included. */
  readonly size: number;
  /** base64url SHA-256 of this entry's leaf: the next one's `prev`. */
  readonly head: string;
}

/** Between the checkpoints of two writes. Part of the time from a suspension to the first refusal. */
const minCheckpointSeconds = 0.05;
/** How often a plan is made again because another process wrote first. */
const maxPlans = 8;
/** Of one person or agent: a lease that wraps requests is there for all, and its numbers are not given back. */
const requestsPerMinute = 2;
/** Room to resume every agent of a person at once. */
const requestsAtOnce = 80;
const noDocuments: ReadonlyMap<string, string> = new Map();

const federationPrefix = 'federation/';

/**
 * One account's trust log at the issuer: the world in memory, the store behind it, one writer at a time.
 *
 * INVARIANT: the world never holds an entry that is not durable in the store, and no checkpoint covers one.
 */
export class AccountLog {
  readonly account: string;
  readonly world: World;
  readonly nodes: TreeNodes;
  readonly roster: Roster;
  readonly #options: AccountLogOptions;
  readonly #checkpoints: CheckpointSigner;
  readonly #turns = new Turns();
  readonly #listeners = new Set<() => void>();
  readonly #limitAsker: RateLimit;
  #federations: ReadonlySet<string> = new Set();
  #closed = false;
  /** A tick waits for its turn: a slow disk must not pile them up. */
  #ticking = false;
  #checkpointedAt = 0;
  /** A checkpoint that is due. */
  #soon: NodeJS.Timeout | undefined;

  private constructor(
    options: AccountLogOptions,
    { world, nodes, roster }: { world: World; nodes: TreeNodes; roster: Roster },
    stored?: StoredCheckpoint,
  ) {
    this.account = options.store.account;
    this.#options = options;
    this.#limitAsker = createRateLimit(requestsPerMinute, options.ports.now, requestsAtOnce);
    this.world = world;
    this.nodes = nodes;
    this.roster = roster;
    this.#checkpoints = new CheckpointSigner({ ...options, world, stored });
  }

  /**
   * Replays the log from its first entry, compares every projection with what the replay gave, rebuilds those that
   * differ (law 6), and signs a first checkpoint.
   *
   * @throws {IssuerRefusal} `store_corrupt`, `store_rolled_back`, `store_unavailable`.
   */
  static async open(options: AccountLogOptions): Promise<AccountLog> {
    const nodes = new TreeNodes();
    const federations = new Set<string>();
    const roster = new Roster();
    const onRecord = (key: string): void => {
      roster.note(key);
      if (key.startsWith(federationPrefix)) federations.add(key.slice(federationPrefix.length));
    };
    const world = new World({ account: options.store.account, onNode: nodes.write, onRecord });
    const stored = await replay({ ...options, world, nodes });
    const log = new AccountLog(options, { world, nodes, roster }, stored);
    log.#federations = federations;
    await log.tick();
    return log;
  }

  get read(): Read {
    return this.world.read;
  }

  /** The log as the verifier's functions want it: never stale here, and nothing was stopped behind its back. */
  get trust(): TrustView {
    const { world } = this;
    return {
      account: world.account,
      get size() {
        return world.size;
      },
      get root() {
        return encodeBase64url(world.treeRoot());
      },
      read: world.read,
      age: () => 0,
      policySet: () => undefined,
      stopped: () => false,
    };
  }

  /** Outside issuers that admins trust now, by name, in the order of names. */
  federations(): readonly (readonly [name: string, FederationRecord])[] {
    return [...this.#federations].sort().flatMap((name) => {
      const record = this.read(`federation/${name}`);
      return record?.status === 'trusted' ? [[name, record] as const] : [];
    });
  }

  /** The newest checkpoint. Undefined only while none could be signed since the account was created. */
  get checkpoint(): StoredCheckpoint | undefined {
    return this.#checkpoints.current;
  }

  /** Why no checkpoint can be signed, if so. */
  get checkpointFailure(): string | undefined {
    return this.#checkpoints.failure;
  }

  /** Called after each new checkpoint. @returns how to stop listening. */
  onCheckpoint(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Appends a leaf that was signed on the current head. Resolves when it is durable. */
  async append(leaf: string, documents: readonly unknown[] = []): Promise<Accepted> {
    const entry = parseEntry(leaf);
    return this.#turns.run(async () => {
      await this.#catchUp();
      this.#requireHead(entry);
      return this.#accept(entry, documents);
    });
  }

  /**
   * Wraps a request in an entry on the current head, signed by the delegate key, and appends it.
   *
   * @throws {IssuerRefusal} `rate_limited` for somebody who asked too often; what the log refuses is not counted.
   */
  async relay(request: string): Promise<Accepted> {
    parseRequest(request);
    return this.#turns.run(async () => {
      await this.#catchUp();
      const { delegateKey } = this.#options;
      const time = this.#entryTime();
      this.#requireRelay(time);
      const position = { account: this.account, seq: this.world.size, prev: this.world.head ?? '', time };
      const entry = parseEntry(signEntry({ ...position, request }, delegateKey));
      return this.#accept(entry, [], ({ by }) => {
        this.#limitAsker(this.read(`key/${by.key}`)?.subject ?? by.key);
      });
    });
  }

  /**
   * Writes a plan: each operation becomes an entry signed by `signer` (a delegate's key) on the current head, and all entries
   * and directory rows become durable together, or nothing does. Resolves when they are.
   *
   * @throws {Refusal} whatever a rule says to one of the entries.
   * @throws {IssuerRefusal} `row_taken`, `head_moved` where others kept writing first, `closing`, `store_…`; and whatever the
   * plan throws.
   */
  async write(signer: Signer, plan: MakePlan): Promise<Written> {
    return this.#turns.run(async () => {
      for (let tries = 0; tries < maxPlans; tries += 1) {
        if (this.#closed) throw new IssuerRefusal('closing', 'issuer is shutting down');
        await this.#catchUp();
        const written = await this.#writeNow(signer, plan);
        if (written !== undefined) return written;
      }
      throw this.#headMoved();
    });
  }

  /**
   * What {@link write} would change now: the entries are signed, held against the rules and dropped.
   *
   * @throws as `write`.
   */
  async rehearse(signer: Signer, plan: MakePlan): Promise<readonly Change[]> {
    return this.#turns.run(async () => {
      await this.#catchUp();
      const time = this.#entryTime();
      return (await draftPlan(this.world, await plan(this.read, time), signer, time)).changes;
    });
  }

  /** As {@link write}, for a plan that wraps requests: signed by the delegate key. @throws {IssuerRefusal} `relay_unavailable` too. */
  async writeRelayed(plan: MakePlan): Promise<Written> {
    const { delegateKey } = this.#options;
    return this.write(delegateKey, (read, time) => {
      this.#requireRelay(time);
      return plan(read, time);
    });
  }

  #requireRelay(time: number): void {
    const { delegateKey } = this.#options;
    const delegate = liveDelegate(this.read, delegateKey.publicKey.thumbprint, time);
    if (delegate?.lease.operations.includes('request.relay') !== true) {
      throw new IssuerRefusal('relay_unavailable', 'issuer holds no live lease with `request.relay`');
    }
  }

  /** @returns undefined where somebody else wrote first. */
  async #writeNow(signer: Signer, plan: MakePlan): Promise<Written | undefined> {
    const { store } = this.#options;
    const expectedSize = this.world.size;
    const time = this.#entryTime();
    const planned = await plan(this.read, time);
    const { draft, leaves, changes } = await draftPlan(this.world, planned, signer, time);
    const rows = rowsInOrder(planned.rows?.(changes) ?? [], await this.#project(changes));
    const append = { expectedSize, leaves, documents: noDocuments, writes: recordsOf(draft.writes), rows };
    if (leaves.length + rows.length > 0 && (await store.append(append)) === 'moved') return undefined;
    if (leaves.length > 0) {
      draft.commit();
      for (const change of changes) this.#logAppended(change);
      await this.#checkpointSoon();
    }
    return { changes, size: this.world.size };
  }

  #entryTime(): number {
    return Math.max(Math.floor(this.#options.ports.now()), this.world.lastTime);
  }

  async #project(changes: readonly Change[]): Promise<readonly RowWrite[]> {
    return (await this.#options.project?.(changes, this.#options.store)) ?? [];
  }

  /**
   * Runs `work` while the newest checkpoint covers exactly the world, so that what it proves leads to that checkpoint.
   *
   * @throws {IssuerRefusal} `store_unavailable` where no such checkpoint can be signed now.
   */
  async covered<T>(work: (checkpoint: StoredCheckpoint) => T): Promise<T> {
    return this.#turns.run(async () => {
      await this.#catchUp();
      if (this.checkpoint?.size !== this.world.size) await this.#checkpointNow();
      const { checkpoint } = this;
      if (checkpoint?.size !== this.world.size)
        throw new IssuerRefusal('store_unavailable', 'no checkpoint of the newest entry could be signed');
      return work(checkpoint);
    });
  }

  /** Takes in what other processes appended, and signs the newest checkpoint anew. Never throws; see `checkpointFailure`. */
  async tick(): Promise<void> {
    if (this.#ticking) return;
    this.#ticking = true;
    await this.#turns.run(async () => {
      this.#ticking = false;
      if (this.#closed) return;
      try {
        await this.#catchUp();
      } catch (error) {
        this.#checkpoints.fail(error);
        return;
      }
      await this.#checkpointNow();
    });
  }

  /** Waits for what is under way; refuses what comes later. */
  async close(): Promise<void> {
    await this.#turns.run(async () => {
      this.#closed = true;
      clearTimeout(this.#soon);
    });
  }

  /** @param permit throws where an entry that the rules allow is not to be written all the same. */
  async #accept(
    entry: UnverifiedEntry,
    documents: readonly unknown[],
    permit: (change: Change) => void = () => undefined,
  ): Promise<Accepted> {
    if (this.#closed) throw new IssuerRefusal('closing', 'issuer is shutting down');
    requireTime(entry.time, this.#options.ports.now());
    const expectedSize = this.world.size;
    const draft = this.world.draft();
    const { refusal, change, seq, hash } = draft.append(entry.leaf);
    if (change === undefined)
      throw refusal ?? new IssuerRefusal('internal', 'entry was neither applied nor refused');
    requireDelegateTime(this.read, change, this.#options.ports.now());
    permit(change);
    const published = await requireDocuments(change.op, documents, this.#options);
    const outcome = await this.#options.store.append({
      expectedSize,
      leaves: [entry.leaf],
      documents: published,
      writes: recordsOf(change.writes),
      rows: await this.#project([change]),
    });
    if (outcome === 'moved') {
      await this.#catchUp();
      throw this.#headMoved();
    }
    draft.commit();
    this.#logAppended(change);
    await this.#checkpointNow();
    return { seq, size: seq + 1, head: hash };
  }

  #logAppended({ seq, op }: Change): void {
    const line = { level: 'info', event: 'entry.appended', account: this.account, seq, op: op.type } as const;
    this.#options.ports.log(line);
  }

  #requireHead(entry: UnverifiedEntry): void {
    if (entry.account !== this.account) {
      throw new Refusal('rule_account_mismatch', 'entry belongs to another account');
    }
    if (entry.seq !== this.world.size || entry.prev !== this.world.head) throw this.#headMoved();
  }

  #headMoved(): IssuerRefusal {
    const details = { size: this.world.size, head: this.world.head ?? '' };
    return new IssuerRefusal('head_moved', 'entry was made for another head: sign again on this one', {
      details,
    });
  }

  /** Applies entries that another process appended to the same store. */
  async #catchUp(): Promise<void> {
    const { store } = this.#options;
    const size = await store.size();
    if (size < this.world.size)
      throw new IssuerRefusal('store_rolled_back', 'store lost entries while running');
    while (this.world.size < size) {
      for (const leaf of await store.entries(this.world.size, 256)) appendStored(this.world, leaf);
    }
  }

  /** At once, or with others that come within {@link minCheckpointSeconds}: an import must not sign one for each person. */
  async #checkpointSoon(): Promise<void> {
    if (this.#soon !== undefined) return;
    const wait = this.#checkpointedAt + minCheckpointSeconds - this.#options.ports.now();
    if (wait <= 0) return this.#checkpointNow();
    this.#soon = setTimeout(() => void this.tick(), Math.ceil(wait * 1000));
  }

  async #checkpointNow(): Promise<void> {
    clearTimeout(this.#soon);
    this.#soon = undefined;
    this.#checkpointedAt = this.#options.ports.now();
    if (await this.#checkpoints.sign()) for (const listener of this.#listeners) listener();
  }
}
