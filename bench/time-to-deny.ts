import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { initAccount, parseConfig, type RunningIssuer, serveIssuer } from '@bulla/issuer';
import {
  createSigner,
  createVerifier,
  generatePrivateJwk,
  memoryReplay,
  type PrivateJwk,
  Refusal,
  type Verifier,
} from '@bulla/verifier';
import { createFollower, type Follower } from '@bulla/verifier/log';
import { accessTo, policySet } from './policies.ts';
import type { ResultRow } from './results.ts';
import { quantile, rounded } from './rounds.ts';
import { World } from './world.ts';

const readToken = 'read-token-of-the-bench';
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
    const stage = await Stage.open(transport);
    const times: number[] = [];
    try {
      for (let run = 1; run <= options.runs; run += 1) {
        options.onRun?.(transport, run);
        times.push(await stage.timeOnce());
      }
    } finally {
      await stage.close();
    }
    for (const [name, share] of [
      ['median', 0.5],
      ['p99', 0.99],
    ] as const) {
      const us = rounded(quantile(times, share) * 1000, 0);
      rows.push({ name: `deny.${transport}.${name}`, us, cpuUs: 0, ratio: {} });
    }
  }
  return rows;
}

/** An account with its issuer, and an API that follows it. */
class Stage {
  readonly #dir: string;
  readonly #world: World;
  readonly #issuer: RunningIssuer;
  readonly #follower: Follower;
  readonly #verifier: Verifier;

  private constructor(dir: string, world: World, issuer: RunningIssuer, follower: Follower) {
    this.#dir = dir;
    this.#world = world;
    this.#issuer = issuer;
    this.#follower = follower;
    this.#verifier = createVerifier({
      account: world.ledger.account,
      audience: world.audience,
      publicOrigins: [world.audience],
      trust: follower.trust,
      replay: memoryReplay({ processes: 1, startedAt: Date.now() / 1000 - 3600 }),
    });
  }

  static async open(transport: (typeof transports)[number]): Promise<Stage> {
    const dir = mkdtempSync(path.join(tmpdir(), 'bulla-bench-'));
    const policy = policySet({ policies: 10, entities: 1 });
    const logJwk = generatePrivateJwk();
    const time = Math.floor(Date.now() / 1000) - 10;
    const world = new World({ policy, time, logKey: createSigner(logJwk) });
    const { ledger } = world;
    const keyFile = (name: string, jwk: PrivateJwk): string => {
      const file = path.join(dir, `${name}.jwk`);
      writeFileSync(file, JSON.stringify(jwk), { mode: 0o600 });
      return file;
    };
    const config = parseConfig({
      publicUrl: 'https://issuer.example',
      database: path.join(dir, 'issuer.db'),
      port: 0,
      accounts: [
        {
          account: ledger.account,
          logKeyFile: keyFile('log', logJwk),
          mintKeyFile: keyFile('mint', world.mintJwk),
          readTokens: [{ name: 'bench', sha256: createHash('sha256').update(readToken).digest('base64url') }],
        },
      ],
    });
    await initAccount(config.database, ledger.leaves[0] ?? '');
    const issuer = await serveIssuer(config, { log: () => undefined });
    const follower = createFollower({
      account: ledger.account,
      url: issuer.url,
      readToken,
      transport,
      pollSeconds,
    });
    const stage = new Stage(dir, world, issuer, follower);
    for (const leaf of ledger.leaves.slice(1)) await stage.#post(leaf, [policy]);
    follower.start();
    await follower.until((trust) => trust.policySet(world.policyDigest) !== undefined);
    await follower.until((trust) => trust.size === ledger.leaves.length);
    return stage;
  }

  async close(): Promise<void> {
    await this.#follower.close();
    await this.#issuer.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** Suspends the agent and resumes it again. @returns milliseconds. */
  async timeOnce(): Promise<number> {
    const { ledger, agentId } = this.#world;
    // At no fixed distance from the last poll.
    await pause(Math.random() * pollSeconds * 1000);
    this.#world.now = Date.now() / 1000;
    const envelope = this.#world.envelope();
    if ((await this.#try(envelope)) !== 'allow') throw new Error('the agent should be allowed at first');
    await this.#post(ledger.do({ type: 'agent.suspend', agent: agentId }));
    const start = performance.now();
    while ((await this.#try(envelope)) === 'allow') {
      if (performance.now() - start > giveUpMilliseconds) throw new Error('a suspension had no effect');
      await pause(1);
    }
    const milliseconds = performance.now() - start;
    const keys = [this.#world.agent.publicKey.thumbprint];
    await this.#post(ledger.do({ type: 'agent.resume', agent: agentId, keys }));
    await this.#follower.until((trust) => trust.size === ledger.leaves.length);
    return milliseconds;
  }

  async #try(envelope: string): Promise<string> {
    this.#world.now = Date.now() / 1000;
    try {
      const decision = await this.#verifier.decide(this.#world.request(envelope), accessTo(1));
      return decision.allowed ? 'allow' : 'deny';
    } catch (error) {
      if (error instanceof Refusal && error.code === 'agent_not_active') return error.code;
      throw error;
    }
  }

  async #post(leaf: string, documents: readonly object[] = []): Promise<void> {
    const publishes = Buffer.from(leaf.split('.')[1] ?? '', 'base64url').includes('policy.publish');
    const response = await fetch(`${this.#issuer.url}/a/${this.#world.ledger.account}/log/entries`, {
      method: 'POST',
      headers: { authorization: `Bearer ${readToken}`, 'content-type': 'application/json' },
      body: JSON.stringify(publishes ? { leaf, documents } : { leaf }),
    });
    if (!response.ok) throw new Error(`the issuer refused an entry: ${await response.text()}`);
  }
}
