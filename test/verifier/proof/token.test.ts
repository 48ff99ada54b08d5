import { createNonces, createSigner, generatePrivateJwk } from '@bulla/verifier';
import { checkTokenProof, createProof, type ProofRequest } from '@bulla/verifier/envelope';
import { expect, test } from 'vitest';
import { codeOf, now } from '../../kit/deciding.ts';

const url = 'https://issuer.example/a/acct/oauth/token';
const signer = createSigner(generatePrivateJwk());
const nonces = createNonces({ now: () => now });
const proofOf = (change: Partial<ProofRequest> = {}) =>
  createProof({ method: 'POST', url, signer, now, plain: true, ...change });
const body = new TextEncoder().encode('grant_type=client_credentials');
const demands = { method: 'POST', url, body, now, nonces };

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
  ['of a query', { plain: false, url: `${url}?a=b`, body }, 'proof_query_mismatch'],
  ['of other content', { plain: false, body: 'other' }, 'proof_content_mismatch'],
  ['of an envelope', { envelope: 'e30' }, 'proof_envelope_mismatch'],
  ['of a header field', { plain: false, body, headers: { 'x-a': 'b' } }, 'proof_header_mismatch'],
])('a proof %s is refused', async (_, change, code) => {
  expect(await codeOf(() => checkTokenProof({ ...demands, proof: proofOf(change) }))).toBe(code);
});
