import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { createAgent } from '@bulla/agent';
import { loadConfig, serveIssuer } from '@bulla/issuer';
import {
  createSigner,
  createVerifier,
  generatePrivateJwk,
  memoryReplay,
  Refusal,
  systemPorts,
  type Verifier,
  type WireRequest,
} from '@bulla/verifier';
import { createProof } from '@bulla/verifier/envelope';
import { createFollower, type Follower } from '@bulla/verifier/log';
import {
  addPerson,
  createGroup,
  Ledger,
  publishPolicy,
  registerAgent,
  registerAudience,
  resume,
  setUp,
  suspend,
} from 'bulla/admin';
import { accessTo, policySet } from './policies.ts';
import type { ResultRow } from './results.ts';
import { quantile, rounded } from './rounds.ts';

type Transport = 'stream' | 'poll';
const transports: readonly Transport[] = ['stream', 'poll'];
/** Polling every half second; the follower's default is a second. */
const pollSeconds = 0.5;
const audience = 'https://documents.example';

interface Reader {
  readonly follower: Follower;
  readonly verifier: Verifier;
}

/**
 * Time to deny: from the moment in which the admin's tool reports a suspension (it has seen it in a checkpoint) to the
 * first refusal at a verifier that follows. Real issuer, store and HTTP on loopback; two verifiers side by side, one on
 * the stream, one polling.
 */
export async function timeToDeny(runs: number, onRun: (run: number) => void): Promise<readonly ResultRow[]> {
  const folder = mkdtempSync(path.join(tmpdir(), 'bulla-bench-'));
  const admin = createSigner(generatePrivateJwk());
  const key = createSigner(generatePrivateJwk());
  const now = (): number => systemPorts.now();
  const setup = await setUp({
    folder: path.join(folder, 'issuer'),
    issuerUrl: `http://127.0.0.1:${String(await freePort())}`,
    admins: [admin],
    audiences: [audience],
    ledgerFolder: () => path.join(folder, 'ledger'),
    now,
  });
  const { account, issuerUrl: url, readToken } = setup;
  const issuer = await serveIssuer(loadConfig(setup.configFile, {}), { log: () => undefined });
  const ledger = await Ledger.open({
    account,
    url,
    readToken,
    folder: path.join(folder, 'ledger'),
    admins: [admin],
  });
  const agent = await populate(ledger, key);
  const readers = await Promise.all(
    transports.map(async (transport): Promise<Reader> => {
      const follower = createFollower({ account, url, readToken, transport, pollSeconds });
      follower.start();
      await follower.ready;
      // As if the process had been up for an hour: no proof needs a nonce.
      const replay = memoryReplay({ processes: 1, startedAt: now() - 3600 });
      const options = { account, audience, publicOrigins: [audience], trust: follower.trust, replay };
      return { follower, verifier: createVerifier(options) };
    }),
  );
  const milliseconds: Record<Transport, number[]> = { stream: [], poll: [] };
  try {
    for (let run = 1; run <= runs; run += 1) {
      onRun(run);
      const exchange = { issuer: `${url}/a/${account}`, clientId: agent, key, resource: audience };
      const envelope = await createAgent(exchange).envelope();
      for (const { verifier } of readers) await verifier.decide(request(envelope, key), accessTo(0));
      await suspend(ledger, agent);
      const suspended = performance.now();
      const taken = await Promise.all(
        readers.map(
          async ({ verifier }) => (await firstRefusal(verifier, () => request(envelope, key))) - suspended,
        ),
      );
      for (const [index, transport] of transports.entries())
        milliseconds[transport].push(taken[index] ?? Number.NaN);
      await resume(ledger, agent, [key.publicKey.thumbprint]);
      const { size } = ledger.trust;
      for (const { follower } of readers) await follower.until((trust) => trust.size >= size);
    }
  } finally {
    for (const { follower } of readers) await follower.close();
    await ledger.close();
    await issuer.close();
    rmSync(folder, { recursive: true });
  }
  return transports.flatMap((transport) =>
    ([0.5, 0.99] as const).map((share) => ({
      name: `deny.${transport}.p${String(share * 100)}`,
      us: rounded(quantile(milliseconds[transport], share) * 1000, 1),
      cpuUs: 0,
      ratio: {},
    })),
  );
}

/** @returns the agent's id. */
async function populate(ledger: Ledger, key: ReturnType<typeof createSigner>): Promise<string> {
  await createGroup(ledger, 'staff', true);
  await publishPolicy(ledger, 'documents', policySet({ policies: 10, entities: 0 }));
  await registerAudience(ledger, audience, 'documents', 30);
  const person = createSigner(generatePrivateJwk());
  const { principal } = await addPerson(ledger, { groups: ['staff'], key: person });
  const { agent } = await registerAgent(ledger, { owner: principal, kind: 'autonomous', key });
  return agent;
}

/** Asks until the agent is refused. @returns when, as `performance.now()`. @throws whatever else goes wrong. */
async function firstRefusal(verifier: Verifier, next: () => WireRequest): Promise<number> {
  for (;;) {
    try {
      await verifier.decide(next(), accessTo(0));
    } catch (error) {
      if (error instanceof Refusal && error.code === 'agent_not_active') return performance.now();
      throw error;
    }
    // The follower of this process needs its turn, as it would between requests.
    await turn();
  }
}

function request(envelope: string, signer: ReturnType<typeof createSigner>): WireRequest {
  const url = new URL('/documents/1', audience);
  const proof = createProof({ method: 'GET', url, envelope, signer, now: systemPorts.now() });
  return {
    method: 'GET',
    target: url.pathname,
    headers: [
      ['host', url.host],
      ['authorization', `DPoP ${envelope}`],
      ['dpop', proof],
    ],
    body: new Uint8Array(),
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
