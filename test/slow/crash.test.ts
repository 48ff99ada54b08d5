import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CompactRange,
  emptyTreeRoot,
  hashLeaf,
  signEntry,
  TreeNodes,
  treeRoot,
  type VerifiedCheckpoint,
  verifyCheckpoint,
} from '@bulla/verifier/log';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { IssuerWorld, readToken } from '../kit/issuer.ts';
import { startIssuerProcess } from './start-issuer.ts';

const kills = 20;
const writers = 4;

let world: IssuerWorld;
beforeAll(async () => {
  world = await IssuerWorld.create();
  await world.issuer.close();
  const config = { ...world.config, checkpointSeconds: 0.05 };
  writeFileSync(join(world.dir, 'issuer.json'), JSON.stringify(config));
});
afterAll(async () => {
  await world.start();
  await world.remove();
});

const headers = { authorization: `Bearer ${readToken}`, 'content-type': 'application/json' };
const verified = (note: string): VerifiedCheckpoint =>
  verifyCheckpoint(note, { origin: 'log.example/a', logKey: world.log.signer.publicKey });

/** What was seen from outside, over all lives of the issuer. */
const acknowledged = new Map<number, string>();
let largest: VerifiedCheckpoint | undefined;
let groups = 0;

/** Appends as fast as it can until the issuer is gone; signs again on each conflict. */
async function write(url: string, head: { size: number; head: string }): Promise<void> {
  let at = head;
  for (;;) {
    groups += 1;
    const op = { type: 'group.create', group: `g${groups}`, protected: false } as const;
    const { account, admin } = world.ledger;
    const time = Math.floor(Date.now() / 1000);
    const leaf = signEntry({ account, seq: at.size, prev: at.head, time, op }, admin);
    try {
      const response = await fetch(`${url}${world.base}/log/entries`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ leaf }),
      });
      const answer = (await response.json()) as { size: number; head: string; seq: number };
      if (response.status === 201) acknowledged.set(answer.seq, leaf);
      else if (response.status !== 409) throw new Error(`unexpected answer ${response.status}`);
      at = answer;
    } catch (error) {
      if (error instanceof TypeError || error instanceof SyntaxError) return;
      throw error;
    }
  }
}

/** Watches checkpoints until the issuer is gone: they never go back, not even across lives. */
async function watch(url: string): Promise<void> {
  for (;;) {
    let note: string;
    try {
      note = await (await fetch(`${url}${world.base}/log/checkpoint`)).text();
    } catch {
      return;
    }
    const seen = verified(note);
    if (largest !== undefined) {
      expect(seen.size).toBeGreaterThanOrEqual(largest.size);
      expect(seen.time).toBeGreaterThanOrEqual(largest.time);
    }
    largest = seen;
  }
}

async function readLog(url: string): Promise<string[]> {
  const leaves: string[] = [];
  for (;;) {
    const response = await fetch(`${url}${world.base}/log/entries?from=${leaves.length}`, { headers });
    const lines = (await response.text())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { leaf?: string; checkpoint?: string });
    for (const { leaf } of lines) if (leaf !== undefined) leaves.push(leaf);
    if (verified(lines.at(-1)?.checkpoint ?? '').size === leaves.length) return leaves;
  }
}

function rootOf(leaves: readonly string[]): Buffer {
  const [nodes, range] = [new TreeNodes(), new CompactRange()];
  for (const leaf of leaves) range.append(hashLeaf(Buffer.from(leaf)), nodes.write);
  return leaves.length === 0 ? emptyTreeRoot : treeRoot(nodes.read, leaves.length);
}

test(`kill -9 under ${writers} writers, ${kills} times: nothing acknowledged is lost, nothing served is taken back`, async () => {
  // Old after the first life: the first conflict tells each writer where the log is.
  const genesis = { size: world.ledger.leaves.length, head: world.ledger.position.prevHash ?? '' };
  for (let life = 0; life <= kills; life += 1) {
    const { url, child, gone } = await startIssuerProcess(join(world.dir, 'issuer.json'));
    const leaves = await readLog(url);
    for (const [seq, leaf] of acknowledged) expect(leaves[seq], `entry ${seq} in life ${life}`).toBe(leaf);
    if (largest !== undefined) {
      expect(rootOf(leaves.slice(0, largest.size)).equals(largest.root)).toBe(true);
    }
    const busy =
      life < kills ? [watch(url), ...Array.from({ length: writers }, async () => write(url, genesis))] : [];
    // The moment must not depend on what the issuer is doing.
    await sleep(life < kills ? 150 + Math.random() * 250 : 0);
    child.kill('SIGKILL');
    await gone;
    await Promise.all(busy);
  }
  expect(acknowledged.size).toBeGreaterThan(kills);
  expect(largest?.size).toBeGreaterThan(kills);
});
