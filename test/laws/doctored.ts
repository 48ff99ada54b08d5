import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Signer, systemPorts } from '@bulla/verifier';
import { canonicalJson, encodeBase64url } from '@bulla/verifier/envelope';
import {
  type Alarm,
  createFollower,
  type Follower,
  type FollowerOptions,
  formatLock,
  type Lock,
} from '@bulla/verifier/log';
import { ApiWorld } from '../kit/api.ts';
import { Ledger, newSigner } from '../kit/log.ts';
import { SampleLog } from '../verifier/log-tree/sample-log.ts';
import { Api } from './hostile.ts';

/** The world of {@link ApiWorld}, served over HTTP by Eve, who holds the log key: she signs and serves what she likes. */
export class Doctored {
  readonly world: ApiWorld;
  readonly log: SampleLog;
  readonly alarms: Alarm[] = [];
  readonly directory: string = mkdtempSync(path.join(tmpdir(), 'bulla-law-'));
  url = '';
  readonly #admins: readonly Signer[];
  readonly #logKey: Signer = newSigner();
  readonly #followers: Follower[] = [];
  #onAlarm: (alarm: Alarm) => void = () => undefined;

  private constructor(admins: readonly Signer[], threshold: number) {
    this.#admins = admins;
    this.world = new ApiWorld({ ledger: { admins, threshold, logKey: this.#logKey } });
    this.log = new SampleLog(this.world.ledger);
    for (const [digest, document] of this.world.documents) {
      this.log.policies.set(digest, Buffer.from(canonicalJson(document)));
    }
    this.tick(0);
  }

  static async open(admins: readonly Signer[] = [newSigner()], threshold = 1): Promise<Doctored> {
    const doctored = new Doctored(admins, threshold);
    doctored.url = await doctored.log.listen();
    return doctored;
  }

  async close(): Promise<void> {
    for (const follower of this.#followers) await follower.close();
    await this.log.close();
    rmSync(this.directory, { recursive: true });
  }

  get now(): number {
    return this.world.now;
  }

  /** Moves every clock; Eve signs the same tree with the new time. */
  tick(seconds: number): void {
    this.world.now += seconds;
    this.world.ledger.time = this.now;
    this.log.time = this.now;
    this.log.sign();
  }

  follow(options: Partial<FollowerOptions> = {}): Follower {
    const follower = createFollower({
      account: this.world.ledger.account,
      url: this.url,
      readToken: 'read',
      ports: { ...systemPorts, now: () => this.now },
      transport: 'poll',
      pollSeconds: 0.005,
      maxBackoffSeconds: 0.01,
      onAlarm: (alarm) => {
        this.alarms.push(alarm);
        this.#onAlarm(alarm);
      },
      ...options,
    });
    this.#followers.push(follower);
    follower.start();
    return follower;
  }

  /** A follower that has everything served so far, and a verifier over it. */
  async reader(options: Partial<FollowerOptions> = {}): Promise<{ follower: Follower; api: Api }> {
    const follower = this.follow(options);
    await follower.ready;
    const digest = follower.trust.read('slot/main')?.digest ?? '';
    await follower.until((trust) => trust.policySet(digest) !== undefined);
    return { follower, api: new Api(follower.trust, () => this.now) };
  }

  outcome(api: Api, envelope: string = this.world.envelope()): Promise<string> {
    return api.outcome(envelope, this.world.agent.signer);
  }

  /** Another history with the same first `size` leaves, under the same log key. */
  fork(size: number): SampleLog {
    const { ledger } = this.world;
    const twin = new Ledger({
      admins: this.#admins,
      logKey: this.#logKey,
      threshold: ledger.read('account')?.threshold ?? 1,
    });
    if (twin.account !== ledger.account) throw new Error('the fork has another genesis');
    for (const leaf of ledger.leaves.slice(1, size)) twin.force(leaf);
    twin.time = this.now;
    const log = new SampleLog(twin);
    log.time = this.now;
    log.publish();
    return log;
  }

  /** From here on readers get this history. */
  serve(log: SampleLog): void {
    this.log.entries = (request, response) => {
      const from = Number(new URL(request.url ?? '/', 'http://log').searchParams.get('from'));
      response.end(log.lines(from));
    };
  }

  /** What an API team pins now. */
  lock(log: SampleLog = this.log): Lock {
    const root = encodeBase64url(log.world.treeRoot());
    return { account: this.world.ledger.account, size: log.leaves.length, root, time: log.time };
  }

  writeLock(lock: Lock = this.lock()): string {
    const file = path.join(this.directory, 'bulla.lock');
    writeFileSync(file, formatLock(lock));
    return file;
  }

  /** Resolves when an alarm with this code was raised, now or before. */
  alarmed(code: Alarm['code']): Promise<Alarm> {
    return new Promise((resolve) => {
      this.#onAlarm = (alarm) => {
        if (alarm.code === code) resolve(alarm);
      };
      for (const alarm of this.alarms) this.#onAlarm(alarm);
    });
  }
}
