import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type IssuerConfig, initAccount, parseConfig, type RunningIssuer, serveIssuer } from '@bulla/issuer';
import {
  createSigner,
  createVerifier,
  generatePrivateJwk,
  memoryReplay,
  type PrivateJwk,
  type Verifier,
} from '@bulla/verifier';
import { createFollower, type Follower, type FollowerOptions, type Read } from '@bulla/verifier/log';
import { policySet } from './policies.ts';
import { World } from './world.ts';

const readToken = 'read-token-of-the-bench';

export interface StageOptions {
  /** Adds to the log, and says what else the account's configuration holds. */
  readonly prepare?: (
    world: World,
    keyFile: (name: string, jwk: PrivateJwk) => string,
  ) => Partial<IssuerConfig['accounts'][number]>;
}

/** An account with its issuer over HTTP: real store, real clock. */
export class Stage {
  readonly world: World;
  readonly config: IssuerConfig;
  readonly issuer: RunningIssuer;
  readonly #dir: string;

  private constructor(dir: string, world: World, config: IssuerConfig, issuer: RunningIssuer) {
    this.#dir = dir;
    this.world = world;
    this.config = config;
    this.issuer = issuer;
  }

  static async open({ prepare }: StageOptions = {}): Promise<Stage> {
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
          ...prepare?.(world, keyFile),
        },
      ],
    });
    await initAccount(config.database, ledger.leaves[0] ?? '');
    const issuer = await serveIssuer(config, { log: () => undefined });
    const stage = new Stage(dir, world, config, issuer);
    for (const leaf of ledger.leaves.slice(1)) await stage.post(leaf, [policy]);
    return stage;
  }

  async close(): Promise<void> {
    await this.issuer.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** Of the account's routes. */
  get url(): string {
    return `${this.issuer.url}/a/${this.world.ledger.account}`;
  }

  /** An API that follows the log, once it has all of it. */
  async follow(how: Pick<FollowerOptions, 'transport' | 'pollSeconds'>): Promise<[Follower, Verifier]> {
    const { ledger, audience, policyDigest } = this.world;
    const { account } = ledger;
    const follower = createFollower({ account, url: this.issuer.url, readToken, ...how });
    const verifier = createVerifier({
      account,
      audience,
      publicOrigins: [audience],
      trust: follower.trust,
      replay: memoryReplay({ processes: 1, startedAt: Date.now() / 1000 - 3600 }),
    });
    follower.start();
    await follower.until((trust) => trust.policySet(policyDigest) !== undefined);
    await follower.until((trust) => trust.size === ledger.leaves.length);
    return [follower, verifier];
  }

  /** Posts an entry, and the policy set that it publishes. @throws {Error} where the issuer refuses it. */
  async post(leaf: string, documents: readonly object[] = []): Promise<void> {
    const publishes = Buffer.from(leaf.split('.')[1] ?? '', 'base64url').includes('policy.publish');
    await this.#ask('/log/entries', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(publishes ? { leaf, documents } : { leaf }),
    });
  }

  /** Takes what the issuer appended by itself into the ledger, until a checkpoint covers what is waited for. */
  async catchUp(isThere: (read: Read) => boolean): Promise<void> {
    const { ledger } = this.world;
    while (!isThere(ledger.read)) {
      await this.#takeNew();
      await pause(5);
    }
  }

  async #takeNew(): Promise<void> {
    const { ledger } = this.world;
    const text = await this.#ask(`/log/entries?from=${String(ledger.leaves.length)}`, { headers: {} });
    for (const line of text.trim().split('\n')) {
      const { leaf } = JSON.parse(line) as { readonly leaf?: string };
      if (leaf !== undefined) ledger.take(leaf);
    }
  }

  async #ask(route: string, request: RequestInit): Promise<string> {
    const headers = { ...(request.headers as object), authorization: `Bearer ${readToken}` };
    const response = await fetch(`${this.url}${route}`, { ...request, headers });
    const text = await response.text();
    if (!response.ok) throw new Error(`the issuer refused: ${text}`);
    return text;
  }
}
