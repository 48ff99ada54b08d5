import type { Signer } from '@bulla/verifier';
import { signBlock, signRoot } from '@bulla/verifier/envelope';
import type { Operation } from '@bulla/verifier/log';
import type { PolicySetDocument } from '@bulla/verifier/policy';
import { describe, expect, test } from 'vitest';
import { ApiWorld, notesPolicy, readNote } from '../kit/api.ts';
import { newSigner, type Party } from '../kit/log.ts';
import { LoginWorld } from '../kit/login.ts';
import { PaymentsWorld, payment } from '../kit/payments.ts';

const all = { op: 'All' } as const;
const action = (id: string) => ({ op: '==', entity: { type: 'Action', id } }) as const;
const permit = { effect: 'permit' as const, principal: all, resource: all, conditions: [] };
const forDelegates = { assurance: 'delegate' };

/** Everybody may read; reading is for people of whatever assurance, writing is not. */
const openPolicy: PolicySetDocument = {
  ...notesPolicy,
  policies: {
    'read-plain': { ...permit, action: action('read') },
    'read-weak': { ...permit, action: action('read'), annotations: forDelegates },
    write: { ...permit, action: action('write') },
    'no-secrets': notesPolicy.policies['no-secrets'] ?? expect.fail(),
  },
};
const strictPolicy: PolicySetDocument = {
  ...openPolicy,
  policies: {
    read: { ...permit, action: action('read'), annotations: { assurance: 'Delegate', reason: 'delegate' } },
    write: { ...permit, action: action('write') },
    // Says it, and does not decide: another resource.
    elsewhere: {
      ...permit,
      action: all,
      resource: { op: '==', entity: { type: 'Note', id: '9' } },
      annotations: forDelegates,
    },
    'forbid-9': {
      ...permit,
      effect: 'forbid',
      action: action('write'),
      resource: { op: '==', entity: { type: 'Note', id: '9' } },
      annotations: forDelegates,
    },
  },
};

const write = readNote('1', 'open', 'write');

/** Lets a person in on the word of a delegate alone. */
function letIn({ ledger }: ApiWorld): Party {
  const eve = ledger.grant({ operations: ['request.relay', 'principal.activate'] });
  const { id } = ledger.person({ pending: true });
  const signer = newSigner();
  const op: Operation = { type: 'principal.activate', principal: id, key: signer.publicKey.jwk };
  ledger.ask(op, `principal/${id}`, signer, { relay: eve });
  return { id, signer };
}

/** An envelope for an agent of `owner`, or for the owner's own key. */
function envelopeOf(world: ApiWorld, owner: Party, agent?: Party): string {
  const { client_id: _agent, ...claims } = world.claims();
  const epoch = world.ledger.read(`principal/${owner.id}`)?.epoch ?? 0;
  const holder = agent ?? owner;
  return signRoot(
    {
      ...claims,
      sub: owner.id,
      cnf: { jkt: holder.signer.publicKey.thumbprint },
      epoch: { principal: epoch, ...(agent !== undefined && { agent: 0 }) },
      ...(agent !== undefined && { client_id: agent.id }),
    },
    world.mint,
  );
}

const tooLow = { allowed: false, reasons: [{ layer: 'builtin', policy: 'assurance_too_low' }] };

async function decided(world: ApiWorld, envelope: string, signer: Signer, access = write) {
  return world.decide(world.request({ envelope, signer }), access);
}

describe("a person whose key stands on a delegate's word alone", () => {
  test('is denied whatever no permit gives to such people by name', async () => {
    const world = new ApiWorld({ policy: openPolicy });
    const erin = letIn(world);
    const agent = world.ledger.agent(erin);
    for (const [party, envelope] of [
      [erin, envelopeOf(world, erin)],
      [agent, envelopeOf(world, erin, agent)],
    ] as const) {
      expect(await decided(world, envelope, party.signer)).toMatchObject({
        ...tooLow,
        next: { do: 'ask_admin' },
        receipt: { outcome: 'deny', envelope: { assurance: 'delegate' } },
      });
      const read = await decided(world, envelope, party.signer, readNote());
      expect(read).toMatchObject({ allowed: true, receipt: { envelope: { assurance: 'delegate' } } });
      const secret = await decided(world, envelope, party.signer, readNote('1', 'secret'));
      expect(secret).toMatchObject({ allowed: false, reasons: [{ layer: 'admin', policy: 'no-secrets' }] });
    }
  });

  test('is not helped by an annotation that is spelled otherwise, does not decide, or forbids', async () => {
    const world = new ApiWorld({ policy: strictPolicy });
    const erin = letIn(world);
    const envelope = envelopeOf(world, erin);
    expect(await decided(world, envelope, erin.signer, readNote())).toMatchObject(tooLow);
    expect(await decided(world, envelope, erin.signer)).toMatchObject(tooLow);
    expect(await decided(world, envelope, erin.signer, readNote('9'))).toMatchObject({ allowed: true });
    expect(await decided(world, envelope, erin.signer, readNote('9', 'open', 'write'))).toMatchObject({
      allowed: false,
      reasons: [{ layer: 'admin', policy: 'forbid-9' }],
    });
  });

  test('needs the permit in both sets while they overlap', async () => {
    const world = new ApiWorld({ policy: strictPolicy });
    const erin = letIn(world);
    world.publish(openPolicy, world.ledger.time + 3600);
    expect(await decided(world, envelopeOf(world, erin), erin.signer, readNote())).toMatchObject(tooLow);
  });

  test('weakens a chain that they take part in later, by their own key or by an agent of theirs', async () => {
    const world = new ApiWorld({ policy: openPolicy });
    const erin = letIn(world);
    const agent = world.ledger.agent(erin);
    const bob = world.ledger.person();
    const hand = (to: Party) =>
      signBlock(
        world.envelope(),
        { next: to.signer.publicKey.jwk, iat: world.now, depth: 1 },
        world.agent.signer,
      );
    expect(await decided(world, hand(bob), bob.signer)).toMatchObject({
      allowed: true,
      receipt: { envelope: { assurance: 'admin' } },
    });
    expect(await decided(world, hand(erin), erin.signer)).toMatchObject(tooLow);
    expect(await decided(world, hand(agent), agent.signer)).toMatchObject(tooLow);
  });

  test('is allowed once somebody else has confirmed them, with a new envelope', async () => {
    const world = new ApiWorld({ policy: openPolicy });
    const login = new LoginWorld(world.ledger);
    const id = login.pending('erin-1');
    const eve = world.ledger.grant({ operations: ['request.relay', 'principal.activate'] });
    const old = newSigner();
    const op: Operation = { type: 'principal.activate', principal: id, key: old.publicKey.jwk };
    world.ledger.ask(op, `principal/${id}`, old, { relay: eve });
    const before = envelopeOf(world, { id, signer: old });
    const signer = login.confirm(id, 'erin-1');
    expect(await world.outcome(before, write, old)).toBe('subject_not_active');
    expect(await decided(world, envelopeOf(world, { id, signer }), signer)).toMatchObject({
      allowed: true,
      receipt: { envelope: { assurance: 'login' } },
    });
  });
});

test('a policy sees the weakest assurance of the chain', async () => {
  const schema = structuredClone(notesPolicy.schema) as Record<string, { actions: Record<string, object> }>;
  const context = { type: 'Record', attributes: { assurance: { type: 'String' } } };
  for (const each of Object.values(schema['']?.actions ?? {})) {
    Object.assign((each as { appliesTo: object }).appliesTo, { context });
  }
  const says = (value: string) => ({
    kind: 'when' as const,
    body: {
      '==': {
        left: { '.': { left: { Var: 'context' as const }, attr: 'assurance' } },
        right: { Value: value },
      },
    },
  });
  const world = new ApiWorld({
    policy: {
      ...notesPolicy,
      schema: schema as PolicySetDocument['schema'],
      policies: {
        login: { ...permit, action: action('write'), conditions: [says('login')] },
        weak: {
          ...permit,
          action: action('read'),
          conditions: [says('delegate')],
          annotations: forDelegates,
        },
      },
    },
  });
  const login = new LoginWorld(world.ledger);
  const dan = login.pending('dan-4');
  const signer = login.confirm(dan, 'dan-4');
  const envelope = envelopeOf(world, { id: dan, signer });
  expect(await world.outcome(envelope, write, signer)).toBe('allow');
  expect(await world.outcome(world.envelope(), write)).toBe('deny');
  const erin = letIn(world);
  const handed = signBlock(envelope, { next: erin.signer.publicKey.jwk, iat: world.now, depth: 1 }, signer);
  expect(await world.outcome(handed, write, erin.signer)).toBe('deny');
  expect(await world.outcome(handed, readNote(), erin.signer)).toBe('allow');
});

test("an approval by somebody who stands on a delegate's word does not count", async () => {
  const world = new PaymentsWorld();
  const { ledger } = world.api;
  const erin = letIn(world.api);
  ledger.group('trainees');
  ledger.do({ type: 'member.add', group: 'trainees', member: `principal/${erin.id}` });
  // The only way in: an admin puts the group that they are in into a protected one.
  ledger.do({ type: 'member.add', group: 'finance', member: 'group/trainees' });
  const paid = { amount: 1000, envelope: world.api.envelope() };
  const decide = (by: Party) =>
    world.api.decide(world.request(paid, [world.approve(paid, by.signer)]), payment(1000));
  expect(await decide(erin)).toMatchObject({ allowed: false });
  expect(await decide(world.bob)).toMatchObject({ allowed: true });
});
