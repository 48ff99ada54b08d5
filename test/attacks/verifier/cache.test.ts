import { signBlock, signRoot } from '@bulla/verifier/envelope';
import { beforeEach, describe, expect, test } from 'vitest';
import { ApiWorld, audience, readNote } from '../../kit/api.ts';
import { newSigner } from '../../kit/log.ts';

// What is cached of an envelope is that these bytes carry valid signatures, and nothing else (F29).

let world: ApiWorld;
let envelope: string;
const next = newSigner();
const noReads = {
  effect: 'forbid',
  principal: { op: 'All' },
  action: { op: '==', entity: { type: 'Action', id: 'read' } },
  resource: { op: 'All' },
  conditions: [],
};

beforeEach(async () => {
  world = new ApiWorld();
  envelope = world.envelope({ jti: 'warm' });
  expect(await world.outcome(envelope)).toBe('allow');
  expect(await world.outcome(envelope)).toBe('allow');
});

describe('an envelope whose signatures are remembered is refused once', () => {
  const thumbprint = (party: { readonly signer: typeof next }) => party.signer.publicKey.thumbprint;

  test.each<[string, () => void, string]>([
    [
      "the mint's lease is revoked",
      () => world.ledger.do({ type: 'delegate.revoke', key: world.mint.publicKey.thumbprint }),
      'mint_not_trusted',
    ],
    [
      'the agent is suspended',
      () => world.ledger.do({ type: 'agent.suspend', agent: world.agent.id }),
      'agent_not_active',
    ],
    [
      'the agent is revoked',
      () => world.ledger.do({ type: 'agent.revoke', agent: world.agent.id }),
      'agent_not_active',
    ],
    [
      'the person is suspended',
      () => world.ledger.do({ type: 'principal.suspend', principal: world.alice.id }),
      'subject_not_active',
    ],
    [
      'the person leaves',
      () => world.ledger.do({ type: 'principal.deprovision', principal: world.alice.id }),
      'subject_not_active',
    ],
    [
      'the holder key is revoked',
      () => world.ledger.do({ type: 'key.revoke', key: thumbprint(world.agent) }),
      'holder_key_not_live',
    ],
    [
      'the key that registered the agent is revoked from then on',
      () => world.ledger.do({ type: 'key.revoke', key: thumbprint(world.alice), since: 1 }),
      'agent_not_active',
    ],
    [
      'the capability is revoked',
      () => world.ledger.do({ type: 'capability.revoke', jti: 'warm', exp: world.now + 300 }),
      'envelope_revoked',
    ],
    [
      'the API is retired',
      () => world.ledger.do({ type: 'audience.retire', audience }),
      'audience_not_active',
    ],
    [
      'the policy slot is retired',
      () => world.ledger.do({ type: 'policy.retire', slot: 'main' }),
      'policy_retired',
    ],
    ['the trust state is stale', () => (world.age = 61), 'trust_stale'],
    ['its life is over', () => (world.now += 300), 'envelope_expired'],
    [
      'the person loses the group',
      () => world.ledger.do({ type: 'member.remove', group: 'staff', member: `principal/${world.alice.id}` }),
      'subject_not_active',
    ],
    ['the group is deleted', () => world.ledger.do({ type: 'group.delete', group: 'staff' }), 'deny'],
    [
      'the agent is limited',
      () => world.ledger.do({ type: 'agent.limit', agent: world.agent.id, limits: [noReads] }),
      'deny',
    ],
  ])('%s', async (_, change, code) => {
    change();
    expect(await world.outcome(envelope)).toBe(code);
  });

  test('the lease has ended, though the envelope has not', async () => {
    const { ledger } = world;
    const mint = ledger.grant({
      operations: ['capability.mint'],
      audiences: [audience],
      notAfter: world.now + 300,
    });
    const late = world.envelope({}, mint);
    expect(await world.outcome(late)).toBe('allow');
    world.now += 300;
    expect(['envelope_expired', 'mint_not_trusted']).toContain(await world.outcome(late));
    world.now -= 300;
    expect(await world.outcome(world.envelope({ iat: world.now, exp: world.now + 600 }, mint))).toBe(
      'mint_not_trusted',
    );
  });

  test.each<[string, (w: ApiWorld) => string, string]>([
    ['person', (w) => `principal/${w.alice.id}`, 'subject_not_active'],
    ['agent', (w) => `agent/${w.agent.id}`, 'agent_not_active'],
    ['holder key', (w) => `key/${w.agent.signer.publicKey.thumbprint}`, 'holder_key_not_live'],
    ['mint key', (w) => `key/${w.mint.publicKey.thumbprint}`, 'mint_not_trusted'],
    ['mint lease', (w) => `delegate/${w.mint.publicKey.thumbprint}`, 'mint_not_trusted'],
    ['policy slot', () => 'slot/main', 'policy_retired'],
  ])('an admin has stopped the %s directly', async (_, key, code) => {
    world.stops.add(key(world));
    expect(await world.outcome(envelope)).toBe(code);
  });
});

describe('the memory is of these bytes alone', () => {
  test('each single character changed is another envelope', async () => {
    const claims = envelope.split('.')[1]?.length ?? 0;
    const header = envelope.indexOf('.');
    for (const index of [
      5,
      header - 2,
      header + 9,
      header + claims - 4,
      header + claims + 9,
      envelope.length - 3,
    ]) {
      const twin = envelope[index] === 'A' ? 'B' : 'A';
      const changed = envelope.slice(0, index) + twin + envelope.slice(index + 1);
      expect(await world.outcome(changed)).not.toMatch(/allow|deny/u);
    }
    expect(await world.outcome(envelope)).toBe('allow');
  });

  test('an envelope that starts like a remembered one is verified anew', async () => {
    const thief = newSigner();
    const block = { next: thief.publicKey.jwk, iat: world.now, depth: 1 };
    const longer = signBlock(envelope, block, thief);
    expect(await world.outcome(longer, undefined, thief)).toBe('envelope_signature_invalid');
    expect(await world.outcome(longer, undefined, thief)).toBe('envelope_signature_invalid');
  });

  test('blocks removed from a remembered one bring back nothing to its last holder', async () => {
    const block = { next: next.publicKey.jwk, iat: world.now, depth: 1, narrow: [noReads] };
    const narrowed = signBlock(envelope, block, world.agent.signer);
    expect(await world.outcome(narrowed, readNote(), next)).toBe('deny');
    expect(await world.outcome(envelope, readNote(), next)).toBe('proof_key_mismatch');
  });

  test('the same claims under another signature are verified anew', async () => {
    const claims = world.claims();
    expect(await world.outcome(signRoot(claims, world.mint))).toBe('allow');
    const [header = '', payload = ''] = signRoot(claims, world.mint).split('.');
    const foreign = signRoot(claims, newSigner()).split('.')[2] ?? '';
    expect(await world.outcome(`${header}.${payload}.${foreign}`)).toBe('envelope_signature_invalid');
  });

  test('a refusal is not remembered as an acceptance, nor the reverse', async () => {
    const thief = newSigner();
    const forged = signRoot(world.claims({ jti: 'forged' }), thief);
    for (let round = 0; round < 3; round += 1) expect(await world.outcome(forged)).toBe('mint_not_trusted');
    expect(await world.outcome(envelope)).toBe('allow');
  });
});
