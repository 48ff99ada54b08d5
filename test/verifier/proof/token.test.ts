import { createNonces, createSigner, generatePrivateJwk } from '@bulla/verifier';
import { checkTokenProof, createProof } from '@bulla/verifier/envelope';
import { expect, test } from 'vitest';
import { codeOf, now } from '../../kit/deciding.ts';

const url = 'https://issuer.example/a/acct/oauth/token';
const signer = createSigner(generatePrivateJwk());
const nonces = createNonces({ now: () => now });
const proofOf = (change: { method?: string; url?: string; now?: number; nonce?: string } = {}) =>
  createProof({ method: 'POST', url, signer, now, plain: true, ...change });
const demands = { method: 'POST', url, now, nonces };

test('the proof of a token request names the key that the envelope will be bound to', () => {
  expect(checkTokenProof({ ...demands, proof: proofOf() })).toMatchObject({
    keyThumbprint: signer.publicKey.thumbprint,
    issuedAt: now,
    nonceBound: false,
    origin: 'https://issuer.example',
  });
  expect(checkTokenProof({ ...demands, proof: proofOf({ nonce: nonces.issue() }) }).nonceBound).toBe(true);
});

test.each([
  ['for another method', { method: 'GET' }, 'proof_method_mismatch'],
  ['for another account', { url: `${url}/x` }, 'proof_target_mismatch'],
  ['too old', { now: now - 61 }, 'proof_time'],
  ['with a foreign nonce', { nonce: 'x' }, 'proof_nonce_wrong'],
])('a proof %s is refused', async (_, change, code) => {
  expect(await codeOf(() => checkTokenProof({ ...demands, proof: proofOf(change) }))).toBe(code);
});
