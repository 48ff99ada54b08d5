import { setTimeout as pause } from 'node:timers/promises';
import { Refusal, type Verifier } from '@bulla/verifier';
import type { Follower } from '@bulla/verifier/log';
import { accessTo } from './policies.ts';
import type { ResultRow } from './results.ts';
import { quantile, rounded } from './rounds.ts';
import { Stage } from './stage.ts';

const pollSeconds = 0.5;
const giveUpMilliseconds = 10_000;
const transports = ['stream', 'poll'] as const;

export interface DenyOptions {
  readonly runs: number;
  readonly onRun?: (transport: string, run: number) => void;
}

/**
 * From the issuer's acknowledgement of a suspension to the first refusal by a verifier that follows it over HTTP: real
 * issuer, real store, real clock. One request a millisecond is tried. `us`: median or p99 of all runs.
 */
export async function measureTimeToDeny(options: DenyOptions): Promise<readonly ResultRow[]> {
  const rows: ResultRow[] = [];
  for (const transport of transports) {
    const stage = await Stage.open();
    const [follower, verifier] = await stage.follow({ transport, pollSeconds });
    const times: number[] = [];
    try {
      for (let run = 1; run <= options.runs; run += 1) {
        options.onRun?.(transport, run);
        times.push(await timeOnce(stage, follower, verifier));
      }
    } finally {
      await follower.close();
      await stage.close();
    }
    rows.push(...denyRows(`deny.${transport}`, times));
  }
  return rows;
}

/** Median and p99 of milliseconds. */
export function denyRows(name: string, times: readonly number[]): readonly ResultRow[] {
  return (
    [
      ['median', 0.5],
      ['p99', 0.99],
    ] as const
  ).map(([word, share]) => {
    const us = rounded(quantile(times, share) * 1000, 0);
    return { name: `${name}.${word}`, us, cpuUs: 0, ratio: {} };
  });
}

/** Suspends the agent and resumes it again. @returns milliseconds. */
async function timeOnce(stage: Stage, follower: Follower, verifier: Verifier): Promise<number> {
  const { world } = stage;
  const { ledger, agentId } = world;
  // At no fixed distance from the last poll.
  await pause(Math.random() * pollSeconds * 1000);
  world.now = Date.now() / 1000;
  const envelope = world.envelope();
  const ask = async (): Promise<string> => {
    world.now = Date.now() / 1000;
    return outcomeOf(verifier, world.request(envelope));
  };
  if ((await ask()) !== 'allow') throw new Error('the agent should be allowed at first');
  await stage.post(ledger.do({ type: 'agent.suspend', agent: agentId }));
  const milliseconds = await untilDenied([ask], performance.now());
  const keys = [world.agent.publicKey.thumbprint];
  await stage.post(ledger.do({ type: 'agent.resume', agent: agentId, keys }));
  await follower.until((trust) => trust.size === ledger.leaves.length);
  return milliseconds;
}

/** Asks each, a millisecond apart, until the last of them denies. @returns milliseconds since `start`. */
export async function untilDenied(asks: readonly (() => Promise<string>)[], start: number): Promise<number> {
  let waiting = asks;
  for (;;) {
    const allowing: (() => Promise<string>)[] = [];
    for (const ask of waiting) if ((await ask()) === 'allow') allowing.push(ask);
    const milliseconds = performance.now() - start;
    if (allowing.length === 0) return milliseconds;
    if (milliseconds > giveUpMilliseconds) throw new Error('a suspension had no effect');
    waiting = allowing;
    await pause(1);
  }
}

/** `allow`, or why not. @throws {Refusal} for anything but a person or agent who is not active. */
export async function outcomeOf(
  verifier: Verifier,
  request: Parameters<Verifier['decide']>[0],
): Promise<string> {
  try {
    const decision = await verifier.decide(request, accessTo(1));
    return decision.allowed ? 'allow' : 'deny';
  } catch (error) {
    const expected = ['agent_not_active', 'subject_not_active'];
    if (error instanceof Refusal && expected.includes(error.code)) return error.code;
    throw error;
  }
}
