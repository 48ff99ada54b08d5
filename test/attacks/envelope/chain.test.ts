import type { PublicJwk, Signer } from '@bulla/verifier';
import { type BlockClaims, canonicalJson, signBlock } from '@bulla/verifier/envelope';
import { beforeEach, describe, expect, test } from 'vitest';
import { ApiWorld, audience } from '../../kit/api.ts';
import { newSigner } from '../../kit/log.ts';
import { signRaw, unpack } from '../../kit/wire.ts';

let world: ApiWorld;
const bob = newSigner();
const carol = newSigner();
const mallory = newSigner();

beforeEach(() => {
  world = new ApiWorld();
});

type Change = Partial<Omit<BlockClaims, 'prev' | 'cnf'>>;

function hand(envelope: string, from: Signer, to: Signer, change: Change = {}): string {
  const block = { next: to.publicKey.jwk, iat: world.now, depth: 3, ...change };
  return signBlock(envelope, block, from);
}

/** The last block with claims changed, signed again by `signer`. */
function resigned(envelope: string, signer: Signer, change: Readonly<Record<string, unknown>>): string {
  const end = envelope.lastIndexOf('~');
  const { header, claims } = unpack(envelope.slice(end + 1));
  return `${envelope.slice(0, end)}~${signRaw(canonicalJson(header), JSON.stringify({ ...claims, ...change }), signer)}`;
}

const noWrites = {
  effect: 'forbid',
  principal: { op: 'All' },
  action: { op: '==', entity: { type: 'Action', id: 'write' } },
  resource: { op: 'All' },
  conditions: [],
};

describe('blocks taken out, put in or moved', () => {
  test('cut off: the holder before may still use what is left, the one after may not', async () => {
    const root = world.envelope();
    const whole = hand(root, world.agent.signer, bob);
    expect(await world.outcome(whole, undefined, bob)).toBe('allow');
    expect(await world.outcome(root, undefined, bob)).toBe('proof_key_mismatch');
    expect(await world.outcome(`${root}~`, undefined, bob)).toBe('jws_malformed');
    expect(await world.outcome(whole.slice(0, -1), undefined, bob)).toBe('encoding_invalid');
    expect(await world.outcome(whole.slice(0, -2), undefined, bob)).toBe('envelope_signature_invalid');
  });

  test('a narrowing block cut out of the middle', async () => {
    const one = hand(world.envelope(), world.agent.signer, bob, { narrow: [noWrites] });
    const two = hand(one, bob, carol, { depth: 2 });
    const [root, , last] = two.split('~');
    expect(await world.outcome(two, undefined, carol)).toBe('allow');
    expect(await world.outcome(`${root ?? ''}~${last ?? ''}`, undefined, carol)).toBe('envelope_link_wrong');
  });

  test('two blocks swapped, one said twice', async () => {
    const two = hand(hand(world.envelope(), world.agent.signer, bob), bob, carol, { depth: 2 });
    const [root = '', first = '', second = ''] = two.split('~');
    expect(await world.outcome(`${root}~${second}~${first}`, undefined, bob)).toBe('envelope_link_wrong');
    expect(await world.outcome(`${two}~${second}`, undefined, carol)).toBe('envelope_link_wrong');
    expect(await world.outcome(`${root}~${root}`)).toBe('jws_type_wrong');
    expect(await world.outcome(`${first}~${second}`, undefined, carol)).toBe('jws_type_wrong');
  });

  test('a block of one envelope on the root of another', async () => {
    const block = hand(world.envelope({ narrow: [noWrites] }), world.agent.signer, bob).split('~')[1] ?? '';
    expect(await world.outcome(`${world.envelope()}~${block}`, undefined, bob)).toBe('envelope_link_wrong');
  });

  test('re-parented: the link rewritten by somebody who is not the holder', async () => {
    const other = hand(world.envelope(), world.agent.signer, mallory);
    const claims = unpack(other.split('~')[1] ?? '').claims;
    const stolen = hand(world.envelope(), world.agent.signer, bob);
    const grafted = resigned(stolen, mallory, { cnf: claims['cnf'] });
    expect(await world.outcome(grafted, undefined, mallory)).toBe('envelope_signature_invalid');
  });

  test('re-signed by a holder from further up, further down, or by the mint', async () => {
    const two = hand(hand(world.envelope(), world.agent.signer, bob), bob, carol, { depth: 2 });
    for (const signer of [world.agent.signer, carol, world.mint, world.ledger.admin]) {
      expect(await world.outcome(resigned(two, signer, {}), undefined, carol)).toBe(
        'envelope_signature_invalid',
      );
    }
    expect(await world.outcome(resigned(two, bob, {}), undefined, carol)).toBe('allow');
  });

  test('with an `alg` that is not of the holder key', async () => {
    const envelope = hand(world.envelope(), world.agent.signer, bob);
    const [root = '', block = ''] = envelope.split('~');
    const { header, claims } = unpack(block);
    const forged = signRaw(
      canonicalJson({ ...header, alg: 'ES256' }),
      canonicalJson(claims),
      world.agent.signer,
    );
    expect(await world.outcome(`${root}~${forged}`, undefined, bob)).toBe('envelope_signature_invalid');
  });
});

describe('a block only takes away', () => {
  test.each<[string, (now: number) => Change, string]>([
    ['a longer life', (now) => ({ exp: now + 301 }), 'envelope_widened'],
    ['the same depth', () => ({ depth: 4 }), 'envelope_widened'],
    ['more depth', () => ({ depth: 5 }), 'envelope_widened'],
    ['another audience', () => ({ aud: ['https://other.example'] }), 'envelope_widened'],
    ['an audience more', () => ({ aud: [audience, 'https://other.example'] }), 'envelope_widened'],
    ['no audience', () => ({ aud: [] }), 'envelope_claim_invalid'],
    ['a time in the future', (now) => ({ iat: now + 6 }), 'envelope_not_yet_valid'],
    ['a life that is over', (now) => ({ exp: now }), 'envelope_expired'],
  ])('with %s', async (_, change, code) => {
    const envelope = hand(world.envelope(), world.agent.signer, bob, change(world.now));
    expect(await world.outcome(envelope, undefined, bob)).toBe(code);
  });

  test.each(['sub', 'policy', 'account', 'epoch', 'client_id', 'jti', 'key', 'staleness', 'permit', 'kid'])(
    'and says nothing about %s',
    async (name) => {
      const envelope = hand(world.envelope(), world.agent.signer, bob);
      const forged = resigned(envelope, world.agent.signer, { [name]: 'x' });
      expect(await world.outcome(forged, undefined, bob)).toBe('envelope_claim_invalid');
    },
  );

  test('a later block cannot take back what an earlier one took away', async () => {
    const short = hand(world.envelope(), world.agent.signer, bob, { exp: world.now + 10, depth: 2 });
    const again = hand(short, bob, carol, { exp: world.now + 11, depth: 1 });
    expect(await world.outcome(again, undefined, carol)).toBe('envelope_widened');
    const silent = hand(short, bob, carol, { depth: 1 });
    world.now += 10;
    expect(await world.outcome(silent, undefined, carol)).toBe('envelope_expired');
  });

  test('a sealed envelope takes no block', async () => {
    const sealed = world.envelope({ depth: 0 });
    const forged = resigned(hand(sealed, world.agent.signer, bob), world.agent.signer, { depth: 0 });
    expect(await world.outcome(sealed)).toBe('allow');
    expect(await world.outcome(forged, undefined, bob)).toBe('envelope_widened');
    const below = resigned(forged, world.agent.signer, { depth: -1 });
    expect(await world.outcome(below, undefined, bob)).toBe('envelope_claim_invalid');
  });

  test('more blocks than the cap are refused before any is read', async () => {
    expect(await world.outcome(`${world.envelope()}${'~a'.repeat(17)}`)).toBe('envelope_malformed');
  });

  test('the chain ends with its depth', async () => {
    const holders = Array.from({ length: 5 }, () => newSigner());
    let envelope = world.envelope();
    let from = world.agent.signer;
    for (const [index, holder] of holders.entries()) {
      envelope = hand(envelope, from, holder, { depth: Math.max(0, 3 - index) });
      from = holder;
      expect(await world.outcome(envelope, undefined, holder)).toBe(index < 4 ? 'allow' : 'envelope_widened');
    }
  });
});

describe('the next holder key', () => {
  const smallOrder = [
    'AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA',
    '7P_______________________________________38',
    'JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU',
    'xxdqcD1N2E-6DAtnDXYQSOmQ--dpBCD_HbPM_XqsA_o',
  ];
  test.each(smallOrder)('of small order: %s', async (x) => {
    const jwk: PublicJwk = { kty: 'OKP', crv: 'Ed25519', x };
    const envelope = hand(world.envelope(), world.agent.signer, bob);
    const forged = resigned(envelope, world.agent.signer, { cnf: { jwk } });
    expect(await world.outcome(forged, undefined, bob)).toBe('key_invalid');
  });

  test.each<[string, (honest: PublicJwk) => unknown]>([
    ['with its private part', (honest) => ({ ...honest, d: 'AAAA' })],
    ['symmetric', () => ({ kty: 'oct', k: 'AAAA' })],
    ['RSA', () => ({ kty: 'RSA', n: 'AQAB', e: 'AQAB' })],
    ['on another curve', (honest) => ({ ...honest, crv: 'X25519' })],
    [
      'a point that is not on the curve',
      (honest) => ({ ...honest, x: 'AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }),
    ],
    ['not canonical (p + 1)', (honest) => ({ ...honest, x: '7v_______________________________________38' })],
    ['too short', (honest) => ({ ...honest, x: 'AAAA' })],
    ['P-256 off its curve', () => ({ kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) })],
    ['text', () => 'AAAA'],
    ['null', () => null],
  ])('%s', async (_, jwk) => {
    const envelope = hand(world.envelope(), world.agent.signer, bob);
    const forged = resigned(envelope, world.agent.signer, { cnf: { jwk: jwk(bob.publicKey.jwk) } });
    expect(await world.outcome(forged, undefined, bob)).toBe('key_invalid');
  });

  test('is refused when it is one of the service, and when it is revoked', async () => {
    const { ledger } = world;
    const roles = { admin: ledger.admin, log: ledger.logKey, mint: world.mint };
    for (const [role, signer] of Object.entries(roles)) {
      const envelope = hand(world.envelope(), world.agent.signer, signer);
      expect([role, await world.outcome(envelope, undefined, signer)]).toEqual([role, 'holder_key_not_live']);
    }
    const other = ledger.person();
    const envelope = hand(world.envelope(), world.agent.signer, other.signer);
    expect(await world.outcome(envelope, undefined, other.signer)).toBe('allow');
    ledger.do({ type: 'key.revoke', key: other.signer.publicKey.thumbprint });
    expect(await world.outcome(envelope, undefined, other.signer)).toBe('holder_key_not_live');
  });

  test('of a suspended agent or person on the way kills the whole envelope', async () => {
    const { ledger } = world;
    const person = ledger.person();
    const helper = ledger.agent(person);
    const envelope = hand(hand(world.envelope(), world.agent.signer, helper.signer), helper.signer, bob, {
      depth: 2,
    });
    expect(await world.outcome(envelope, undefined, bob)).toBe('allow');
    ledger.do({ type: 'principal.suspend', principal: person.id });
    expect(await world.outcome(envelope, undefined, bob)).toBe('holder_key_not_live');
  });
});
