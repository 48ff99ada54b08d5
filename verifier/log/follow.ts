import { encodeBase64url } from '../base64url.ts';
import { type Code, Refusal } from '../errors.ts';
import { type Ports, systemPorts } from '../ports.ts';
import { LeafDisk } from './disk.ts';
import { Following } from './following.ts';
import { raiseLock, readLock } from './lock.ts';
import { digestsOf, PolicyShelf } from './policy-shelf.ts';
import type { SlotRecord } from './records.ts';
import { LogClient, type LogLine, type LogTimeouts } from './transport.ts';
import type { TrustView } from './view.ts';
import { type Appended, World } from './world.ts';

export interface FollowerOptions {
  /** The account id that is pinned: everything is checked from its genesis on. */
  readonly account: string;
  /** The issuer's base URL, without `/a/<account>`. */
  readonly url: string;
  /** Bearer token that the issuer accepts on its log endpoints. */
  readonly readToken: string;
  /** Path of `bulla.lock`: nothing below it is accepted, and it is raised as the log grows. It must exist. */
  readonly lock?: string;
  /** Where to keep the leaves. Without it every start replays the whole log from the network, down to the lock at most. */
  readonly directory?: string;
  readonly ports?: Ports;
  /** Default `stream`, which falls back to polling while no stream can be had. */
  readonly transport?: 'stream' | 'poll';
  /** Default 1. */
  readonly pollSeconds?: number;
  /** Longest pause between attempts. Default 30. */
  readonly maxBackoffSeconds?: number;
  /** Default 30 for an answer, 10 for silence on a stream. */
  readonly timeouts?: LogTimeouts;
  readonly onAlarm?: (alarm: Alarm) => void;
  /** Told each leaf that became part of the world, in order. */
  readonly onEntry?: (entry: Appended) => void;
}

/** Something a person should know. Never holds a token, key or claim value. */
export interface Alarm {
  readonly code: Code;
  readonly message: string;
  /** The entry it is about. */
  readonly seq?: number;
  /** True where the follower has stopped for good and denies everything. */
  readonly halted: boolean;
}

/** Follows one account's log in the background. Nothing here blocks or throws into whoever asks {@link TrustView}. */
export interface Follower {
  readonly trust: TrustView;
  /** Resolves with the first checkpoint whose leaves are all applied; rejects when the follower halts or closes before. */
  readonly ready: Promise<void>;
  readonly halted: Refusal | undefined;
  /** Idempotent. */
  start(): void;
  /** Ends the background work. The view stays, and ages. */
  close(): Promise<void>;
  /** Resolves once `condition` holds; looked at after every change. Rejects when the follower halts or closes before. */
  until(condition: (trust: TrustView) => boolean): Promise<void>;
}

/** @throws {Refusal} `lock_missing`, `lock_invalid`, `lock_mismatch`. */
export function createFollower(options: FollowerOptions): Follower {
  return new LogFollower(options);
}

interface Waiter {
  readonly condition: (trust: TrustView) => boolean;
  readonly resolve: () => void;
  readonly reject: (error: Refusal) => void;
}

class LogFollower implements Follower {
  readonly trust: TrustView;
  readonly ready: Promise<void>;
  readonly #options: FollowerOptions;
  readonly #ports: Ports;
  readonly #world: World;
  readonly #following: Following;
  readonly #client: LogClient;
  readonly #policies: PolicyShelf;
  readonly #abort = new AbortController();
  readonly #waiters = new Set<Waiter>();
  #disk: LeafDisk | undefined;
  #running: Promise<void> | undefined;
  #persistedAt = -Infinity;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#ports = options.ports ?? systemPorts;
    this.#world = new World({ account: options.account });
    const lock = options.lock === undefined ? undefined : readLock(options.lock);
    this.#following = new Following(this.#world, lock, (entry) => this.#onEntry(entry));
    this.#client = new LogClient({
      url: options.url,
      account: options.account,
      readToken: options.readToken,
      fetch: this.#ports.fetch,
      signal: this.#abort.signal,
      timeouts: options.timeouts ?? { answerSeconds: 30, idleSeconds: 10 },
    });
    this.#policies = new PolicyShelf(
      (digest) => this.#client.policy(digest),
      (error) => this.#alarm(error),
    );
    if (options.directory !== undefined) this.#disk = new LeafDisk(options.directory);
    this.trust = this.#view();
    this.ready = this.until(() => this.#following.applied !== undefined && !this.#following.behind);
    // Whoever awaits it is told; whoever does not must not be killed by it.
    this.ready.catch(() => undefined);
  }

  #view(): TrustView {
    const [world, following, policies] = [this.#world, this.#following, this.#policies];
    return {
      account: world.account,
      get size() {
        return world.size;
      },
      get root() {
        return encodeBase64url(world.treeRoot());
      },
      read: world.read,
      age: (now) => following.age(now),
      policySet: (digest) => policies.get(digest),
      stopped: () => false,
    };
  }

  get halted(): Refusal | undefined {
    return this.#following.halted;
  }

  start(): void {
    this.#running ??= this.#run().catch((error: unknown) => this.#alarm(error));
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#running;
    await this.#disk?.close();
    for (const { reject } of this.#waiters) reject(new Refusal('follower_closed', 'follower was closed'));
    this.#waiters.clear();
  }

  until(condition: (trust: TrustView) => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.add({ condition, resolve, reject });
      this.#notify();
    });
  }

  #notify(): void {
    for (const waiter of this.#waiters) {
      if (this.halted !== undefined) waiter.reject(this.halted);
      else if (waiter.condition(this.trust)) waiter.resolve();
      else continue;
      this.#waiters.delete(waiter);
    }
  }

  #alarm(error: unknown, seq?: number): void {
    if (this.#abort.signal.aborted) return;
    const { code, message } =
      error instanceof Refusal ? error : { code: 'follower_failed' as const, message: 'unexpected failure' };
    const alarm = { code, message, halted: this.halted !== undefined };
    try {
      this.#options.onAlarm?.(seq === undefined ? alarm : { ...alarm, seq });
    } catch {
      // A listener's failure must not end the following.
    }
  }

  #onEntry(entry: Appended): void {
    for (const [key, value] of entry.change?.writes ?? []) {
      if (key.startsWith('slot/')) this.#policies.setSlot(key, value as SlotRecord & typeof value);
    }
    if (entry.refusal !== undefined) this.#alarm(entry.refusal, entry.seq);
    try {
      this.#options.onEntry?.(entry);
    } catch {
      // As above.
    }
  }

  async #run(): Promise<void> {
    await this.#restore();
    const pollSeconds = this.#options.pollSeconds ?? 1;
    let failures = 0;
    let streamFailures = 0;
    let streamAt = -Infinity;
    while (!this.#abort.signal.aborted && this.halted === undefined) {
      const streaming =
        this.#options.transport !== 'poll' && !this.#following.behind && performance.now() >= streamAt;
      const before = this.#following.applied;
      try {
        if (streaming) await this.#consume(this.#client.stream(this.#following.next));
        else await this.#poll();
        failures = 0;
      } catch (error) {
        if (!streaming) failures += 1;
        await this.#giveUp(error);
      }
      if (streaming) {
        streamFailures = this.#following.applied === before ? streamFailures + 1 : 0;
        streamAt = performance.now() + this.#backoff(streamFailures) * 1000;
      } else {
        await this.#pause(failures === 0 ? pollSeconds : this.#backoff(failures));
      }
    }
  }

  /** Doubling, with jitter, so that a fleet does not come back in step. */
  #backoff(failures: number): number {
    const ceiling = Math.min(
      this.#options.maxBackoffSeconds ?? 30,
      (this.#options.pollSeconds ?? 1) * 2 ** failures,
    );
    return ceiling * (0.5 + Math.random() / 2);
  }

  async #pause(seconds: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#abort.signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, seconds * 1000);
      this.#abort.signal.addEventListener('abort', done);
      if (this.#abort.signal.aborted) done();
    });
  }

  /** One answer, and more at once while the log has leaves that are not here. */
  async #poll(): Promise<void> {
    for (;;) {
      const from = this.#following.next;
      await this.#consume(this.#client.entries(from));
      if (!this.#following.behind || this.#following.next === from) return;
    }
  }

  async #consume(lines: AsyncGenerator<LogLine>): Promise<void> {
    let leaves: string[] = [];
    let sliceEnd = performance.now() + sliceMilliseconds;
    for await (const line of lines) {
      if ('leaf' in line) {
        this.#following.take(line.leaf);
        leaves.push(line.leaf);
      } else {
        await this.#write(leaves);
        leaves = [];
        await this.#take(line.checkpoint);
      }
      if (performance.now() > sliceEnd) {
        await new Promise(setImmediate);
        sliceEnd = performance.now() + sliceMilliseconds;
      }
    }
    await this.#write(leaves);
  }

  async #take(note: string): Promise<void> {
    await this.#awaitPolicies();
    const progress = this.#following.checkpoint(note, this.#ports.now());
    if (progress !== 'behind') await this.#persist(note, progress === 'applied');
    void this.#policies.fill().then(() => this.#notify());
    this.#notify();
  }

  /** Gives a policy set that is about to become current a moment to arrive; a restriction waits no longer than that. */
  async #awaitPolicies(): Promise<void> {
    const digests = [...this.#following.draft.writes]
      .filter(([key]) => key.startsWith('slot/'))
      .flatMap(([, value]) => digestsOf(value as SlotRecord & typeof value));
    if (digests.length === 0 || this.#following.applied === undefined) return;
    const loaded = Promise.all(digests.map((digest) => this.#policies.load(digest)));
    await Promise.race([loaded, this.#pause(policyHeadStartSeconds)]);
  }

  async #giveUp(error: unknown): Promise<void> {
    this.#alarm(error);
    this.#following.discard();
    await this.#guardDisk(async (disk) => disk.discard());
    this.#notify();
  }

  async #write(leaves: readonly string[]): Promise<void> {
    await this.#guardDisk(async (disk) => disk.write(leaves));
  }

  async #persist(note: string, grown: boolean): Promise<void> {
    const { applied } = this.#following;
    if (applied === undefined || (!grown && applied.time < this.#persistedAt + refreshSeconds)) return;
    this.#persistedAt = applied.time;
    await this.#guardDisk(async (disk) => disk.commit(note));
    const { lock, account } = this.#options;
    if (lock === undefined) return;
    const { size, time } = applied;
    await raiseLock(lock, { account, size, root: encodeBase64url(applied.root), time }).catch(
      (error: unknown) =>
        this.#alarm(
          error instanceof Refusal ? error : new Refusal('follower_disk_failed', 'lock was not written'),
        ),
    );
  }

  /** A disk that fails is given up: what is in memory is still right, and stays. */
  async #guardDisk(work: (disk: LeafDisk) => Promise<void>): Promise<void> {
    if (this.#disk === undefined) return;
    try {
      await work(this.#disk);
    } catch (cause) {
      this.#disk = undefined;
      this.#alarm(new Refusal('follower_disk_failed', 'leaves are no longer written to the disk', { cause }));
    }
  }

  /** Replays what the disk holds, checked like an answer of the log. */
  async #restore(): Promise<void> {
    if (this.#disk === undefined) return;
    await this.#disk.open();
    const note = await this.#disk.readCheckpoint();
    if (note !== undefined) await this.#replay(this.#disk, note);
    await this.#disk.discard();
    this.#notify();
  }

  async #replay(disk: LeafDisk, note: string): Promise<void> {
    const size = Number(note.split('\n')[1]);
    let count = 0;
    for await (const leaf of disk.readLeaves(size)) {
      this.#following.take(leaf);
      count += 1;
      if (count % 64 === 0) await new Promise(setImmediate);
    }
    this.#following.checkpoint(note, Infinity);
    void this.#policies.fill();
  }
}

/** Longest stretch of applying entries before requests get their turn. */
const sliceMilliseconds = 5;
const policyHeadStartSeconds = 0.25;
/** A checkpoint that only moved the time is written to the disk this often. */
const refreshSeconds = 60;
