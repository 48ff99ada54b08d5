import { permitted } from '@bulla/verifier/log';
import { describe, expect, test } from 'vitest';
import { createWorld, samples } from './world.ts';

const world = createWorld();
const no = 'rule_not_permitted';
const yes = 'accepted';
const other = 'rule_not_owner';
const unmet = 'rule_recovery_unmet';

/** Columns: an admin; a delegate whose lease lists all that can be listed; a request by alice, by bob, by her robot. */
const table: readonly (readonly [string, string, string, string, string, string])[] = [
  ['account.seal', yes, no, no, no, no],
  ['admin.add', yes, no, no, no, no],
  ['delegate.grant', yes, no, no, no, no],
  ['delegate.renew', yes, no, no, no, no],
  ['delegate.revoke', yes, no, no, no, no],
  ['log.key', yes, no, no, no, no],
  ['principal.provision', yes, yes, no, no, no],
  ['domain.trust', yes, no, no, no, no],
  ['domain.distrust', yes, no, no, no, no],
  ['principal.update', yes, yes, no, no, no],
  ['principal.activate', yes, no, 'rule_not_sponsor', 'rule_not_sponsor', 'rule_not_sponsor'],
  ['principal.suspend', yes, yes, no, no, no],
  ['principal.deprovision', yes, yes, no, no, no],
  ['agent.register', yes, no, yes, other, other],
  ['agent.limit', yes, no, yes, other, other],
  ['agent.suspend', yes, yes, yes, other, other],
  ['agent.revoke', yes, yes, yes, other, other],
  ['agent.vouch', yes, no, no, no, no],
  ['federation.trust', yes, no, no, no, no],
  ['federation.distrust', yes, no, no, no, no],
  ['login.trust', yes, no, no, no, no],
  ['login.distrust', yes, no, no, no, no],
  ['recovery.set', no, no, yes, other, other],
  ['key.add', yes, no, yes, other, other],
  ['key.rotate', no, no, yes, no, no],
  ['key.recover', yes, no, unmet, unmet, unmet],
  ['key.revoke', yes, yes, yes, other, other],
  ['group.create', yes, no, no, no, no],
  ['group.delete', yes, no, no, no, no],
  ['member.add', yes, yes, no, no, no],
  ['member.remove', yes, yes, no, no, no],
  ['policy.publish', yes, no, no, no, no],
  ['policy.retire', yes, no, no, no, no],
  ['audience.register', yes, no, no, no, no],
  ['audience.retire', yes, no, no, no, no],
  ['capability.revoke', yes, yes, no, no, no],
];

const { ledger, eve, mallory } = world;
const sampleOf = (type: string) => samples[type]?.(world) ?? expect.fail(`no sample of ${type}`);

describe.each(table)('%s', (type, admin, delegate, alice, bob, robot) => {
  const sample = () => sampleOf(type);

  test(`signed by an admin: ${admin}`, () => {
    const { op, keys } = sample();
    expect(ledger.codeOf(ledger.sign({ op }, ledger.admin, keys))).toBe(admin);
  });
  test(`signed by a delegate: ${delegate}`, () => {
    const { op, keys } = sample();
    expect(ledger.codeOf(ledger.sign({ op }, eve, keys))).toBe(delegate);
  });
  test.each([
    ['alice', alice, world.alice.signer],
    ['bob', bob, world.bob.signer],
    ['the robot', robot, world.robot.signer],
  ] as const)('asked for by %s: %s', (_name, code, signer) => {
    const { op, keys = [], subject = `principal/${world.alice.id}` } = sample();
    const request = ledger.signRequest(op, subject, signer, { cosigners: keys });
    expect(ledger.codeOf(ledger.sign({ request }, eve))).toBe(code);
    expect(ledger.codeOf(ledger.sign({ request }, ledger.admin))).toBe(code);
  });
  test('signed or asked for by a key that is not in the log: refused', () => {
    const { op, keys = [], subject = `principal/${world.alice.id}` } = sample();
    expect(ledger.codeOf(ledger.sign({ op }, mallory, keys))).toBe('rule_signer_unknown');
    const request = ledger.signRequest(op, subject, mallory, { cosigners: keys });
    expect(ledger.codeOf(ledger.sign({ request }, eve))).toBe(alice === no ? no : 'rule_key_not_live');
  });
  test("signed by a person's key directly: refused", () => {
    const { op, keys } = sample();
    expect(ledger.codeOf(ledger.sign({ op }, world.alice.signer, keys))).toBe('rule_signer_unknown');
  });
});

const forAdmins = table.filter(([, admin]) => admin === yes).map(([type]) => type);

test.each(forAdmins)('%s with a signature that has no part in it: refused', (type) => {
  const { op, keys = [] } = sampleOf(type);
  const leaf = ledger.sign({ op }, ledger.admin, [...keys, mallory]);
  expect(ledger.codeOf(leaf)).toBe('rule_signature_unneeded');
});

test.each(forAdmins.filter((type) => sampleOf(type).keys !== undefined))(
  '%s without the signature of the key that enters: refused',
  (type) => {
    expect(ledger.codeOf(ledger.sign({ op: sampleOf(type).op }))).toBe('rule_possession_unproven');
  },
);

test('every operation that stands for itself has a row', () => {
  const elsewhere = [
    'account.create',
    'account.rules',
    'admin.remove',
    'principal.resume',
    'agent.resume',
    'policy.overlap',
  ];
  expect(
    table
      .map(([type]) => type)
      .concat(elsewhere)
      .sort(),
  ).toEqual(Object.keys(permitted).sort());
});
