import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { systemPorts } from '@bulla/verifier';
import { type Alarm, createFollower, type Follower, type FollowerOptions } from '@bulla/verifier/log';
import { afterEach, beforeEach } from 'vitest';
import { createLedger, newSigner } from '../../kit/log.ts';
import { SampleLog } from './sample-log.ts';

export const start = 1_700_000_000;
const admins = [newSigner()];
const logKey = newSigner();

/** Two of these share their genesis, and the same entries give the same tree. */
export const newLog = (): SampleLog => new SampleLog(createLedger({ time: start, admins, logKey }));

/** A log, a clock, and followers that are closed when the test is over. */
export class Stage {
  log: SampleLog = newLog();
  now: number = start;
  url = '';
  alarms: Alarm[] = [];
  directory = '';
  readonly #followers: Follower[] = [];
  #onAlarm: (alarm: Alarm) => void = () => undefined;

  async open(): Promise<void> {
    this.url = await this.log.listen();
    this.directory = mkdtempSync(path.join(tmpdir(), 'bulla-follow-'));
  }

  async close(): Promise<void> {
    for (const follower of this.#followers) await follower.close();
    await this.log.close();
    rmSync(this.directory, { recursive: true });
  }

  follow(options: Partial<FollowerOptions> = {}): Follower {
    const follower = createFollower({
      account: this.log.ledger.account,
      url: this.url,
      readToken: 'read',
      ports: { ...systemPorts, now: () => this.now },
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

  /** Appends a group to the log and publishes it. */
  grow(name: string): void {
    this.log.ledger.group(name);
    this.log.publish();
  }

  /** Moves the clock, and the log signs its tree anew. */
  tick(seconds: number): void {
    this.now += seconds;
    this.log.time = this.now;
    this.log.publish();
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

/** A new stage for each test of the file. */
export function useStage(): () => Stage {
  let stage: Stage;
  beforeEach(async () => {
    stage = new Stage();
    await stage.open();
  });
  afterEach(() => stage.close());
  return () => stage;
}
