import { createHmac } from 'node:crypto';
import type { Signer } from '@bulla/verifier';
import { canonicalJson, encodeBase64url, signBlock, signRoot } from '@bulla/verifier/envelope';
import { describe, expect, test } from 'vitest';
import { ApiWorld, audience } from '../../kit/api.ts';
import { newSigner } from '../../kit/log.ts';
import { signRaw, unpack } from '../../kit/wire.ts';

const encode = (text: string) => encodeBase64url(Buffer.from(text));

/** An honest root with header members changed (`undefined` removes one), signed again by the mint. */
function rootWith(world: ApiWorld, header: Readonly<Record<string, unknown>>, signer: Signer = world.mint) {
  const honest = unpack(world.envelope());
  return signRaw(canonicalJson({ ...honest.header, ...header }), canonicalJson(honest.claims), signer);
}

describe('the key decides the algorithm, never the header', () => {
  test.each(['ES256', 'HS256', 'RS256', 'none', 'NONE', 'eddsa', 'PS256', ''])('alg %s', async (alg) => {
    const world = new ApiWorld();
    expect(await world.outcome(rootWith(world, { alg }))).toBe('envelope_signature_invalid');
  });

  test('both names of Ed25519 are one algorithm', async () => {
    const world = new ApiWorld();
    expect(await world.outcome(rootWith(world, { alg: 'Ed25519' }))).toBe('allow');
    expect(await world.outcome(rootWith(world, { alg: 'EdDSA' }))).toBe('allow');
  });

  test('alg none with an empty or a foreign signature', async () => {
    const world = new ApiWorld();
    const { header, claims } = unpack(world.envelope());
    const input = `${encode(canonicalJson({ ...header, alg: 'none' }))}.${encode(canonicalJson(claims))}`;
    expect(await world.outcome(`${input}.`)).toBe('jws_malformed');
    expect(await world.outcome(input)).toBe('jws_malformed');
    expect(await world.outcome(`${input}.AA`)).toBe('envelope_signature_invalid');
  });

  test('HMAC with the public key as its secret', async () => {
    const world = new ApiWorld();
    const { jwk } = world.mint.publicKey;
    const { header, claims } = unpack(world.envelope());
    const input = `${encode(canonicalJson({ ...header, alg: 'HS256' }))}.${encode(canonicalJson(claims))}`;
    for (const secret of [Buffer.from(jwk.x, 'base64url'), Buffer.from(JSON.stringify(jwk))]) {
      const mac = createHmac('sha256', secret).update(input).digest('base64url');
      expect(await world.outcome(`${input}.${mac}`)).toBe('envelope_signature_invalid');
    }
  });

  test('a missing alg', async () => {
    const world = new ApiWorld();
    expect(await world.outcome(rootWith(world, { alg: undefined }))).toBe('jws_header_invalid');
    expect(await world.outcome(rootWith(world, { alg: ['EdDSA'] }))).toBe('jws_header_invalid');
  });
});

describe('a header member beside alg, typ and kid is refused, whatever it says', () => {
  test.each<[string, unknown]>([
    ['jku', 'https://mallory.example/keys'],
    ['x5u', 'https://mallory.example/cert'],
    ['x5c', ['MIIB']],
    ['crit', ['exp']],
    ['crit', []],
    ['b64', false],
    ['zip', 'DEF'],
    ['cty', 'JWT'],
    ['enc', 'A256GCM'],
    ['__proto__', { typ: 'bulla+jwt' }],
  ])('%s', async (name, value) => {
    const world = new ApiWorld();
    const header = Object.fromEntries([[name, value]]);
    expect(await world.outcome(rootWith(world, header))).toBe('jws_header_invalid');
  });

  test("jwk: the thief's own key, with a thief's signature", async () => {
    const world = new ApiWorld();
    const mallory = newSigner();
    const header = { jwk: mallory.publicKey.jwk };
    expect(await world.outcome(rootWith(world, header, mallory))).toBe('jws_header_invalid');
  });

  test('in a further block too', async () => {
    const world = new ApiWorld();
    const next = newSigner();
    const block = { next: next.publicKey.jwk, iat: world.now, depth: 1 };
    const envelope = signBlock(world.envelope(), block, world.agent.signer);
    const [root = '', honest = ''] = envelope.split('~');
    const { header, claims } = unpack(honest);
    for (const extra of [
      { kid: 'short' },
      { kid: 1 },
      { jku: 'https://mallory.example' },
      { jwk: next.publicKey.jwk },
      { crit: [] },
    ]) {
      const forged = signRaw(
        canonicalJson({ ...header, ...extra }),
        canonicalJson(claims),
        world.agent.signer,
      );
      expect(await world.outcome(`${root}~${forged}`, undefined, next)).toBe('jws_header_invalid');
    }
  });

  test.each<[string, unknown, string]>([
    ['absent', undefined, 'jws_header_invalid'],
    ['not text', 7, 'jws_header_invalid'],
    ['a path into the state', '../admin/x', 'jws_header_invalid'],
    ['a path of the right length', `../account/${'x'.repeat(32)}`, 'mint_not_trusted'],
    ['nobody', 'x'.repeat(43), 'mint_not_trusted'],
  ])('a kid that is %s', async (_, kid, code) => {
    const world = new ApiWorld();
    expect(await world.outcome(rootWith(world, { kid }))).toBe(code);
  });
});

describe('each kind of JWS is good for one thing', () => {
  const types = [
    'bulla+jwt',
    'bulla-block+jwt',
    'bulla-entry+jwt',
    'bulla-request+jwt',
    'dpop+jwt',
    'at+jwt',
    'JWT',
    'BULLA+JWT',
    'application/bulla+jwt',
  ];

  test.each(types.filter((typ) => typ !== 'bulla+jwt'))('%s is no root', async (typ) => {
    const world = new ApiWorld();
    expect(await world.outcome(rootWith(world, { typ }))).toBe('jws_type_wrong');
  });

  test.each(types.filter((typ) => typ !== 'bulla-block+jwt'))('%s is no block', async (typ) => {
    const world = new ApiWorld();
    const next = newSigner();
    const block = { next: next.publicKey.jwk, iat: world.now, depth: 1 };
    const [root = '', honest = ''] = signBlock(world.envelope(), block, world.agent.signer).split('~');
    const { header, claims } = unpack(honest);
    const forged = signRaw(canonicalJson({ ...header, typ }), canonicalJson(claims), world.agent.signer);
    expect(await world.outcome(`${root}~${forged}`, undefined, next)).toBe('jws_type_wrong');
  });

  test.each(types.filter((typ) => typ !== 'dpop+jwt'))('%s is no proof', async (typ) => {
    const world = new ApiWorld();
    const request = world.request({ envelope: world.envelope() });
    const proof = request.headers.find(([name]) => name === 'dpop')?.[1] ?? '';
    const { header, claims } = unpack(proof);
    const forged = signRaw(canonicalJson({ ...header, typ }), canonicalJson(claims), world.agent.signer);
    const headers = request.headers.map(([name, value]) => [name, name === 'dpop' ? forged : value] as const);
    await expect(world.decide({ ...request, headers })).rejects.toMatchObject({ code: 'proof_malformed' });
  });

  test.each(types.filter((typ) => typ !== 'bulla-entry+jwt'))('%s is no entry', (typ) => {
    const { ledger } = new ApiWorld();
    const honest = ledger.sign({ op: { type: 'group.create', group: 'g', protected: false } });
    const { header, claims } = unpack(honest);
    const forged = signRaw(canonicalJson({ ...header, typ }), canonicalJson(claims), ledger.admin);
    expect(ledger.codeOf(honest)).toBe('accepted');
    expect(ledger.codeOf(forged)).toBe('jws_type_wrong');
  });

  test('real ones, one presented as the other', async () => {
    const world = new ApiWorld();
    const { ledger, alice, agent } = world;
    const root = world.envelope();
    const next = { next: agent.signer.publicKey.jwk, iat: world.now, depth: 1 };
    const block = signBlock(root, next, agent.signer).split('~')[1] ?? '';
    const entry = ledger.lastLeaf.split('~')[0] ?? '';
    const request = ledger.signRequest(
      { type: 'agent.suspend', agent: agent.id },
      `agent/${agent.id}`,
      alice.signer,
    );
    const proof = world.request({ envelope: root }).headers.find(([name]) => name === 'dpop')?.[1] ?? '';
    const others = { block, entry, request, proof };
    for (const [kind, jws] of Object.entries(others)) {
      expect([kind, await world.outcome(jws)]).toEqual([kind, 'jws_type_wrong']);
      if (kind !== 'block') {
        expect([kind, await world.outcome(`${root}~${jws}`)]).toEqual([kind, 'jws_type_wrong']);
      }
      expect([kind, ledger.codeOf(kind === 'entry' ? root : jws)]).toEqual([kind, 'jws_type_wrong']);
    }
  });

  test('a root signed by a key that may not mint, of every role in the log', async () => {
    const world = new ApiWorld();
    const { ledger } = world;
    const relay = ledger.grant({ operations: ['request.relay', 'capability.revoke'], audiences: [audience] });
    const roles = {
      admin: ledger.admin,
      log: ledger.logKey,
      alice: world.alice.signer,
      agent: world.agent.signer,
      relay,
    };
    for (const [role, signer] of Object.entries(roles)) {
      expect([role, await world.outcome(signRoot(world.claims(), signer))]).toEqual([
        role,
        'mint_not_trusted',
      ]);
    }
  });
});
