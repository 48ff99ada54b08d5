import { groupsOf, type Operation } from '@bulla/verifier/log';
import { describe, expect, test } from 'vitest';
import { codeOf } from '../../kit/codes.ts';
import { createLedger, type Ledger } from '../../kit/log.ts';
import { createWorld } from './world.ts';

const add = (group: string, member: string): Operation => ({ type: 'member.add', group, member });
const remove = (group: string, member: string): Operation => ({ type: 'member.remove', group, member });
const attempt = (ledger: Ledger, op: Operation): string => ledger.force(ledger.sign({ op }));

function groups(ledger: Ledger, id: string): readonly string[] {
  const record = ledger.read(`principal/${id}`);
  return record === undefined ? [] : groupsOf(ledger.read, record);
}

describe('groups', () => {
  test('reach through groups, and stop with deleted ones', () => {
    const ledger = createLedger();
    for (const name of ['team', 'unit', 'company']) ledger.group(name);
    const { id } = ledger.person({ groups: ['team'] });
    ledger.do(add('unit', 'group/team'));
    ledger.do(add('company', 'group/unit'));
    expect(groups(ledger, id)).toEqual(['company', 'team', 'unit']);
    ledger.do({ type: 'group.delete', group: 'unit' });
    expect(groups(ledger, id)).toEqual(['team']);
  });
  test('a name is used once', () => {
    const ledger = createLedger();
    ledger.group('staff');
    const create: Operation = { type: 'group.create', group: 'staff', protected: false };
    expect(attempt(ledger, create)).toBe('rule_group_known');
    ledger.do({ type: 'group.delete', group: 'staff' });
    expect(attempt(ledger, create)).toBe('rule_group_known');
    expect(attempt(ledger, { type: 'group.delete', group: 'staff' })).toBe('rule_group_unknown');
  });
  test('cannot be in themselves, directly or not', () => {
    const ledger = createLedger();
    for (const name of ['a', 'b', 'c']) ledger.group(name);
    expect(attempt(ledger, add('a', 'group/a'))).toBe('rule_group_cycle');
    ledger.do(add('b', 'group/a'));
    ledger.do(add('c', 'group/b'));
    expect(attempt(ledger, add('a', 'group/c'))).toBe('rule_group_cycle');
  });
  test('members come and go once', () => {
    const { ledger, alice, bob } = createWorld();
    const rows: readonly (readonly [Operation, string])[] = [
      [add('staff', `principal/${alice.id}`), 'rule_member_known'],
      [remove('staff', `principal/${bob.id}`), 'rule_member_unknown'],
      [add('none', `principal/${bob.id}`), 'rule_group_unknown'],
      [remove('none', `principal/${bob.id}`), 'rule_group_unknown'],
      [add('staff', `principal/prn_${'0'.repeat(32)}`), 'rule_subject_unknown'],
      [add('staff', 'group/none'), 'rule_group_unknown'],
      [remove('staff', `principal/${alice.id}`), 'accepted'],
    ];
    expect(rows.map(([op]) => attempt(ledger, op))).toEqual(rows.map(([, code]) => code));
    expect(groups(ledger, alice.id)).toEqual([]);
  });
});

describe('more than 16 groups', () => {
  function chain(length: number): Ledger {
    const ledger = createLedger();
    for (let index = 0; index < length; index += 1) {
      ledger.group(`g${index}`);
      if (index > 0) ledger.do(add(`g${index}`, `group/g${index - 1}`));
    }
    return ledger;
  }
  test('cannot be nested', () => {
    const ledger = chain(16);
    ledger.group('top');
    expect(attempt(ledger, add('top', 'group/g15'))).toBe('accepted');
    ledger.group('bottom');
    expect(attempt(ledger, add('g0', 'group/bottom'))).toBe('rule_groups_too_many');
  });
  test('a person cannot be put into', () => {
    const ledger = chain(16);
    const { id } = ledger.person({ groups: ['g0'] });
    ledger.group('one-more');
    expect(attempt(ledger, add('one-more', `principal/${id}`))).toBe('rule_groups_too_many');
    expect(groups(ledger, id)).toHaveLength(16);
  });
  test('that come about above a person are refused rather than cut, so that no forbid falls silent', () => {
    const ledger = chain(16);
    const { id } = ledger.person({ groups: ['g0'] });
    ledger.group('top');
    ledger.do(add('top', 'group/g15'));
    expect(codeOf(() => groups(ledger, id))).toBe('rule_groups_too_many');
  });
  test('can always be left', () => {
    const ledger = chain(16);
    ledger.group('aside');
    const { id } = ledger.person({ groups: ['g1', 'aside'] });
    ledger.group('top');
    ledger.do(add('top', 'group/g15'));
    ledger.group('roof');
    ledger.do(add('roof', 'group/top'));
    expect(attempt(ledger, remove('aside', `principal/${id}`))).toBe('accepted');
    expect(attempt(ledger, remove('g1', `principal/${id}`))).toBe('accepted');
  });
  test('in a circle, which no entry can make, still end', () => {
    const ledger = createLedger();
    for (const name of ['a', 'b']) {
      ledger.state.set(`group/${name}`, { status: 'active', protected: false, parents: ['a', 'b'] });
    }
    const { id } = ledger.person();
    const record = ledger.read(`principal/${id}`);
    expect(record && groupsOf(ledger.read, { ...record, groups: ['a'] })).toEqual(['a', 'b']);
  });
});

describe('attributes', () => {
  const provision = (
    attributes: Extract<Operation, { type: 'principal.provision' }>['attributes'],
  ): Operation => ({
    type: 'principal.provision',
    groups: [],
    attributes,
    sponsor: false,
  });
  test.each([
    ['text, integers, booleans and lists of text', { a: 'x', b: 1, c: true, d: ['y'] }, 'accepted'],
    ['an entity in disguise', { a: { __entity: { type: 'Group', id: 'board' } } }, 'rule_attribute_kind'],
    ['an extension value in disguise', { a: [{ __extn: { fn: 'ip', arg: '::1' } }] }, 'rule_attribute_kind'],
    ['nothing', { a: null }, 'rule_attribute_kind'],
    ['an odd name', { __proto: 'x' }, 'rule_attribute_kind'],
    ['too much', { a: 'x'.repeat(5000) }, 'rule_attribute_kind'],
    [
      'too many',
      Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`a${index}`, 1])),
      'rule_attribute_kind',
    ],
  ])('%s', (_name, attributes, code) => {
    const ledger = createLedger();
    expect(attempt(ledger, provision(attributes))).toBe(code);
  });
});
