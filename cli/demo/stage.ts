import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { initAccount, parseConfig, serveIssuer, systemIssuerPorts } from '@bulla/issuer';
import { createSigner, generatePrivateJwk, type PrivateJwk, type Signer } from '@bulla/verifier';
import { compilePolicySet } from '@bulla/verifier/authoring';
import { policySetDigest } from '@bulla/verifier/policy';
import { addPerson, registerAgent } from '../admin.ts';
import { createGenesis } from '../genesis.ts';
import { Ledger } from '../ledger.ts';
import { type GuardedApi, startApi } from './api.ts';
import { policyText, schemaText } from './policy.ts';

/** Everything the demo plays with, on loopback and in a temporary folder. */
export interface Stage {
  readonly account: string;
  readonly issuer: string;
  readonly ledger: Ledger;
  readonly api: GuardedApi;
  readonly alice: string;
  readonly agent: { readonly id: string; readonly key: PrivateJwk; readonly signer: Signer };
  /** The issuer's mint key: the demo robs the issuer of it. */
  readonly mint: Signer;
  readonly policies: readonly string[];
  close(): Promise<void>;
}

/** Sets up an account, an issuer, a policy, a person with an agent, and an API that demands capabilities. */
export async function setStage(): Promise<Stage> {
  const folder = mkdtempSync(path.join(tmpdir(), 'bulla-demo-'));
  const admin = newSigner();
  const logKey = generatePrivateJwk();
  const mintKey = generatePrivateJwk();
  const readToken = randomBytes(24).toString('base64url');
  const [issuerPort, apiPort] = [await freePort(), await freePort()];
  const issuer = `http://127.0.0.1:${issuerPort}`;
  const audience = `http://127.0.0.1:${apiPort}`;
  const { account, leaves } = createGenesis({
    origin: 'demo.bulla.example/log',
    logKey: createSigner(logKey),
    admins: [admin],
    now: Date.now() / 1000,
  });
  await initAccount(path.join(folder, 'log.db'), leaves[0] ?? '');
  const running = await serveIssuer(
    parseConfig({
      publicUrl: issuer,
      port: issuerPort,
      database: path.join(folder, 'log.db'),
      accounts: [
        {
          account,
          logKeyFile: keyFile(folder, 'log', logKey),
          mintKeyFile: keyFile(folder, 'mint', mintKey),
          readTokens: [{ name: 'demo', sha256: createHash('sha256').update(readToken).digest('base64url') }],
        },
      ],
    }),
    { ...systemIssuerPorts, log: () => undefined },
  );
  const ledger = await Ledger.open({
    account,
    url: issuer,
    readToken,
    folder: path.join(folder, 'home'),
    admins: [admin],
  });
  const mint = createSigner(mintKey);
  const people = await populate(ledger, mint, audience);
  const api = await startApi({ account, issuer, readToken, audience, port: apiPort });
  return {
    account,
    issuer: `${issuer}/a/${account}`,
    ledger,
    api,
    mint,
    ...people,
    close: async () => {
      await api.close();
      await ledger.close();
      await running.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function populate(
  ledger: Ledger,
  mint: Signer,
  audience: string,
): Promise<Pick<Stage, 'alice' | 'agent' | 'policies'>> {
  const document = await compilePolicySet({ policyText, schemaText });
  await ledger.append(
    { type: 'policy.publish', slot: 'orders', digest: policySetDigest(document) },
    { documents: [document] },
  );
  await ledger.append({ type: 'audience.register', audience, slot: 'orders', maxStalenessSeconds: 30 });
  await ledger.append(
    {
      type: 'delegate.grant',
      key: mint.publicKey.jwk,
      lease: {
        operations: ['capability.mint'],
        groups: [],
        attributes: [],
        audiences: [audience],
        maxLifetimeSeconds: 600,
        notAfter: ledger.now() + 86_400,
        maxEntriesPerHour: 0,
        maxEntries: 0,
      },
    },
    { cosigners: [mint] },
  );
  await ledger.append({ type: 'group.create', group: 'buyers', protected: true });
  const person = { groups: ['buyers'], attributes: { team: 'blue' }, key: newSigner() };
  const { principal: alice } = await addPerson(ledger, person);
  const key = generatePrivateJwk();
  const signer = createSigner(key);
  const { agent } = await registerAgent(ledger, { owner: alice, key: signer });
  return {
    alice,
    agent: { id: agent, key, signer },
    policies: Object.keys(document.policies),
  };
}

export function newSigner(): Signer {
  return createSigner(generatePrivateJwk());
}

function keyFile(folder: string, name: string, key: PrivateJwk): string {
  const file = path.join(folder, `${name}.jwk`);
  writeFileSync(file, JSON.stringify(key), { mode: 0o600 });
  chmodSync(file, 0o600);
  return file;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
