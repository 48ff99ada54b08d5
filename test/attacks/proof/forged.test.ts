import { createHmac } from 'node:crypto';
import { createNonces, createSigner, generatePrivateJwk, memoryReplay } from '@bulla/verifier';
import {
  canonicalJson,
  checkProof,
  checkTokenProof,
  encodeBase64url,
  readRequest,
} from '@bulla/verifier/envelope';
import { describe, expect, test } from 'vitest';
import { codeOf, createProofWorld, envelope, now, origin } from '../../kit/deciding.ts';
import {
  check,
  order,
  provenWire,
  publicOrigins,
  reproven,
  signRaw,
  unpack,
  withField,
} from '../../kit/wire.ts';

const alice = createSigner(generatePrivateJwk());
const mallory = createSigner(generatePrivateJwk());
const good = provenWire(alice);
const proof = good.headers.find(([name]) => name === 'DPoP')?.[1] ?? '';
const { header, claims } = unpack(proof);
const [headerPart, claimsPart, signaturePart] = proof.split('.');
const codeFor = (forged: string) => codeOf(() => check(withField(good, 'dpop', forged), alice));

describe('algorithms', () => {
  test.each(['none', 'HS256', 'ES256', 'RS256', 'ed25519', ''])('`alg` %j is refused', async (alg) => {
    const forged = signRaw(canonicalJson({ ...header, alg }), canonicalJson(claims), alice);
    expect(await codeFor(forged)).toBe('proof_algorithm_wrong');
  });
  test('`Ed25519` is the same algorithm as `EdDSA`', async () => {
    const forged = signRaw(canonicalJson({ ...header, alg: 'Ed25519' }), canonicalJson(claims), alice);
    expect(await codeFor(forged)).toBe('accepted');
  });
  test('a MAC keyed with the public key is refused', async () => {
    const input = `${encodeBase64url(Buffer.from(canonicalJson({ ...header, alg: 'HS256' })))}.${claimsPart ?? ''}`;
    const key = Buffer.from(alice.publicKey.jwk.x, 'base64url');
    const mac = createHmac('sha256', key).update(input).digest('base64url');
    expect(await codeFor(`${input}.${mac}`)).toBe('proof_algorithm_wrong');
  });
  test('an empty signature is refused', async () => {
    expect(await codeFor(`${headerPart ?? ''}.${claimsPart ?? ''}.`)).toBe('proof_malformed');
  });
});

describe('headers', () => {
  const { jwk: _, ...withoutKey } = header;
  test.each<[string, unknown]>([
    ['no jwk', withoutKey],
    ['another typ', { ...header, typ: 'jwt' }],
    ['typ in another case', { ...header, typ: 'DPoP+JWT' }],
    ['a block as a proof', { ...header, typ: 'bulla-block+jwt' }],
    ['crit', { ...header, crit: ['jwk'] }],
    ['jku', { ...header, jku: 'https://evil.example/keys' }],
    ['kid', { ...header, kid: 'x' }],
    ['b64', { ...header, b64: false }],
    ['a jwk that is a string', { ...header, jwk: 'x' }],
    ['a jwk with its private part', { ...header, jwk: generatePrivateJwk() }],
    ['a jwk with certificates', { ...header, jwk: { ...alice.publicKey.jwk, x5u: 'https://evil.example' } }],
    ['a symmetric jwk', { ...header, jwk: { kty: 'oct', k: 'AAAA' } }],
  ])('%s is refused', async (_name, forged) => {
    expect(await codeFor(signRaw(JSON.stringify(forged), canonicalJson(claims), alice))).toBe(
      'proof_malformed',
    );
  });
  test.each<[string, unknown]>([
    ['a small-order key', { kty: 'OKP', crv: 'Ed25519', x: 'AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }],
    ['a point off its curve', { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) }],
  ])('%s is nobody: not the holder, and no key to bind an envelope to', async (_name, jwk) => {
    const odd = signRaw(JSON.stringify({ ...header, jwk }), canonicalJson(claims), alice);
    expect(await codeFor(odd)).toBe('proof_key_mismatch');
    const { jti, htm, htu, iat } = claims;
    const asked = signRaw(JSON.stringify({ ...header, jwk }), JSON.stringify({ jti, htm, htu, iat }), alice);
    const demands = {
      proof: asked,
      method: order.method,
      url: typeof htu === 'string' ? htu : '',
      body: Buffer.alloc(0),
      now,
    };
    expect(await codeOf(() => checkTokenProof(demands))).toBe('proof_malformed');
  });
  test("a jwk with a public key's usual extras is fine", async () => {
    const jwk = {
      ...alice.publicKey.jwk,
      alg: 'Ed25519',
      use: 'sig',
      kid: 'k',
      ext: true,
      key_ops: ['verify'],
    };
    expect(await codeFor(signRaw(JSON.stringify({ ...header, jwk }), canonicalJson(claims), alice))).toBe(
      'accepted',
    );
  });
});

describe('encodings', () => {
  const text = canonicalJson(claims);
  test.each([
    ['a repeated claim', text.replace('{', '{"htm":"GET",')],
    ['a claim repeated in another spelling', text.replace('{', '{"\\u0068tm":"GET",')],
    ['a fraction as time', text.replace(/"iat":\d+/u, '"iat":1800000000.5')],
    ['a time in exponent form beyond 2^53', text.replace(/"iat":\d+/u, '"iat":1e300')],
    ['claims nested without end', `${'['.repeat(1000)}${']'.repeat(1000)}`],
    ['claims that are a list', '[]'],
    ['claims that are null', 'null'],
    ['nothing', ''],
  ])('%s is refused', async (_, payload) => {
    expect(await codeFor(signRaw(canonicalJson(header), payload, alice))).toBe('proof_malformed');
  });
  test.each([
    ['padding', `${headerPart ?? ''}=.${claimsPart ?? ''}.${signaturePart ?? ''}`],
    ['white space', `${proof} `],
    ['a fourth part', `${proof}.${signaturePart ?? ''}`],
    ['two parts', `${headerPart ?? ''}.${claimsPart ?? ''}`],
    ['no part', ''],
    ['the JSON serialisation', JSON.stringify({ protected: headerPart })],
    ['a signature in another spelling', `${proof.slice(0, -1)}${proof.endsWith('A') ? 'B' : 'A'}`],
  ])('%s is refused', async (_, forged) => {
    expect(['proof_malformed', 'proof_signature_invalid']).toContain(await codeFor(forged));
  });
  test('a proof that is too large is refused unread', async () => {
    expect(await codeFor('a'.repeat(4097))).toBe('proof_too_large');
  });
  test('claims of one proof under the signature of another are refused', async () => {
    const other = provenWire(alice)
      .headers.find(([name]) => name === 'DPoP')?.[1]
      ?.split('.')[2];
    expect(await codeFor(`${headerPart ?? ''}.${claimsPart ?? ''}.${other ?? ''}`)).toBe(
      'proof_signature_invalid',
    );
  });
});

describe('replay', () => {
  const read = (wire: typeof good) =>
    checkProof(readRequest(wire, publicOrigins), { holder: alice.publicKey, now, route: {} });

  test('across a restart with a proof from the future is refused', async () => {
    const early = reproven(good, alice, { claims: { iat: now + 5 } });
    const before = memoryReplay({ processes: 1, startedAt: now - 3600 });
    expect(await codeOf(() => before.claim(read(early), now))).toBe('accepted');
    const after = memoryReplay({ processes: 1, startedAt: now + 1 });
    expect(await codeOf(() => after.claim(read(early), now + 2))).toBe('proof_nonce_required');
  });

  test('a proof by another key does not use up the jti of the holder', async () => {
    const world = createProofWorld();
    const row = { action: 'read', resource: () => ({ type: 'Order', id: 'o1' }) };
    const mine = provenWire(world.alice);
    const forged = reproven(mine, mallory, {});
    expect(await codeOf(() => world.verifier.decide(forged, row))).toBe('proof_signature_invalid');
    expect(await codeOf(() => world.verifier.decide(mine, row))).toBe('accepted');
    expect(await codeOf(() => world.verifier.decide(mine, row))).toBe('proof_replayed');
  });

  test("another process's nonce is refused, and so is any nonce where none is issued", async () => {
    const foreign = createNonces({ now: () => now }).issue();
    const wire = reproven(good, alice, { claims: { nonce: foreign } });
    expect(await codeOf(() => read(wire))).toBe('proof_nonce_wrong');
    const demands = { holder: alice.publicKey, now, route: {}, nonces: createNonces({ now: () => now }) };
    expect(await codeOf(() => checkProof(readRequest(wire, publicOrigins), demands))).toBe(
      'proof_nonce_wrong',
    );
  });
});

test('no refusal quotes what was sent', async () => {
  const secret = 'hunter2hunter2';
  const changes = [
    { htm: secret },
    { htu: `${origin}/${secret}` },
    { htq: secret },
    { content_digest: secret },
    { ath: secret },
    { nonce: secret },
    { htb: { 'content-type': secret } },
    { [secret]: 1 },
  ];
  for (const change of changes) {
    const wire = reproven(good, alice, { claims: change });
    const error: unknown = await Promise.resolve()
      .then(() => check(wire, alice))
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Error);
    expect((error as Error).message).not.toContain(secret);
    expect((error as Error).message).not.toContain(envelope);
  }
});
