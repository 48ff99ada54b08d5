import type { Signer } from '@bulla/verifier';
import { canonicalJson, type Json } from '@bulla/verifier/envelope';
import { cosign, type Operation } from '@bulla/verifier/log';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createLedger, type Ledger, newSigner } from '../../kit/log.ts';
import { createWorld, samples, thumbprint, type World } from './world.ts';

type Sample = ReturnType<(typeof samples)[string]>;

const more: typeof samples = {
  ...samples,
  'principal.resume': ({ alice }) => ({
    op: { type: 'principal.resume', principal: alice.id, keys: [thumbprint(alice)] },
  }),
  'agent.resume': ({ robot }) => ({
    op: { type: 'agent.resume', agent: robot.id, keys: [thumbprint(robot)] },
    subject: `agent/${robot.id}`,
  }),
  'key.revoke since': ({ alice }) => ({
    op: { type: 'key.revoke', key: thumbprint(alice), since: 3 },
    subject: `principal/${alice.id}`,
  }),
  'two keys, one unproven': ({ bob }): Sample => ({
    op: { type: 'key.add', subject: `principal/${bob.id}`, key: newSigner().publicKey.jwk },
  }),
};

const signers = ['admin', 'eve', 'alice', 'bob', 'sam', 'robot', 'mallory'] as const;
const step = fc.record({
  sample: fc.constantFrom(...Object.keys(more)),
  asRequest: fc.boolean(),
  by: fc.constantFrom(...signers),
  relay: fc.constantFrom('admin', 'eve'),
  spoil: fc.constantFrom('no', 'no', 'no', 'no', 'time', 'seq', 'prev', 'cut', 'extra'),
  wait: fc.constantFrom(0, 0, 60, 40_000),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function signerOf(world: World, name: (typeof signers)[number]): Signer {
  if (name === 'admin') return world.ledger.admin;
  const party = world[name];
  return 'signer' in party ? party.signer : party;
}

function leafOf(world: World, { sample, asRequest, by, relay, spoil }: Step): string {
  const { ledger } = world;
  const { op, keys = [], subject = `principal/${world.alice.id}` } = more[sample]?.(world) ?? expect.fail();
  const change = {
    time: { time: ledger.time - 1 },
    seq: { seq: 1 },
    prev: { prev: thumbprint(world.alice) },
  };
  const spoilt = spoil in change ? change[spoil as keyof typeof change] : {};
  const leaf = asRequest
    ? ledger.sign(
        { request: ledger.signRequest(op, subject, signerOf(world, by), { cosigners: keys }) },
        signerOf(world, relay),
        [],
        spoilt,
      )
    : ledger.sign({ op }, signerOf(world, by), keys, spoilt);
  if (spoil === 'cut') return leaf.slice(0, -1);
  return spoil === 'extra' ? cosign(leaf, newSigner()) : leaf;
}

function deepFreeze(value: Json): Json {
  if (typeof value === 'object' && value !== null) {
    Object.freeze(value);
    for (const item of Object.values(value)) deepFreeze(item);
  }
  return value;
}

const text = (state: ReadonlyMap<string, Json>): string =>
  canonicalJson(Object.fromEntries([...state].sort(([a], [b]) => (a < b ? -1 : 1))));

/** What no entry may ever do to a record. */
function requireOneWay(key: string, before: Json, after: Json): void {
  const [was, is] = [before as Record<string, Json>, after as Record<string, Json>];
  for (const count of ['version', 'epoch', 'entries', 'rules']) {
    if (typeof was[count] === 'number') expect(Number(is[count])).toBeGreaterThanOrEqual(was[count]);
  }
  const final = key.startsWith('delegate/') || key.startsWith('key/') ? ['revoked'] : [];
  final.push('deprovisioned', 'removed', 'retired', 'deleted');
  if (key.startsWith('agent/')) final.push('revoked');
  if (final.some((status) => status === was['status'])) expect(is['status']).toBe(was['status']);
  for (const fixed of ['jwk', 'subject', 'addedBy', 'addedSeq', 'owner', 'registeredBy', 'protected']) {
    if (fixed in was) expect(is[fixed]).toEqual(was[fixed]);
  }
}

function play(world: World, todo: Step): void {
  const { ledger } = world;
  ledger.time += todo.wait;
  const leaf = leafOf(world, todo);
  for (const value of ledger.state.values()) deepFreeze(value);
  const before = new Map(ledger.state);
  const code = ledger.force(leaf);
  if (code === 'accepted') {
    for (const [key, value] of before) requireOneWay(key, value, ledger.state.get(key) ?? null);
  } else expect(text(ledger.state)).toBe(text(before));
  expect(ledger.codeOf(leaf)).not.toBe('accepted');
  const account = ledger.read('account') ?? expect.fail();
  const admins = [...ledger.state].filter(
    ([key, value]) => key.startsWith('admin/') && (value as { status?: string }).status === 'active',
  );
  expect(admins).toHaveLength(account.admins);
  expect(account.admins).toBeGreaterThanOrEqual(account.threshold);
}

/** What a follower does that starts from nothing. */
function replay(ledger: Ledger): ReadonlyMap<string, Json> {
  const fresh = createLedger();
  fresh.state.clear();
  fresh.position = { account: ledger.account, seq: 0, prevHash: null, lastTime: 0 };
  for (const leaf of ledger.leaves) fresh.force(leaf);
  return fresh.state;
}

test('a refused leaf changes nothing, an applied one goes one way, nothing applies twice, and replay agrees', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 25 }), (steps) => {
      const world = createWorld();
      for (const todo of steps) play(world, todo);
      expect(text(replay(world.ledger))).toBe(text(world.ledger.state));
    }),
    { numRuns: 40 },
  );
});

test('a request that was applied is refused at every later place', () => {
  const rows = Object.keys(more).filter((name) => name.startsWith('agent.') || name.startsWith('key.'));
  fc.assert(
    fc.property(fc.constantFrom(...rows), fc.array(step, { maxLength: 6 }), (name, steps) => {
      const world = createWorld();
      const { ledger, alice } = world;
      const { op, keys = [], subject = '' } = more[name]?.(world) ?? expect.fail();
      const request = ledger.signRequest(op, subject, alice.signer, { cosigners: keys });
      if (ledger.force(ledger.sign({ request })) !== 'accepted') return;
      for (const todo of steps) {
        play(world, todo);
        expect(ledger.codeOf(ledger.sign({ request }))).not.toBe('accepted');
      }
    }),
    { numRuns: 40 },
  );
});

test('a rule that fails after it began to write leaves nothing behind', () => {
  const { ledger, carol, mallory } = createWorld();
  const op: Operation = { type: 'principal.activate', principal: carol.id, key: newSigner().publicKey.jwk };
  const before = new Map(ledger.state);
  expect(ledger.codeOf(ledger.sign({ op }, ledger.admin, [mallory]))).toBe('rule_possession_unproven');
  expect(ledger.state).toEqual(before);
  expect(ledger.read(`principal/${carol.id}`)?.status).toBe('pending');
});
