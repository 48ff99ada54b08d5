import { apply, isTimedByDelegate, type Lease, type Operation } from '@bulla/verifier/log';
import { describe, expect, test } from 'vitest';
import { createLedger, newSigner, testDomain } from '../../kit/log.ts';
import { createWorld, thumbprint } from './world.ts';

const week = 604_800;
const provision = (change: Partial<Extract<Operation, { type: 'principal.provision' }>> = {}): Operation => ({
  type: 'principal.provision',
  groups: [],
  attributes: {},
  sponsor: false,
  domain: testDomain,
  ...change,
});

describe('a lease is granted', () => {
  const ledger = createLedger();
  ledger.group('staff');
  ledger.group('board', { protected: true });
  ledger.group('inner');
  ledger.do({ type: 'member.add', group: 'board', member: 'group/inner' });
  ledger.group('crew');
  ledger.do({ type: 'member.add', group: 'staff', member: 'group/crew' });
  const rows: readonly (readonly [string, Partial<Lease>, string])[] = [
    ['with nothing in it', {}, 'accepted'],
    ['for a week', { notAfter: ledger.time + week }, 'accepted'],
    ['for a second more', { notAfter: ledger.time + week + 1 }, 'rule_lease_length'],
    ['that has ended', { notAfter: ledger.time }, 'rule_lease_length'],
    ['to grant leases', { operations: ['delegate.grant'] }, 'rule_lease_operation'],
    ['to renew itself', { operations: ['delegate.renew'] }, 'rule_lease_operation'],
    ['to let people in on its own word', { operations: ['principal.activate'] }, 'accepted'],
    ['to trust IdPs', { operations: ['login.trust'] }, 'rule_lease_operation'],
    ['to say who recovers keys', { operations: ['recovery.set'] }, 'rule_lease_operation'],
    ['to add keys', { operations: ['key.add'] }, 'rule_lease_operation'],
    ['to recover keys', { operations: ['key.recover'] }, 'rule_lease_operation'],
    ['to publish policies', { operations: ['policy.publish'] }, 'rule_lease_operation'],
    ['to create groups', { operations: ['group.create'] }, 'rule_lease_operation'],
    ['to change the log key', { operations: ['log.key'] }, 'rule_lease_operation'],
    ['to do what does not exist', { operations: ['agent.clone'] }, 'rule_lease_operation'],
    ['over a protected group', { groups: ['board'] }, 'rule_group_protected'],
    ['over a group nested in a protected one', { groups: ['inner'] }, 'rule_group_protected'],
    ['over a group nested in an unlisted one', { groups: ['crew'] }, 'rule_group_unlisted'],
    ['over both of them', { groups: ['crew', 'staff'] }, 'accepted'],
    ['over a group that does not exist yet', { groups: ['later'] }, 'rule_group_unknown'],
    [
      'to mint for no time',
      { operations: ['capability.mint'], maxLifetimeSeconds: 0 },
      'rule_lease_lifetime',
    ],
    ['with a lifetime and no minting', { maxLifetimeSeconds: 60 }, 'rule_lease_lifetime'],
  ];
  test.each(rows)('%s', (_name, change, code) => {
    const key = newSigner();
    const op: Operation = { type: 'delegate.grant', key: key.publicKey.jwk, lease: ledger.lease(change) };
    expect(ledger.codeOf(ledger.sign({ op }, ledger.admin, [key]))).toBe(code);
  });
});

describe('what the lease does not list, a delegate cannot do', () => {
  const { ledger, alice, bob } = createWorld();
  ledger.group('outer');
  const narrow = ledger.grant({
    operations: ['principal.provision', 'member.add', 'member.remove'],
    groups: ['staff'],
    attributes: ['team'],
  });
  const member = (type: 'member.add' | 'member.remove', group: string, name: string): Operation => ({
    type,
    group,
    member: name,
  });
  const rows: readonly (readonly [string, Operation, string])[] = [
    ['a listed group', provision({ groups: ['staff'] }), 'accepted'],
    ['an unlisted group', provision({ groups: ['crew'] }), 'rule_group_unlisted'],
    ['a protected group', provision({ groups: ['board'] }), 'rule_group_protected'],
    ['an unknown group', provision({ groups: ['none'] }), 'rule_group_unknown'],
    ['a listed attribute', provision({ attributes: { team: 'red' } }), 'accepted'],
    ['an unlisted attribute', provision({ attributes: { level: 9 } }), 'rule_attribute_unlisted'],
    ['a sponsor', provision({ sponsor: true }), 'rule_not_permitted'],
    ['suspending', { type: 'principal.suspend', principal: alice.id }, 'rule_operation_unlisted'],
    ['bob into staff', member('member.add', 'staff', `principal/${bob.id}`), 'accepted'],
    ['bob into crew', member('member.add', 'crew', `principal/${bob.id}`), 'rule_group_unlisted'],
    ['alice out of staff', member('member.remove', 'staff', `principal/${alice.id}`), 'accepted'],
    ['alice out of board', member('member.remove', 'board', `principal/${alice.id}`), 'rule_group_protected'],
    ['a group into staff', member('member.add', 'staff', 'group/crew'), 'rule_not_permitted'],
  ];
  test.each(rows)('%s: %s', (_name, op, code) => {
    expect(ledger.codeOf(ledger.sign({ op }, narrow))).toBe(code);
  });
  test('wrapping requests', () => {
    const op: Operation = { type: 'key.revoke', key: thumbprint(alice) };
    const request = ledger.signRequest(op, `principal/${alice.id}`, alice.signer);
    expect(ledger.codeOf(ledger.sign({ request }, narrow))).toBe('rule_operation_unlisted');
  });
});

describe('a listed group that comes to lead to', () => {
  test.each([
    ['a protected group', 'board', 'rule_group_protected'],
    ['an unlisted group', 'crew', 'rule_group_unlisted'],
  ])('%s is out of reach from then on, also for removal', (_name, outer, code) => {
    const { ledger, eve, alice, bob } = createWorld();
    ledger.do({ type: 'member.add', group: outer, member: 'group/staff' });
    for (const op of [
      { type: 'member.add', group: 'staff', member: `principal/${bob.id}` },
      { type: 'member.remove', group: 'staff', member: `principal/${alice.id}` },
      provision({ groups: ['staff'] }),
    ] as const) {
      expect(ledger.codeOf(ledger.sign({ op }, eve))).toBe(code);
    }
  });
  test('another listed group stays in reach', () => {
    const { ledger, bob } = createWorld();
    ledger.do({ type: 'member.add', group: 'crew', member: 'group/staff' });
    const both = ledger.grant({
      operations: ['member.add'],
      groups: ['staff', 'crew'],
      connection: 'corp',
    });
    const op: Operation = { type: 'member.add', group: 'staff', member: `principal/${bob.id}` };
    expect(ledger.codeOf(ledger.sign({ op }, both))).toBe('accepted');
  });
});

describe('a lease ends', () => {
  test('at `notAfter`, and a renewal by an admin prolongs it', () => {
    const ledger = createLedger();
    ledger.trustDomain();
    const delegate = ledger.grant({ operations: ['principal.provision'], notAfter: ledger.time + 100 });
    const leafAt = (time: number) => ledger.sign({ op: provision() }, delegate, [], { time });
    expect(ledger.codeOf(leafAt(ledger.time + 99))).toBe('accepted');
    expect(ledger.codeOf(leafAt(ledger.time + 100))).toBe('rule_lease_ended');
    const renew = (notAfter: number): Operation => ({
      type: 'delegate.renew',
      key: thumbprint(delegate),
      notAfter,
    });
    expect(ledger.codeOf(ledger.sign({ op: renew(ledger.time + week + 1) }))).toBe('rule_lease_length');
    expect(ledger.codeOf(ledger.sign({ op: renew(ledger.time + week) }, delegate))).toBe(
      'rule_not_permitted',
    );
    ledger.do(renew(ledger.time + week));
    expect(ledger.codeOf(leafAt(ledger.time + 100))).toBe('accepted');
  });
  test('when it is revoked, for ever', () => {
    const { ledger, eve } = createWorld();
    ledger.do({ type: 'delegate.revoke', key: thumbprint(eve) });
    expect(ledger.codeOf(ledger.sign({ op: provision() }, eve))).toBe('rule_lease_revoked');
    const renew: Operation = { type: 'delegate.renew', key: thumbprint(eve), notAfter: ledger.time + 9 };
    expect(ledger.codeOf(ledger.sign({ op: renew }))).toBe('rule_delegate_unknown');
    const grant: Operation = { type: 'delegate.grant', key: eve.publicKey.jwk, lease: ledger.lease() };
    expect(ledger.codeOf(ledger.sign({ op: grant }, ledger.admin, [eve]))).toMatch(/^rule_key_known$/u);
  });
});

test("the time of an entry is a delegate's where it signed the entry or wrapped the request", () => {
  const { ledger, eve, alice } = createWorld();
  const op: Operation = { type: 'key.revoke', key: thumbprint(alice) };
  const request = ledger.signRequest(op, `principal/${alice.id}`, alice.signer);
  const timedByDelegate = (leaf: string): boolean =>
    isTimedByDelegate(ledger.read, apply(ledger.read, ledger.position, leaf));
  expect(timedByDelegate(ledger.sign({ op: provision() }, eve))).toBe(true);
  expect(timedByDelegate(ledger.sign({ request }, eve))).toBe(true);
  expect(timedByDelegate(ledger.sign({ request }, ledger.admin))).toBe(false);
  expect(timedByDelegate(ledger.sign({ op: provision() }))).toBe(false);
});

describe('the token bucket', () => {
  test('holds one hour at most, however long the log was quiet', () => {
    const ledger = createLedger();
    ledger.trustDomain();
    const delegate = ledger.grant({ operations: ['principal.provision'], maxEntriesPerHour: 3 });
    const spend = () => ledger.force(ledger.sign({ op: provision() }, delegate));
    const burst = () => [spend(), spend(), spend(), spend()];
    const full = ['accepted', 'accepted', 'accepted', 'rule_lease_rate'];
    expect(burst()).toEqual(full);
    ledger.time += 1199;
    expect(spend()).toBe('rule_lease_rate');
    ledger.time += 1;
    expect(spend()).toBe('accepted');
    expect(spend()).toBe('rule_lease_rate');
    ledger.time += 40_000;
    expect(spend()).toBe('accepted');
    ledger.time += 40_000;
    expect(burst()).toEqual(full);
  });
  test('counts wrapped requests, and nothing that was refused', () => {
    const { ledger, alice, robot } = createWorld();
    const relay = ledger.grant({ operations: ['request.relay'], maxEntriesPerHour: 1 });
    const ask = (op: Operation) =>
      ledger.force(
        ledger.sign({ request: ledger.signRequest(op, `agent/${robot.id}`, alice.signer) }, relay),
      );
    expect(ask({ type: 'agent.resume', agent: robot.id, keys: [] })).toBe('rule_status');
    expect(ask({ type: 'agent.suspend', agent: robot.id })).toBe('accepted');
    expect(ask({ type: 'agent.revoke', agent: robot.id })).toBe('rule_lease_rate');
  });
  test('and a lifetime total bound what a lease can do', () => {
    const ledger = createLedger();
    ledger.trustDomain();
    const delegate = ledger.grant({ operations: ['principal.provision'], maxEntries: 2 });
    const spend = () => ledger.force(ledger.sign({ op: provision() }, delegate));
    expect([spend(), spend(), spend()]).toEqual(['accepted', 'accepted', 'rule_lease_exhausted']);
    ledger.do({ type: 'delegate.renew', key: thumbprint(delegate), notAfter: ledger.time + 1000 });
    expect(spend()).toBe('rule_lease_exhausted');
  });
});
