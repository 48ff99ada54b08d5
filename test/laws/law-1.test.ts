import { type Json, type JsonObject, signBlock } from '@bulla/verifier/envelope';
import { beforeEach, expect, test } from 'vitest';
import { ApiWorld, notesPolicy, outcomeOf, readNote } from '../kit/api.ts';
import { newSigner } from '../kit/log.ts';

// Law 1: only admins widen. Who is not an admin can add a `forbid`, and nothing else; test/properties/widening.test.ts
// tries what nobody thought of.

const all = { op: 'All' };
const permitAll: Json = { effect: 'permit', principal: all, action: all, resource: all, conditions: [] };
const forbidNothing: JsonObject = {
  effect: 'forbid',
  principal: all,
  action: all,
  resource: all,
  conditions: [{ kind: 'when', body: { Value: false } }],
};
const secret = readNote('1', 'secret');
let world: ApiWorld;
beforeEach(() => {
  world = new ApiWorld();
});

test('law 1: the issuer adds nothing by what it writes into a root', async () => {
  expect(await world.outcome(world.envelope({ narrow: [forbidNothing] }), secret)).toBe('deny');
  expect(await world.outcome(world.envelope({ narrow: [permitAll] }), secret)).toBe('narrow_not_forbid');
  expect(await world.outcome(world.envelope({ staleness: 86_400 }), secret)).toBe('deny');
});

test('law 1: the holder and each holder after it add nothing by what they write into a block', async () => {
  let envelope = world.envelope();
  let holder = world.agent.signer;
  for (const depth of [3, 2, 1]) {
    const next = newSigner();
    const block = { next: next.publicKey.jwk, iat: world.now, depth, narrow: [forbidNothing] };
    envelope = signBlock(envelope, block, holder);
    holder = next;
    expect(await world.outcome(envelope, secret, holder)).toBe('deny');
    expect(await world.outcome(envelope, readNote(), holder)).toBe('allow');
  }
  const wide = { next: holder.publicKey.jwk, iat: world.now, depth: 0, narrow: [permitAll] };
  expect(await world.outcome(signBlock(envelope, wide, holder), readNote(), holder)).toBe(
    'narrow_not_forbid',
  );
});

test('law 1: the API adds nothing by the forbids of a route', async () => {
  const ask = (forbids: readonly Json[]) =>
    outcomeOf(
      world.decide(world.request({ envelope: world.envelope() }), secret, { forbids: forbids as never }),
    );
  expect(await ask([])).toBe('deny');
  expect(await ask([forbidNothing])).toBe('deny');
  expect(await ask([permitAll])).toBe('narrow_not_forbid');
});

test('law 1: owner and admin limits of an agent only add up', async () => {
  const { ledger, agent, alice } = world;
  const noWrites: Json = { ...forbidNothing, conditions: [] };
  const subject = `agent/${agent.id}`;
  ledger.ask({ type: 'agent.limit', agent: agent.id, limits: [forbidNothing] }, subject, alice.signer);
  expect(await world.outcome(world.envelope())).toBe('allow');
  expect(await world.outcome(world.envelope(), secret)).toBe('deny');
  ledger.do({ type: 'agent.limit', agent: agent.id, limits: [noWrites] });
  expect(await world.outcome(world.envelope())).toBe('deny');
  ledger.ask({ type: 'agent.limit', agent: agent.id, limits: [] }, subject, alice.signer);
  expect(await world.outcome(world.envelope())).toBe('deny');
  const permit = ledger.signRequest(
    { type: 'agent.limit', agent: agent.id, limits: [permitAll] },
    subject,
    alice.signer,
  );
  expect(ledger.codeOf(ledger.sign({ request: permit }))).toBe('rule_limit_not_forbid');
});

test('law 1: an old set kept beside the new one only takes away', async () => {
  const closed = { ...notesPolicy, policies: { 'no-secrets': notesPolicy.policies['no-secrets'] } } as never;
  const before = world.envelope();
  world.publish(closed, world.ledger.time + 3600);
  expect(await world.outcome(before)).toBe('deny');
  expect(await world.outcome(world.envelope())).toBe('deny');
});

test('law 1: only an admin’s entry makes a deny an allow', async () => {
  const bob = world.ledger.person();
  const agent = world.ledger.agent(bob);
  const claims = () => ({
    sub: bob.id,
    client_id: agent.id,
    cnf: { jkt: agent.signer.publicKey.thumbprint },
    epoch: { principal: world.ledger.read(`principal/${bob.id}`)?.epoch ?? 0, agent: 0 },
  });
  expect(await world.outcome(world.envelope(claims()), readNote(), agent.signer)).toBe('deny');
  world.ledger.do({ type: 'member.add', group: 'staff', member: `principal/${bob.id}` });
  expect(await world.outcome(world.envelope(claims()), readNote(), agent.signer)).toBe('allow');
});
