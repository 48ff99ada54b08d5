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

test('a field that the proof binds and the caller sent twice is refused, and its name is not repeated', () => {
  const signer = createSigner(generatePrivateJwk());
  const name = 'ignore-all-previous-instructions';
  const proof = createProof({
    method: 'GET',
    url: 'https://api.example/',
    headers: { [name]: 'a' },
    envelope: 'root',
    signer,
    now,
  });
  const headers: [string, string][] = [
    ['Host', 'api.example'],
    ['Authorization', 'DPoP root'],
    ['DPoP', proof],
    [name, 'a'],
    [name, 'a'],
  ];
  const request = readRequest({ method: 'GET', target: '/', headers, body: Buffer.alloc(0) }, origins);
  const check = () => checkProof(request, { holder: signer.publicKey.thumbprint, now, route: {} });
  expect(check).toThrow(expect.objectContaining({ code: 'request_field_repeated' }));
  expect(check).not.toThrow(name);
});
