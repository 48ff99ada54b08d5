import { encodeBase64url } from '../base64url.ts';
import { type Code, Refusal } from '../errors.ts';
import { limits } from '../limits.ts';
import { isTimedByDelegate } from './apply.ts';
import {
  type Checkpoint,
  parseCheckpoint,
  type UnverifiedCheckpoint,
  type VerifiedCheckpoint,
  verifyCheckpoint,
} from './checkpoint.ts';
import type { Lock } from './lock.ts';
import { storedKey } from './stored-keys.ts';
import type { Appended, Draft, World } from './world.ts';

/** What a checkpoint did: the world grew, only the time moved, or it speaks of leaves not here yet. */
export type Progress = 'applied' | 'refreshed' | 'behind';

/**
 * Decides what of a log is believed, without any input or output: leaves go into a draft, and the draft becomes the
 * world when a checkpoint signed by the log covers exactly it. The steps are numbered as in docs/spec/checkpoint.md.
 *
 * What the log *signed* can halt it for good; what merely came over the wire cannot.
 */
export class Following {
  readonly #world: World;
  readonly #lock: Lock | undefined;
  readonly #onEntry: (entry: Appended) => void;
  #draft: Draft;
  #entries: Appended[] = [];
  #lockRoot: Buffer | undefined;
  #backdated: number | undefined;
  #refused = 0;
  #applied: VerifiedCheckpoint | undefined;
  #seen: VerifiedCheckpoint | undefined;
  #halted: Refusal | undefined;

  /** `onEntry` is told each leaf once it is part of the world, skipped ones too. */
  constructor(world: World, lock: Lock | undefined, onEntry: (entry: Appended) => void) {
    if (lock !== undefined && lock.account !== world.account) {
      throw new Refusal('lock_mismatch', 'lock is of another account');
    }
    this.#world = world;
    this.#lock = lock;
    this.#onEntry = onEntry;
    this.#draft = world.draft();
  }

  /** The first leaf that is not here yet. */
  get next(): number {
    return this.#draft.size;
  }

  /** The newest checkpoint whose leaves are all applied. */
  get applied(): VerifiedCheckpoint | undefined {
    return this.#applied;
  }

  /** The newest checkpoint that the log signed and that is not refused, its leaves here or not. */
  get seen(): VerifiedCheckpoint | undefined {
    return this.#seen;
  }

  get halted(): Refusal | undefined {
    return this.#halted;
  }

  /** True while a checkpoint is known whose leaves are not all applied. */
  get behind(): boolean {
    return this.#applied === undefined || this.#applied.size < (this.#seen?.size ?? 0);
  }

  /** Keys and values that the next covering checkpoint would bring. */
  get draft(): Draft {
    return this.#draft;
  }

  /** A clock that never stands more than the tolerated skew behind what the log has signed. */
  clock(now: number): number {
    return Math.max(now, (this.#seen?.time ?? 0) - limits.clockSkewSeconds);
  }

  /** See TrustView.age. */
  age(now: number): number {
    if (this.#halted !== undefined || this.#applied === undefined) return Infinity;
    return Math.max(0, this.clock(now) - this.#applied.time);
  }

  /** Adds the next leaf to the draft. @throws {Refusal} `log_answer_invalid`, or what is wrong with the genesis. */
  take(leaf: string): void {
    if (this.#halted !== undefined) throw this.#halted;
    if (leaf.length > limits.maxLeafBytes || !/^[\u0021-\u007e]+$/u.test(leaf)) {
      throw new Refusal('log_answer_invalid', 'leaf is empty, too long or not printable ASCII');
    }
    const entry = this.#draft.append(leaf);
    this.#entries.push(entry);
    if (this.#draft.size === this.#lock?.size) this.#lockRoot = this.#draft.treeRoot();
    const { change } = entry;
    if (change === undefined) this.#refused += 1;
    if (this.#refused > limits.maxRefusedLeaves) {
      throw new Refusal('log_answer_invalid', 'more leaves break a rule than a checkpoint may cover');
    }
    if (change === undefined || change.time >= this.#lackedAt(entry.seq) - backdateSeconds) return;
    if (isTimedByDelegate(this.#draft.read, change)) this.#backdated ??= entry.seq;
  }

  /** Time of the newest checkpoint known, the locked one included, that does not hold leaf `seq`. */
  #lackedAt(seq: number): number {
    const known = [this.#lock, this.#applied, this.#seen];
    const lacking = known.filter((checkpoint) => checkpoint !== undefined && checkpoint.size <= seq);
    return Math.max(0, ...lacking.map((checkpoint) => checkpoint?.time ?? 0));
  }

  /** Forgets the leaves that no checkpoint covers. */
  discard(): void {
    this.#draft = this.#world.draft();
    this.#entries = [];
    this.#lockRoot = undefined;
    this.#backdated = undefined;
    this.#refused = 0;
  }

  /**
   * Takes a checkpoint that the log sent.
   *
   * @throws {Refusal} what is wrong with it; `halted` is then set where that is for good.
   */
  checkpoint(note: string, now: number): Progress {
    if (this.#halted !== undefined) throw this.#halted;
    // 1. form, origin
    const parsed = parseCheckpoint(note);
    const covering = parsed.size === this.#draft.size && this.#draft.size > this.#world.size;
    // 2. the log key in force at that size
    const checkpoint = this.#verify(parsed, covering);
    // 3. nothing goes back
    this.#requireForward(checkpoint, now);
    // 4. same size, same root
    if (this.#seen?.size === checkpoint.size) this.#requireEqual(this.#seen, checkpoint);
    if (checkpoint.size > this.#draft.size) {
      // 5. a larger one is known: from here on the time of a smaller one counts no more
      this.#seen = checkpoint;
      return 'behind';
    }
    if (!covering) {
      if (checkpoint.size !== this.#draft.size) {
        throw new Refusal('log_answer_invalid', 'checkpoint covers a part of the leaves sent before it');
      }
      this.#seen = checkpoint;
      this.#applied = checkpoint;
      return 'refreshed';
    }
    this.#cover(checkpoint, now);
    return 'applied';
  }

  #verify(parsed: UnverifiedCheckpoint, covering: boolean): VerifiedCheckpoint {
    const read = covering || this.#world.size === 0 ? this.#draft.read : this.#world.read;
    const account = read('account');
    if (account === undefined) throw new Refusal('log_incomplete', 'log has not sent its first entry');
    const logKey = storedKey(read, account.logKey);
    if (logKey === undefined) throw new Refusal('key_invalid', 'state does not hold the log key');
    return verifyCheckpoint(parsed, { origin: account.origin, logKey });
  }

  #requireForward(checkpoint: VerifiedCheckpoint, now: number): void {
    if (checkpoint.size < Math.max(this.#lock?.size ?? 0, this.#seen?.size ?? 0)) {
      throw new Refusal('checkpoint_rolled_back', 'checkpoint is smaller than one seen or locked');
    }
    if (checkpoint.time < Math.max(this.#lock?.time ?? 0, this.#seen?.time ?? 0)) {
      throw new Refusal('checkpoint_time_back', 'checkpoint is older than one seen or locked');
    }
    if (checkpoint.time > this.clock(now) + limits.clockSkewSeconds) {
      throw new Refusal('checkpoint_future', 'checkpoint is from the future');
    }
  }

  #requireEqual(seen: Checkpoint, checkpoint: Checkpoint): void {
    if (!seen.root.equals(checkpoint.root)) {
      throw this.halt('log_forked', 'log signed two roots for one size');
    }
    if (!seen.state.equals(checkpoint.state)) {
      throw this.halt('state_root_differs', 'log signed two state roots for one size');
    }
  }

  /** Steps 6 to 9: the draft becomes the world, or is thrown away, or everything halts. */
  #cover(checkpoint: VerifiedCheckpoint, now: number): void {
    const draft = this.#draft;
    if (!draft.treeRoot().equals(checkpoint.root)) {
      // The leaves may have been spoiled on the way: only what the log signed is believed, so the size is known now.
      this.discard();
      this.#learn(checkpoint);
      throw new Refusal('log_root_differs', 'leaves do not hash to the root that the log signed');
    }
    if (this.#lockRoot !== undefined && encodeBase64url(this.#lockRoot) !== this.#lock?.root) {
      throw this.halt('lock_mismatch', 'log has another root at the locked size');
    }
    if (draft.unknown !== undefined) throw this.halt('entry_unknown', draft.unknown.message);
    if (this.#backdated !== undefined) {
      throw this.halt(
        'entry_backdated',
        `entry ${this.#backdated} was signed by a delegate with an old time`,
      );
    }
    if (draft.lastTime > this.clock(now) + aheadSeconds) {
      // Not for good: the clock will get there. Until then the newest size is known, and the state ages.
      this.discard();
      this.#learn(checkpoint);
      throw new Refusal('rule_time_ahead', 'log signed an entry that is later than the clock');
    }
    draft.commit();
    if (!this.#world.stateRoot().equals(checkpoint.state)) {
      throw this.halt('state_root_differs', 'world state has another root than the log signed');
    }
    const entries = this.#entries;
    this.#applied = checkpoint;
    this.#seen = checkpoint;
    this.discard();
    for (const entry of entries) this.#onEntry(entry);
  }

  /** Knowledge must not rest on a key that only the thrown-away leaves brought in. */
  #learn(checkpoint: VerifiedCheckpoint): void {
    if (this.#world.size === 0) return;
    try {
      this.#seen = this.#verify(parseCheckpoint(checkpoint.note), false);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
  }

  /** Stops for good: nothing is taken any more, and the age is infinite. */
  halt(code: Code, message: string): Refusal {
    this.#halted = new Refusal(code, message);
    return this.#halted;
  }
}

/** A delegate's entry may be dated this long before the newest checkpoint that lacked it. */
const backdateSeconds = 60;
/** An entry may be dated this long after the clock: a lease's rate counts by the times of entries. */
const aheadSeconds = 60;
