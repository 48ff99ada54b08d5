import { Refusal } from '../errors.ts';
import type { Json } from '../json.ts';
import { apply, type Change, type Position } from './apply.ts';
import { leafHash } from './entry.ts';
import { CompactRange, hashLeaf, type NodeWriter } from './merkle.ts';
import type { Read, Records } from './records.ts';
import { StateMap, type StateProof } from './state-map.ts';

/** What became of one leaf. Exactly one of `change` and `refusal` is there. */
export interface Appended {
  readonly seq: number;
  /** base64url SHA-256 of the leaf's bytes: the next entry's `prev`. */
  readonly hash: string;
  readonly change?: Change;
  /** The rule that it broke: the leaf is in the tree, the state is as before. */
  readonly refusal?: Refusal;
}

interface Moment {
  readonly size: number;
  readonly head: string | null;
  readonly lastTime: number;
}

/**
 * One account in memory: the records, their Merkle map, and the right edge of the tree. Holds no leaves.
 *
 * Changes only through a {@link Draft}, all of it at once, so that whoever reads sees a consistent moment.
 */
export class World {
  readonly account: string;
  readonly #onNode: NodeWriter | undefined;
  readonly #onRecord: ((key: string) => void) | undefined;
  readonly #records = new Map<string, unknown>();
  readonly #state = new StateMap();
  #range = new CompactRange();
  #moment: Moment = { size: 0, head: null, lastTime: 0 };

  /**
   * `onNode` is told each complete subtree of the tree when the leaf that completes it is committed, `onRecord` the key of each
   * record that is written: for an index over some of them.
   */
  constructor(options: {
    readonly account: string;
    readonly onNode?: NodeWriter;
    readonly onRecord?: (key: string) => void;
  }) {
    this.account = options.account;
    this.#onNode = options.onNode;
    this.#onRecord = options.onRecord;
  }

  get size(): number {
    return this.#moment.size;
  }

  /** base64url SHA-256 of the last leaf. */
  get head(): string | null {
    return this.#moment.head;
  }

  /** Time of the newest applied entry, Unix seconds. */
  get lastTime(): number {
    return this.#moment.lastTime;
  }

  readonly read: Read = <K extends keyof Records>(key: K) => this.#records.get(key) as Records[K] | undefined;

  /** All records, in no order that means anything: for projections, not for the request path. */
  records(): IterableIterator<[string, unknown]> {
    return this.#records.entries();
  }

  treeRoot(): Buffer {
    return this.#range.root();
  }

  stateRoot(): Buffer {
    return this.#state.root();
  }

  /** What proves under {@link stateRoot} that a key has its value, or none. @throws {Refusal} `state_proof_too_long`. */
  prove(key: string): StateProof {
    return this.#state.prove(key);
  }

  /** Begins a change; any number of drafts may be begun, and one of them committed. */
  draft(): Draft {
    const draft = new Draft(this, this.#range.clone(), this.#moment, (commit) => {
      if (this.#moment !== commit.base) throw new Error('the world moved on since this draft was begun');
      for (const [key, value] of commit.writes) {
        this.#records.set(key, value);
        this.#state.set(key, value);
        this.#onRecord?.(key);
      }
      if (this.#onNode !== undefined) {
        for (const treeHash of commit.leafHashes) this.#range.append(treeHash, this.#onNode);
      }
      this.#range = commit.range;
      this.#moment = commit.moment;
    });
    if (this.#onNode !== undefined) draft.keepLeafHashes();
    return draft;
  }

  /**
   * Appends one leaf and commits it. A leaf that breaks a rule is kept in the tree and changes nothing else.
   *
   * @throws {Refusal} `entry_unknown`, `genesis_mismatch`, or whatever is wrong with the genesis; nothing is appended then.
   */
  append(leaf: string): Appended {
    const draft = this.draft();
    const appended = draft.append(leaf);
    if (draft.unknown !== undefined) throw draft.unknown;
    draft.commit();
    return appended;
  }
}

interface Commit {
  readonly base: Moment;
  readonly moment: Moment;
  readonly range: CompactRange;
  readonly writes: ReadonlyMap<string, Json>;
  readonly leafHashes: readonly Buffer[];
}

/** Leaves that were added on top of a world and are not part of it yet. */
export class Draft {
  readonly account: string;
  readonly #base: Moment;
  readonly #commit: (commit: Commit) => void;
  readonly #writes = new Map<string, Json>();
  readonly #range: CompactRange;
  #leafHashes: Buffer[] | undefined;
  #moment: Moment;
  #unknown: Refusal | undefined;
  readonly #world: { readonly read: Read };

  constructor(
    world: { readonly account: string; readonly read: Read },
    range: CompactRange,
    base: Moment,
    commit: (commit: Commit) => void,
  ) {
    this.account = world.account;
    this.#world = world;
    this.#range = range;
    this.#base = base;
    this.#moment = base;
    this.#commit = commit;
  }

  get size(): number {
    return this.#moment.size;
  }

  get head(): string | null {
    return this.#moment.head;
  }

  /** Time of the newest applied entry, Unix seconds. */
  get lastTime(): number {
    return this.#moment.lastTime;
  }

  /** What was written, last value of each key. */
  get writes(): ReadonlyMap<string, Json> {
    return this.#writes;
  }

  /** Set once a leaf was met that these rules do not know: from there on leaves are hashed and not applied. */
  get unknown(): Refusal | undefined {
    return this.#unknown;
  }

  readonly read: Read = <K extends keyof Records>(key: K) =>
    (this.#writes.get(key) ?? this.#world.read(key)) as Records[K] | undefined;

  treeRoot(): Buffer {
    return this.#range.root();
  }

  keepLeafHashes(): void {
    this.#leafHashes = [];
  }

  /**
   * Adds a leaf and applies it. Does not throw for a rule that is broken after the genesis: see {@link Appended}.
   *
   * @throws {Refusal} `genesis_mismatch`, or whatever is wrong with the genesis.
   */
  append(leaf: string): Appended {
    const { size: seq, head, lastTime } = this.#moment;
    if (typeof leaf !== 'string') throw new TypeError('leaf is not text');
    const bytes = Buffer.from(leaf);
    const hash = leafHash(leaf);
    if (seq === 0 && this.account !== `acct_${hash}`) {
      throw new Refusal('genesis_mismatch', 'first entry is not the genesis of this account');
    }
    const result = this.#apply({ account: this.account, seq, prevHash: head, lastTime }, leaf);
    const treeHash = hashLeaf(bytes);
    this.#range.append(treeHash);
    this.#leafHashes?.push(treeHash);
    this.#moment = {
      size: seq + 1,
      head: hash,
      lastTime: 'change' in result ? result.change.time : lastTime,
    };
    return { seq, hash, ...result };
  }

  #apply(position: Position, leaf: string): { change: Change } | { refusal: Refusal } {
    if (this.#unknown !== undefined) return { refusal: this.#unknown };
    try {
      const change = apply(this.read, position, leaf);
      for (const [key, value] of change.writes) this.#writes.set(key, value);
      return { change };
    } catch (error) {
      if (!(error instanceof Refusal) || (position.seq === 0 && error.code !== 'entry_unknown')) throw error;
      if (error.code === 'entry_unknown') this.#unknown = error;
      return { refusal: error };
    }
  }

  /** Makes the world what this draft says. A draft is committed once, onto the world it was begun on. */
  commit(): void {
    this.#commit({
      base: this.#base,
      moment: this.#moment,
      range: this.#range,
      writes: this.#writes,
      leafHashes: this.#leafHashes ?? [],
    });
  }
}
