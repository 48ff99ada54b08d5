import { agentIsLive, keyIsLive, type Operation, principalIsLive } from '@bulla/verifier/log';
import { describe, expect, test } from 'vitest';
import { createWorld, thumbprint, type World } from './world.ts';

type By = 'admin' | 'delegate' | 'owner';

/** Tries an operation about alice's robot, or alice, as somebody. */
function as(world: World, by: By, op: Operation): string {
  const { ledger, eve, alice, robot } = world;
  if (by === 'admin') return ledger.force(ledger.sign({ op }));
  if (by === 'delegate') return ledger.force(ledger.sign({ op }, eve));
  return ledger.force(
    ledger.sign({ request: ledger.signRequest(op, `agent/${robot.id}`, alice.signer) }, eve),
  );
}

const low = 'rule_rank_too_low';
const agentRows: readonly (readonly [By, By, string])[] = [
  ['admin', 'admin', 'accepted'],
  ['admin', 'owner', low],
  ['admin', 'delegate', low],
  ['owner', 'admin', 'accepted'],
  ['owner', 'owner', 'accepted'],
  ['owner', 'delegate', low],
  ['delegate', 'admin', 'accepted'],
  ['delegate', 'owner', 'accepted'],
  ['delegate', 'delegate', 'accepted'],
];

describe('an agent', () => {
  test.each(agentRows)('suspended by %s and resumed by %s: %s', (first, second, code) => {
    const world = createWorld();
    const { ledger, robot } = world;
    const before = ledger.read(`agent/${robot.id}`)?.epoch ?? -1;
    expect(as(world, first, { type: 'agent.suspend', agent: robot.id })).toBe('accepted');
    expect(agentIsLive(ledger.read, robot.id)).toBe(false);
    const resume: Operation = { type: 'agent.resume', agent: robot.id, keys: [thumbprint(robot)] };
    expect(as(world, second, resume)).toBe(code);
    expect(agentIsLive(ledger.read, robot.id)).toBe(code === 'accepted');
    expect(ledger.read(`agent/${robot.id}`)?.epoch).toBe(before + (code === 'accepted' ? 2 : 1));
  });
  test.each([
    ['delegate', 'owner', 'delegate', ['owner']],
    ['owner', 'delegate', 'delegate', ['owner']],
    ['delegate', 'admin', 'owner', ['admin']],
    ['owner', 'admin', 'owner', ['admin']],
    ['admin', 'owner', 'owner', ['admin']],
    ['admin', 'delegate', 'delegate', ['admin']],
  ] as const)('suspended by %s and by %s is not live when %s ends its own', (first, second, third, left) => {
    const world = createWorld();
    const { ledger, robot } = world;
    const op: Operation = { type: 'agent.suspend', agent: robot.id };
    expect(as(world, first, op)).toBe('accepted');
    expect(as(world, second, op)).toBe('accepted');
    expect(as(world, first, op)).toBe('rule_status');
    const resume: Operation = { type: 'agent.resume', agent: robot.id, keys: [thumbprint(robot)] };
    expect(as(world, third, resume)).toBe('accepted');
    expect(ledger.read(`agent/${robot.id}`)).toMatchObject({
      status: 'suspended',
      suspendedBy: left[0],
      suspensions: left,
    });
    expect(agentIsLive(ledger.read, robot.id)).toBe(false);
    expect(as(world, third, resume)).toBe(low);
  });
  test("suspended by everybody is back when an admin says so, or, without the admin's, the owner", () => {
    const world = createWorld();
    const { robot, ledger } = world;
    const suspend: Operation = { type: 'agent.suspend', agent: robot.id };
    const resume: Operation = { type: 'agent.resume', agent: robot.id, keys: [] };
    for (const by of ['delegate', 'owner', 'admin'] as const) as(world, by, suspend);
    expect(ledger.read(`agent/${robot.id}`)?.suspensions).toEqual(['admin', 'connection/corp', 'owner']);
    expect(as(world, 'admin', resume)).toBe('accepted');
    expect(agentIsLive(ledger.read, robot.id)).toBe(true);
    for (const by of ['delegate', 'owner'] as const) as(world, by, suspend);
    expect(as(world, 'owner', resume)).toBe('accepted');
    expect(agentIsLive(ledger.read, robot.id)).toBe(true);
  });
  test.each(['person', 'agent'] as const)('a %s that a delegate resumes keeps every key', (kind) => {
    const world = createWorld();
    const { alice, robot } = world;
    const resume = (keys: readonly string[]): Operation =>
      kind === 'person'
        ? { type: 'principal.resume', principal: alice.id, keys }
        : { type: 'agent.resume', agent: robot.id, keys };
    as(
      world,
      'delegate',
      kind === 'person'
        ? { type: 'principal.suspend', principal: alice.id }
        : { type: 'agent.suspend', agent: robot.id },
    );
    expect(as(world, 'delegate', resume([]))).toBe('rule_not_permitted');
    expect(as(world, 'delegate', resume([thumbprint(kind === 'person' ? alice : robot)]))).toBe('accepted');
  });
  test('resumed keeps only the keys that are named', () => {
    const world = createWorld();
    const { ledger, robot } = world;
    as(world, 'admin', { type: 'agent.suspend', agent: robot.id });
    expect(as(world, 'admin', { type: 'agent.resume', agent: robot.id, keys: [] })).toBe('accepted');
    expect(agentIsLive(ledger.read, robot.id)).toBe(true);
    expect(keyIsLive(ledger.read, thumbprint(robot))).toBe(false);
    as(world, 'admin', { type: 'agent.suspend', agent: robot.id });
    const back: Operation = { type: 'agent.resume', agent: robot.id, keys: [thumbprint(robot)] };
    expect(as(world, 'admin', back)).toBe('rule_key_unknown');
  });
  test('that is not suspended cannot be resumed', () => {
    const world = createWorld();
    const op: Operation = { type: 'agent.resume', agent: world.robot.id, keys: [] };
    expect(as(world, 'admin', op)).toBe('rule_status');
  });
  test('that was revoked stays so', () => {
    const world = createWorld();
    const { robot } = world;
    expect(as(world, 'delegate', { type: 'agent.revoke', agent: robot.id })).toBe('accepted');
    expect(keyIsLive(world.ledger.read, thumbprint(robot))).toBe(false);
    for (const type of ['agent.suspend', 'agent.revoke'] as const) {
      expect(as(world, 'admin', { type, agent: robot.id })).toBe('rule_status');
    }
    expect(as(world, 'admin', { type: 'agent.resume', agent: robot.id, keys: [] })).toBe('rule_status');
    expect(as(world, 'admin', { type: 'agent.limit', agent: robot.id, limits: [] })).toBe('rule_status');
  });
});

describe('a person', () => {
  test.each([
    ['admin', 'admin', 'accepted'],
    ['admin', 'delegate', low],
    ['delegate', 'admin', 'accepted'],
    ['delegate', 'delegate', 'accepted'],
  ] as const)('suspended by %s and resumed by %s: %s', (first, second, code) => {
    const world = createWorld();
    const { ledger, alice, robot } = world;
    expect(as(world, first, { type: 'principal.suspend', principal: alice.id })).toBe('accepted');
    expect(keyIsLive(ledger.read, thumbprint(alice))).toBe(false);
    const keys = [thumbprint(alice)];
    expect(as(world, second, { type: 'principal.resume', principal: alice.id, keys })).toBe(code);
    expect(principalIsLive(ledger.read, alice.id)).toBe(code === 'accepted');
    expect(keyIsLive(ledger.read, thumbprint(alice))).toBe(code === 'accepted');
    expect(agentIsLive(ledger.read, robot.id)).toBe(false);
    expect(keyIsLive(ledger.read, thumbprint(robot))).toBe(false);
  });
  test('suspended by a delegate can be held by an admin, whom the delegate cannot overrule', () => {
    const world = createWorld();
    const op: Operation = { type: 'principal.suspend', principal: world.alice.id };
    expect([as(world, 'delegate', op), as(world, 'admin', op), as(world, 'delegate', op)]).toEqual([
      'accepted',
      'accepted',
      'rule_status',
    ]);
    const keys = [thumbprint(world.alice)];
    const resume: Operation = { type: 'principal.resume', principal: world.alice.id, keys };
    expect(as(world, 'delegate', resume)).toBe('accepted');
    expect(world.ledger.read(`principal/${world.alice.id}`)).toMatchObject({
      status: 'suspended',
      suspendedBy: 'admin',
      suspensions: ['admin'],
    });
    expect(as(world, 'delegate', resume)).toBe(low);
  });
  test("resumed does not bring her agents back: she or an admin does, a delegate can't", () => {
    const world = createWorld();
    const { ledger, alice, robot } = world;
    as(world, 'delegate', { type: 'principal.suspend', principal: alice.id });
    const resume: Operation = { type: 'agent.resume', agent: robot.id, keys: [thumbprint(robot)] };
    expect(as(world, 'admin', resume)).toBe('rule_subject_not_active');
    as(world, 'delegate', { type: 'principal.resume', principal: alice.id, keys: [thumbprint(alice)] });
    expect(as(world, 'delegate', resume)).toBe(low);
    expect(as(world, 'owner', resume)).toBe('accepted');
    expect(keyIsLive(ledger.read, thumbprint(robot))).toBe(true);
  });
  test('who was deprovisioned stays so', () => {
    const world = createWorld();
    const { alice, robot, ledger } = world;
    expect(as(world, 'delegate', { type: 'principal.deprovision', principal: alice.id })).toBe('accepted');
    expect(keyIsLive(ledger.read, thumbprint(robot))).toBe(false);
    const rows: readonly Operation[] = [
      { type: 'principal.suspend', principal: alice.id },
      { type: 'principal.resume', principal: alice.id, keys: [] },
      { type: 'principal.deprovision', principal: alice.id },
    ];
    for (const op of rows) expect(as(world, 'admin', op)).toBe('rule_status');
    const member: Operation = { type: 'member.add', group: 'crew', member: `principal/${alice.id}` };
    expect(as(world, 'admin', member)).toBe('rule_status');
  });
});

describe('limits', () => {
  const forbid = (id: string) => ({ effect: 'forbid', principal: { op: 'All' }, annotations: { id } });
  test("of the owner's leave those of the admin alone, and the reverse", () => {
    const world = createWorld();
    const { ledger, robot } = world;
    const limit = (by: By, id: string) =>
      as(world, by, { type: 'agent.limit', agent: robot.id, limits: [forbid(id)] });
    expect([limit('admin', 'a'), limit('owner', 'b'), limit('owner', 'c')]).toEqual(
      Array.from({ length: 3 }, () => 'accepted'),
    );
    expect(ledger.read(`agent/${robot.id}`)?.limits).toEqual({ admin: [forbid('a')], owner: [forbid('c')] });
    expect(as(world, 'owner', { type: 'agent.limit', agent: robot.id, limits: [] })).toBe('accepted');
    expect(ledger.read(`agent/${robot.id}`)?.limits).toEqual({ admin: [forbid('a')], owner: [] });
  });
  test.each([
    ['a permit', { effect: 'permit' }],
    ['no effect', {}],
    ['not a policy', 'forbid'],
    ['too much', { effect: 'forbid', x: 'y'.repeat(17_000) }],
  ])('%s is refused', (_name, policy) => {
    const world = createWorld();
    const op: Operation = { type: 'agent.limit', agent: world.robot.id, limits: [policy] };
    expect(as(world, 'admin', op)).toBe('rule_limit_not_forbid');
  });
});
