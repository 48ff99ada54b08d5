import { createVerifier, memoryReplay } from '@bulla/verifier';
import { signBlock } from '@bulla/verifier/envelope';
import { audienceKey, revokedKey } from '@bulla/verifier/log';
import { describe, expect, test } from 'vitest';
import { ApiWorld, audience, notesPolicy, outcomeOf, readNote } from '../kit/api.ts';
import { newSigner } from '../kit/log.ts';

describe('an envelope minted for an agent of alice', () => {
  test('is allowed what the policy permits, and the grant says who asked', async () => {
    const world = new ApiWorld();
    const envelope = world.envelope({ jti: 'cap-1' });
    const decision = await world.decide(world.request({ envelope }));
    expect(decision).toMatchObject({
      allowed: true,
      grant: {
        envelopeId: 'cap-1',
        subject: world.alice.id,
        agent: world.agent.id,
        actors: [world.alice.id, world.agent.id],
        action: 'read',
        keyThumbprint: world.agent.signer.publicKey.thumbprint,
      },
      receipt: { outcome: 'allow', reasons: [{ layer: 'admin', policy: 'staff-notes' }] },
    });
    expect(world.receipts).toEqual([decision.receipt]);
  });

  test('is denied what the policy forbids, with the policy and its reason', async () => {
    const world = new ApiWorld();
    const decision = await world.decide(
      world.request({ envelope: world.envelope() }),
      readNote('1', 'secret'),
    );
    expect(decision).toMatchObject({
      allowed: false,
      reasons: [{ layer: 'admin', policy: 'no-secrets', reason: 'this folder is closed' }],
      receipt: { outcome: 'deny' },
    });
  });

  test('works with a P-256 holder key too', async () => {
    const world = new ApiWorld({ agentKey: newSigner('P-256') });
    expect(await world.outcome(world.envelope())).toBe('allow');
  });

  test('is refused when the same proof comes twice', async () => {
    const world = new ApiWorld();
    const request = world.request({ envelope: world.envelope() });
    expect(await outcomeOf(world.decide(request))).toBe('allow');
    expect(await outcomeOf(world.decide(request))).toBe('proof_replayed');
  });

  test('is refused in the hand of another key', async () => {
    const world = new ApiWorld();
    expect(await world.outcome(world.envelope(), undefined, newSigner())).toBe('proof_key_mismatch');
  });

  test('is refused once the agent, or its owner, is suspended, and stays so after they come back', async () => {
    for (const subject of ['agent', 'principal'] as const) {
      const world = new ApiWorld();
      const envelope = world.envelope();
      expect(await world.outcome(envelope)).toBe('allow');
      const refused = subject === 'agent' ? 'agent_not_active' : 'subject_not_active';
      const keys = [world.agent.signer.publicKey.thumbprint];
      if (subject === 'agent') {
        world.ledger.do({ type: 'agent.suspend', agent: world.agent.id });
        expect(await world.outcome(envelope)).toBe(refused);
        world.ledger.do({ type: 'agent.resume', agent: world.agent.id, keys });
      } else {
        world.ledger.do({ type: 'principal.suspend', principal: world.alice.id });
        expect(await world.outcome(envelope)).toBe(refused);
        world.ledger.do({
          type: 'principal.resume',
          principal: world.alice.id,
          keys: [world.alice.signer.publicKey.thumbprint],
        });
      }
      expect(await world.outcome(envelope)).toBe(refused);
    }
  });
});

describe('what an envelope claims is held against the log', () => {
  test.each([
    ['another account', { account: 'acct_other' }, 'account_mismatch'],
    ['another audience', { aud: ['https://other.example'] }, 'audience_mismatch'],
    [
      'an audience more than the lease lists',
      { aud: [audience, 'https://other.example'] },
      'mint_not_trusted',
    ],
    ['an epoch to come', { epoch: { principal: 99, agent: 1 } }, 'subject_not_active'],
    ['an invented person', { sub: 'prn_00000000000000000000000000000000' }, 'subject_not_active'],
    ['an invented agent', { client_id: 'agt_00000000000000000000000000000000' }, 'agent_not_active'],
    ['an invented key', { cnf: { jkt: 'x'.repeat(43) } }, 'holder_key_not_live'],
    ['an old policy digest', { policy: 'sha-256:old' }, 'policy_superseded'],
  ])('%s is refused', async (_, change, code) => {
    const world = new ApiWorld();
    expect(await world.outcome(world.envelope(change))).toBe(code);
  });

  test('an agent of another person is refused', async () => {
    const world = new ApiWorld();
    const bob = world.ledger.person({ groups: ['staff'] });
    const his = world.ledger.agent(bob);
    const claims = { client_id: his.id, cnf: { jkt: his.signer.publicKey.thumbprint } };
    expect(await world.outcome(world.envelope(claims), readNote(), his.signer)).toBe('agent_not_active');
  });

  test.each(['his own key', 'the key of his agent', "alice's own key"])(
    'her agent with %s is refused',
    async (whose) => {
      const world = new ApiWorld();
      const bob = world.ledger.person({ groups: ['staff'] });
      const signers = {
        'his own key': bob.signer,
        'the key of his agent': world.ledger.agent(bob).signer,
        "alice's own key": world.alice.signer,
      };
      const signer = signers[whose as keyof typeof signers];
      const envelope = world.envelope({ cnf: { jkt: signer.publicKey.thumbprint } });
      expect(await world.outcome(envelope, readNote(), signer)).toBe('holder_key_not_live');
    },
  );

  test('a life beyond the end of the lease is refused, and so is every life after it', async () => {
    const world = new ApiWorld();
    const mint = world.ledger.grant({
      operations: ['capability.mint'],
      audiences: [audience],
      maxLifetimeSeconds: 600,
      notAfter: world.now + 100,
    });
    expect(await world.outcome(world.envelope({ exp: world.now + 101 }, mint))).toBe(
      'mint_lifetime_exceeded',
    );
    const envelope = world.envelope({ exp: world.now + 100 }, mint);
    expect(await world.outcome(envelope)).toBe('allow');
    world.now += 99;
    expect(await world.outcome(envelope)).toBe('allow');
    world.now += 1;
    expect(await world.outcome(world.envelope({}, mint))).toBe('mint_not_trusted');
  });

  test('a life over the lease is refused', async () => {
    const world = new ApiWorld();
    expect(await world.outcome(world.envelope({ exp: world.now + 601 }))).toBe('mint_lifetime_exceeded');
  });

  test('an expired one is refused, also after the clock is set back', async () => {
    const world = new ApiWorld();
    const envelope = world.envelope();
    world.now += 300;
    expect(await world.outcome(envelope)).toBe('envelope_expired');
    world.now -= 300;
    expect(await world.outcome(envelope)).toBe('envelope_expired');
  });

  test('one from the future is refused', async () => {
    const world = new ApiWorld();
    expect(await world.outcome(world.envelope({ iat: world.now + 6 }))).toBe('envelope_not_yet_valid');
  });

  test('a mint key without a lease is refused', async () => {
    const world = new ApiWorld();
    expect(await world.outcome(world.envelope({}, newSigner()))).toBe('mint_not_trusted');
    expect(await world.outcome(world.envelope({}, world.ledger.admin))).toBe('mint_not_trusted');
  });

  test('a capability that was revoked is refused', async () => {
    const world = new ApiWorld();
    const envelope = world.envelope({ jti: 'cap-1' });
    expect(await world.outcome(envelope)).toBe('allow');
    world.ledger.do({ type: 'capability.revoke', jti: 'cap-1', exp: world.now + 300 });
    expect(await world.outcome(envelope)).toBe('envelope_revoked');
  });
});

describe('knowledge of the log', () => {
  test('older than the route allows is refused', async () => {
    const world = new ApiWorld();
    world.age = 61;
    expect(await world.outcome(world.envelope())).toBe('trust_stale');
    world.age = 31;
    const route = { stalenessSeconds: 30 };
    const request = world.request({ envelope: world.envelope() });
    expect(await outcomeOf(world.decide(request, readNote(), route))).toBe('trust_stale');
  });

  test('cannot be stretched by route or envelope, only lowered', async () => {
    const world = new ApiWorld();
    world.age = 61;
    const stretched = world.request({ envelope: world.envelope({ staleness: 3600 }) });
    const route = { stalenessSeconds: 3600 };
    expect(await outcomeOf(world.decide(stretched, readNote(), route))).toBe('trust_stale');
    world.age = 11;
    expect(await world.outcome(world.envelope({ staleness: 10 }))).toBe('trust_stale');
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('of age %s is refused', async (age) => {
    const world = new ApiWorld();
    world.age = age;
    expect(await world.outcome(world.envelope())).toBe('trust_stale');
  });

  test('without this API is refused', async () => {
    const world = new ApiWorld();
    const verifier = world.verifierWith({ audience: 'https://other.example' });
    const request = world.request({ envelope: world.envelope() });
    expect(await outcomeOf(verifier.decide(request, readNote()))).toBe('audience_not_active');
  });

  test('without the current policy set is refused', async () => {
    const world = new ApiWorld();
    world.documents.clear();
    expect(await world.outcome(world.envelope())).toBe('policy_unavailable');
  });

  test('of another account cannot be given to a verifier', () => {
    const world = new ApiWorld();
    const options = { account: 'acct_other', audience, publicOrigins: [audience], trust: world.trust };
    expect(() => createVerifier({ ...options, replay: memoryReplay({ processes: 1 }) })).toThrow(TypeError);
  });
});

describe('a policy change', () => {
  const closed = { ...notesPolicy, policies: { 'no-secrets': notesPolicy.policies['no-secrets'] } } as never;

  test('bites at once for envelopes already out', async () => {
    const world = new ApiWorld();
    const envelope = world.envelope();
    world.publish(closed);
    expect(await world.outcome(envelope)).toBe('policy_superseded');
    expect(await world.outcome(world.envelope())).toBe('deny');
  });

  test('with an overlap lets old envelopes live, and both sets must allow', async () => {
    const world = new ApiWorld();
    const envelope = world.envelope();
    world.publish(closed, world.ledger.time + 3600);
    expect(await world.outcome(envelope)).toBe('deny');
    world.publish(notesPolicy, world.ledger.time + 3600);
    expect(await world.outcome(world.envelope())).toBe('deny');
  });
});

describe('further blocks', () => {
  const forbidWrite = {
    effect: 'forbid',
    principal: { op: 'All' },
    action: { op: '==', entity: { type: 'Action', id: 'write' } },
    resource: { op: 'All' },
    conditions: [],
  };

  test('narrow what the next holder may do, and name the layer in the reason', async () => {
    const world = new ApiWorld();
    const next = newSigner();
    const block = { next: next.publicKey.jwk, iat: world.now, depth: 1, narrow: [forbidWrite] };
    const envelope = signBlock(world.envelope(), block, world.agent.signer);
    expect(await world.outcome(envelope, readNote(), next)).toBe('allow');
    const request = world.request({ envelope, signer: next });
    const decision = await world.decide(request, readNote('1', 'open', 'write'));
    expect(decision).toMatchObject({ allowed: false, reasons: [{ layer: 'narrow', policy: 'narrow/1#0' }] });
    expect(decision.receipt.envelope?.actors).toEqual([world.alice.id, world.agent.id, 'unlogged']);
    expect(await world.outcome(envelope, readNote(), world.agent.signer)).toBe('proof_key_mismatch');
  });

  test('by anyone but the holder before are refused', async () => {
    const world = new ApiWorld();
    const thief = newSigner();
    const block = { next: thief.publicKey.jwk, iat: world.now, depth: 1 };
    const envelope = signBlock(world.envelope(), block, thief);
    expect(await world.outcome(envelope, readNote(), thief)).toBe('envelope_signature_invalid');
  });

  test.each([
    ['a permit', { ...forbidWrite, effect: 'permit' }, 'narrow_not_forbid'],
    [
      'an action the schema does not know',
      { ...forbidWrite, action: { op: '==', entity: { type: 'Action', id: 'raed' } } },
      'policy_not_valid',
    ],
  ])('with %s are refused', async (_, policy, code) => {
    const world = new ApiWorld();
    const block = { next: world.agent.signer.publicKey.jwk, iat: world.now, depth: 1, narrow: [policy] };
    expect(await world.outcome(signBlock(world.envelope(), block, world.agent.signer))).toBe(code);
  });
});

describe('an envelope whose block took away', () => {
  test.each([
    ['this audience', { aud: ['https://other.example'] }, 'audience_mismatch'],
    ['its time', { exp: 1_800_000_110 }, 'envelope_expired'],
  ])('%s is refused', async (_, change, code) => {
    const world = new ApiWorld();
    const mint = world.ledger.mint([audience, 'https://other.example']);
    const root = world.envelope({ aud: [audience, 'https://other.example'] }, mint);
    const block = { next: world.agent.signer.publicKey.jwk, iat: world.now, depth: 1, ...change };
    const envelope = signBlock(root, block, world.agent.signer);
    world.now += 60;
    expect(await world.outcome(root)).toBe('allow');
    expect(await world.outcome(envelope)).toBe(code);
  });
});

describe('standing limits of an agent', () => {
  test('forbid whatever the envelope says, also when a later holder is the agent', async () => {
    const world = new ApiWorld();
    const helper = world.ledger.agent(world.alice);
    const root = world.envelope();
    const block = { next: helper.signer.publicKey.jwk, iat: world.now, depth: 1 };
    const envelope = signBlock(root, block, world.agent.signer);
    const write = readNote('1', 'open', 'write');
    const forbid = { effect: 'forbid', principal: { op: 'All' }, resource: { op: 'All' }, conditions: [] };
    const limits = [{ ...forbid, action: { op: '==', entity: { type: 'Action', id: 'write' } } }];
    expect(await world.outcome(envelope, write, helper.signer)).toBe('allow');
    world.ledger.do({ type: 'agent.limit', agent: helper.id, limits });
    expect(await world.outcome(envelope, write, helper.signer)).toBe('deny');
    expect(await world.outcome(envelope, readNote(), helper.signer)).toBe('allow');
    expect(await world.outcome(root, write)).toBe('allow');
    world.ledger.do({ type: 'agent.limit', agent: world.agent.id, limits });
    expect(await world.outcome(world.envelope(), write)).toBe('deny');
  });
});

describe('a direct stop', () => {
  test.each([
    ['person', (world: ApiWorld) => `principal/${world.alice.id}`, 'subject_not_active'],
    ['agent', (world: ApiWorld) => `agent/${world.agent.id}`, 'agent_not_active'],
    [
      'holder key',
      (world: ApiWorld) => `key/${world.agent.signer.publicKey.thumbprint}`,
      'holder_key_not_live',
    ],
    ['delegate', (world: ApiWorld) => `delegate/${world.mint.publicKey.thumbprint}`, 'mint_not_trusted'],
    ['policy slot', () => 'slot/main', 'policy_retired'],
    ['audience', () => audienceKey(audience), 'audience_not_active'],
    ['capability', () => revokedKey('cap-1'), 'envelope_revoked'],
  ])('of the %s refuses at once', async (_, keyOf, code) => {
    const world = new ApiWorld();
    const envelope = world.envelope({ jti: 'cap-1' });
    expect(await world.outcome(envelope)).toBe('allow');
    world.stops.add(keyOf(world));
    expect(await world.outcome(envelope)).toBe(code);
  });
});

describe('receipts', () => {
  test('are made for refusals, without the claims of an envelope that was not verified', async () => {
    const world = new ApiWorld();
    await world.outcome(world.envelope({}, newSigner()));
    expect(world.receipts).toMatchObject([{ outcome: 'refuse', code: 'mint_not_trusted', reasons: [] }]);
    expect(world.receipts[0]).not.toHaveProperty('envelope');
  });

  test('that cannot be handed over turn an allow into a refusal', async () => {
    const world = new ApiWorld();
    const verifier = world.verifierWith({
      onReceipt: () => {
        throw new Error('disk full');
      },
    });
    const request = world.request({ envelope: world.envelope() });
    expect(await outcomeOf(verifier.decide(request, readNote()))).toBe('receipt_failed');
  });
});
