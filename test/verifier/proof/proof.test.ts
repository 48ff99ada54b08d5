import { createSigner, generatePrivateJwk, memoryReplay } from '@bulla/verifier';
import { checkProof, createProof, createPublicOrigins, readRequest } from '@bulla/verifier/envelope';
import { expect, test } from 'vitest';

const origins = createPublicOrigins(['https://api.example']);
const now = 1_800_000_000;

test.each(['Ed25519', 'P-256'] as const)('a proof by a key on %s passes once', (curve) => {
  const signer = createSigner(generatePrivateJwk(curve));
  const proof = createProof({
    method: 'POST',
    url: 'https://api.example/orders/1?expand=lines',
    body: '{"amount":1}',
    headers: { 'Content-Type': 'application/json' },
    envelope: 'root~block',
    signer,
    now,
  });
  const request = readRequest(
    {
      method: 'POST',
      target: '/orders/1?expand=lines',
      headers: [
        ['Host', 'api.example'],
        ['Authorization', 'DPoP root~block'],
        ['DPoP', proof],
        ['Content-Type', 'application/json'],
      ],
      body: Buffer.from('{"amount":1}'),
    },
    origins,
  );
  const checked = checkProof(request, { holder: signer.publicKey.thumbprint, now, route: {} });
  expect(checked.boundHeaders).toEqual(['content-type']);
  const replay = memoryReplay({ processes: 1, startedAt: now - 100 });
  expect(replay.claim(checked, now)).toBeUndefined();
  expect(() => replay.claim(checked, now)).toThrow(expect.objectContaining({ code: 'proof_replayed' }));
});
