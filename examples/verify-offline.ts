// Shows that a verifier needs no network: the log from disk, as it stood when it was pinned, and one request, twice.
// Run:   node --import=tsx --conditions=@bulla/source examples/verify-offline.ts     (after admin.ts, stopped or not)
// Prints `allowed: true, by own-team-read`, then `sent again: proof_replayed`.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createSigner, createVerifier, memoryReplay, type PrivateJwk, Refusal } from '@bulla/verifier';
import { createProof, signRoot } from '@bulla/verifier/envelope';
import { createFollower, readLock, type TrustView } from '@bulla/verifier/log';
import { parsePolicySetDocument, policySetDigest } from '@bulla/verifier/policy';
import { folder, readSettings } from './settings.ts';

const { account, issuer, readToken, lock, audience, agent } = readSettings();
const pinned = readLock(lock).time;
const ports = { now: () => pinned, fetch: () => Promise.reject(new Error('no network here')) };

// Every leaf on the disk is checked again, from genesis, under the same rules as when it came over the network.
const directory = path.join(folder, 'admin');
const follower = createFollower({ account, url: issuer, readToken, directory, ports });
follower.start();
await follower.ready;
const { size, root, read } = follower.trust;
const document = parsePolicySetDocument(readFileSync(path.join(folder, 'policy.json')));
const policySet: TrustView['policySet'] = (digest) =>
  digest === policySetDigest(document) ? document : undefined;
const trust: TrustView = { account, size, root, read, policySet, age: () => 0, stopped: () => false };
await follower.close();

// What an issuer would mint and the agent would send. The issuer's key is at hand here; its lease is in the log.
const mint = JSON.parse(readFileSync(path.join(folder, 'issuer/mint.jwk'), 'utf8')) as PrivateJwk;
const signer = createSigner(agent.key);
const record = read(`agent/${agent.clientId}`);
const sub = record?.owner ?? '';
const epoch = { principal: record?.ownerEpoch ?? 0, agent: record?.epoch ?? 0 };
const [iss, aud, client_id, jti] = [`${issuer}/a/${account}`, [audience], agent.clientId, 'an-example'];
const [iat, exp, depth] = [pinned, pinned + 60, 0];
const [cnf, policy] = [{ jkt: signer.publicKey.thumbprint }, read('slot/orders')?.digest ?? ''];
const envelope = signRoot(
  { iss, aud, sub, jti, iat, exp, account, epoch, client_id, cnf, key: 'logged', policy, narrow: [], depth },
  createSigner(mint),
);
const url = new URL('/orders/1', audience);
const proof = createProof({ method: 'GET', url, envelope, signer, now: pinned });
const host = ['host', url.host] as const;
const headers = [host, ['authorization', `DPoP ${envelope}`], ['dpop', proof]] as const;
const request = { method: 'GET', target: url.pathname, headers, body: new Uint8Array() };

const replay = memoryReplay({ processes: 1, startedAt: pinned - 3600 });
const verifier = createVerifier({ account, audience, publicOrigins: [audience], trust, replay, ports });
const access = {
  action: 'order.read',
  resource: () => ({ type: 'Order', id: '1', attributes: { team: 'blue' } }),
};
const { allowed, receipt } = await verifier.decide(request, access);
console.log(`allowed: ${allowed}, by ${receipt.reasons.map((reason) => reason.policy).join()}`);
await verifier.decide(request, access).catch((error: unknown) => {
  console.log(`sent again: ${error instanceof Refusal ? error.code : 'error'}`);
});
