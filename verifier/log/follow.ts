import { encodeBase64url } from '../base64url.ts';
import { type Code, Refusal } from '../errors.ts';
import { type Ports, systemPorts } from '../ports.ts';
import type { VerifiedCheckpoint } from './checkpoint.ts';
import { Following } from './following.ts';
import { readLock } from './lock.ts';
import { Pace, Slice } from './pace.ts';
import { Persistence, readLines } from './persistence.ts';
import { digestsOf, PolicyShelf } from './policy-shelf.ts';
import type { SlotRecord } from './records.ts';
import { DirectStops, parseStop } from './stop.ts';
import { LogClient, type LogLine, type LogTimeouts } from './transport.ts';
import type { TrustView } from './view.ts';
import { type Appended, World } from './world.ts';

/** Which log to follow, from where, and what to keep. */
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
  /**
   * A file of direct stops, one leaf a line, looked at every `pollSeconds`. Taking a line out again lifts nothing.
   */
  readonly stopFile?: string;
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
  /**
   * Resolves with the first checkpoint whose leaves are all applied, once the policy sets it names were asked for; rejects
   * when the follower halts or closes before.
   */
  readonly ready: Promise<void>;
  readonly halted: Refusal | undefined;
  /** The newest checkpoint whose leaves were all applied here, both roots recomputed; undefined before the first. */
  readonly checkpoint: VerifiedCheckpoint | undefined;
  /** Idempotent. */
  start(): void;
  /** Ends the background work. The view stays, and ages. */
  close(): Promise<void>;
  /**
   * Takes an admin-signed restriction directly (`bulla stop`), whatever the log says or withholds. It is in force when
   * this returns its promise, and on the disk when that resolves; it ends when the log applies exactly this leaf.
   *
   * @throws {Refusal} (rejects) `stop_not_restrictive`, `stop_unauthorised`, `rule_account_mismatch`, `log_incomplete`,
   *   a code of parseEntry, `jws_signature_invalid`.
   */
  stop(leaf: string): Promise<void>;
  /** Resolves once `condition` holds; looked at after every change. Rejects when the follower halts or closes before. */
  until(condition: (trust: TrustView) => boolean): Promise<void>;
}

/**
 * Makes a follower of one log. Reads the lock; everything else waits for `start`.
 *
 * @throws {Refusal} `lock_missing`, `lock_invalid`, `lock_mismatch`.
 */
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
  readonly #following: Following;
  readonly #client: LogClient;
  readonly #policies: PolicyShelf;
  readonly #stops: DirectStops;
  readonly #persistence: Persistence;
  readonly #abort = new AbortController();
  readonly #pace: Pace;
  readonly #waiters = new Set<Waiter>();
  #running: Promise<unknown> | undefined;
  #rememberedSize = 0;

  constructor(options: FollowerOptions) {
    const { account, directory } = options;
    this.#options = options;
    this.#ports = options.ports ?? systemPorts;
    this.#pace = new Pace(this.#abort.signal, this.#pollSeconds, options.maxBackoffSeconds ?? 30);
    const world = new World({ account });
    const lock = options.lock === undefined ? undefined : readLock(options.lock);
    this.#following = new Following(world, lock, (entry) => this.#onEntry(entry));
    this.#client = new LogClient({
      url: options.url,
      account,
      readToken: options.readToken,
      fetch: this.#ports.fetch,
      signal: this.#abort.signal,
      timeouts: options.timeouts ?? { answerSeconds: 30, idleSeconds: 10 },
    });
    const onProblem = (error: unknown): void => this.#alarm(error);
    this.#policies = new PolicyShelf((digest) => this.#client.policy(digest), onProblem);
    this.#stops = new DirectStops(world.read);
    this.#persistence = new Persistence({ account, directory, lock: options.lock, onProblem });
    this.trust = viewOf(world, this.#following, this.#policies, this.#stops);
    this.ready = this.until(() => !this.#following.behind).then(() => this.#policies.fill());
    // Whoever awaits it is told; whoever does not must not be killed by it.
    this.ready.catch(() => undefined);
  }

  get #pollSeconds(): number {
    return this.#options.pollSeconds ?? 1;
  }

  get checkpoint(): VerifiedCheckpoint | undefined {
    return this.#following.applied;
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
    await this.#persistence.close();
    for (const { reject } of this.#waiters) reject(new Refusal('follower_closed', 'follower was closed'));
    this.#waiters.clear();
  }

  until(condition: (trust: TrustView) => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.add({ condition, resolve, reject });
      this.#notify();
    });
  }

  async stop(leaf: string): Promise<void> {
    if (!this.#stops.hold(parseStop(this.trust.read, this.trust.account, leaf, 'active'))) return;
    this.#notify();
    await this.#persistence.writeStops(this.#stops.leaves);
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
    const { change, refusal } = entry;
    for (const [key, value] of change?.writes ?? []) {
      if (key.startsWith('slot/')) this.#policies.setSlot(key, value as SlotRecord & typeof value);
    }
    if (change !== undefined && this.#stops.applied(entry.hash, change.op)) {
      void this.#persistence.writeStops(this.#stops.leaves);
    }
    if (refusal !== undefined) this.#alarm(refusal, entry.seq);
    try {
      this.#options.onEntry?.(entry);
    } catch {
      // As above.
    }
  }

  async #run(): Promise<void> {
    try {
      await this.#restore();
    } catch (error) {
      const reason = error instanceof Refusal ? error.code : 'unreadable';
      this.#following.halt('follower_disk_invalid', `directory of the follower does not verify: ${reason}`);
      this.#alarm(this.halted);
    }
    void this.#policies.fill();
    this.#notify();
    await Promise.all([this.#follow(), this.#watchStops()]);
  }

  async #restore(): Promise<void> {
    await this.#persistence.restore(
      (leaf) => this.#following.take(leaf),
      (note) => this.#following.checkpoint(note, Infinity),
    );
    for (const leaf of await this.#persistence.readStops()) {
      this.#stops.hold(parseStop(this.trust.read, this.trust.account, leaf, 'any'));
    }
  }

  async #follow(): Promise<void> {
    let failures = 0;
    let streamFailures = 0;
    let streamAt = -Infinity;
    while (!this.#abort.signal.aborted && this.halted === undefined) {
      const streaming = this.#mayStream(streamAt);
      const before = this.#following.applied;
      const ended = await this.#attempt(() => (streaming ? this.#stream() : this.#poll()));
      if (streaming) {
        streamFailures = this.#following.applied === before ? streamFailures + 1 : 0;
        streamAt = performance.now() + this.#pace.backoffSeconds(streamFailures) * 1000;
      } else {
        failures = ended ? 0 : failures + 1;
        if (ended && this.#mayStream(streamAt)) continue;
        await this.#pace.pause(ended ? this.#pollSeconds : this.#pace.backoffSeconds(failures));
      }
    }
  }

  /** Whether a stream may be tried now: what is missing is fetched first, and a stream that failed waits its turn. */
  #mayStream(notBefore: number): boolean {
    return this.#options.transport !== 'poll' && !this.#following.behind && performance.now() >= notBefore;
  }

  /** @returns whether it ended without a refusal. */
  async #attempt(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      this.#alarm(error);
      await this.#rememberSeen();
      this.#following.discard();
      await this.#persistence.discard();
      this.#notify();
      return false;
    }
  }

  #stream(): Promise<void> {
    return this.#consume(this.#client.stream(this.#following.next));
  }

  /** One answer, and more at once while the log has leaves that are not here. */
  async #poll(): Promise<void> {
    for (;;) {
      const from = this.#following.next;
      try {
        await this.#consume(this.#client.entries(from));
      } catch (error) {
        if (!(error instanceof Refusal) || error.code !== 'log_unreachable') throw error;
        // A log that was rolled back has no entry `from`; one that withholds entries may still show its checkpoint.
        this.#alarm(error);
        return await this.#take(await this.#client.checkpoint());
      }
      if (!this.#following.behind || this.#following.next === from) return;
    }
  }

  async #consume(lines: AsyncGenerator<LogLine>): Promise<void> {
    let leaves: string[] = [];
    const slice = new Slice();
    for await (const line of lines) {
      if ('leaf' in line) {
        this.#following.take(line.leaf);
        leaves.push(line.leaf);
      } else {
        await this.#persistence.write(leaves);
        leaves = [];
        await this.#take(line.checkpoint);
      }
      await slice.turn();
    }
    await this.#persistence.write(leaves);
  }

  async #take(note: string): Promise<void> {
    await this.#awaitPolicies();
    const progress = this.#following.checkpoint(note, this.#ports.now());
    this.#notify();
    const { applied } = this.#following;
    if (progress !== 'behind' && applied !== undefined) {
      await this.#persistence.commit(applied, progress === 'applied');
    }
    if (progress === 'behind') await this.#rememberSeen();
    void this.#policies.fill().then(() => this.#notify());
  }

  /** What was seen stays seen after a restart; while catching up for the first time there is nothing to lose. */
  async #rememberSeen(): Promise<void> {
    const { applied, seen } = this.#following;
    if (applied === undefined || seen === undefined || seen.size <= applied.size) return;
    if (seen.size === this.#rememberedSize) return;
    this.#rememberedSize = seen.size;
    await this.#persistence.see(seen.note);
  }

  /** Gives a policy set that is about to become current a moment to arrive; a restriction waits no longer than that. */
  async #awaitPolicies(): Promise<void> {
    if (this.#following.applied === undefined) return;
    const digests = [...this.#following.draft.writes]
      .filter(([key]) => key.startsWith('slot/'))
      .flatMap(([, value]) => digestsOf(value as SlotRecord & typeof value));
    if (digests.length === 0) return;
    const loaded = Promise.all(digests.map((digest) => this.#policies.load(digest)));
    await Promise.race([loaded, this.#pace.pause(policyHeadStartSeconds)]);
  }

  async #watchStops(): Promise<void> {
    const { stopFile } = this.#options;
    const refused = new Set<string>();
    if (stopFile === undefined) return;
    while (!this.#abort.signal.aborted) {
      try {
        for (const leaf of await readLines(stopFile)) await this.#stopFromFile(leaf, refused);
      } catch (error) {
        this.#alarm(error);
      }
      await this.#pace.pause(this.#pollSeconds);
    }
  }

  /** A line that is refused is tried again, because the state may not be there yet; the alarm is raised once. */
  async #stopFromFile(leaf: string, refused: Set<string>): Promise<void> {
    try {
      await this.stop(leaf);
    } catch (error) {
      if (!refused.has(leaf)) this.#alarm(error);
      refused.add(leaf);
    }
  }
}

function viewOf(world: World, following: Following, policies: PolicyShelf, stops: DirectStops): TrustView {
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
    stopped: (key) => stops.stops(key),
  };
}

const policyHeadStartSeconds = 0.25;
