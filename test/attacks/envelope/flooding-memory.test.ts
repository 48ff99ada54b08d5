import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createProof, signBlock } from '@bulla/verifier/envelope';
import { expect, test } from 'vitest';
import { ApiWorld, audience, outcomeOf } from '../../kit/api.ts';

// Whoever holds one envelope can append blocks of their own without end, and each result carries valid signatures. What is
// remembered of them is bounded by size: 16,384 of the largest would take 1.5 GB, though no proof ever came with one.

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const heapMebibytes = (): number => {
  collect();
  return process.memoryUsage().heapUsed / 2 ** 20;
};

test('large envelopes by one holder leave the heap in bounds', { timeout: 120_000 }, async () => {
  const world = new ApiWorld();
  const { signer } = world.agent;
  const envelope = world.envelope();
  // Three bytes of JSON become an object of 56.
  const heavy = Array.from({ length: 1100 }, () => ({}));
  const block = { next: signer.publicKey.jwk, iat: world.now, depth: 1 };
  const url = new URL('/notes/n1', audience);
  const proof = createProof({ method: 'GET', url, signer, now: world.now, envelope });
  const access = { action: 'read', resource: () => ({ type: 'Note', id: 'n1' }) };
  const before = heapMebibytes();
  for (let index = 0; index < 4500; index += 1) {
    const text = signBlock(envelope, { ...block, narrow: [heavy, index] }, signer);
    const headers = Object.entries({ host: url.host, authorization: `DPoP ${text}`, dpop: proof });
    const request = { method: 'GET', target: url.pathname, headers, body: new Uint8Array() };
    expect(await outcomeOf(world.verifier.decide(request, access))).toBe('proof_envelope_mismatch');
  }
  world.receipts.length = 0;
  expect(heapMebibytes() - before).toBeLessThan(280);
});
