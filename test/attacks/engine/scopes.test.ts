import { createEngine } from '@bulla/verifier/policy';
import { describe, expect, test } from 'vitest';
import { alice, ask, type Policy, plan, policy } from '../../kit/policy.ts';

const engine = createEngine();
const any = policy('permit');
const uid = (type: string, id: string) => ({ type, id });
const forbidTo = (principal: Policy['principal']) => policy('forbid', { principal });
const forbidOn = (resource: Policy['resource']) => policy('forbid', { resource });

describe('the in of a scope, which the engine answers before Cedar', () => {
  const member = { ...alice, parents: [uid('Group', 'banned')] };
  const inBanned = { op: 'in', entity: uid('Group', 'banned') } as const;

  test.each<[string, Policy['principal']]>([
    ['in a group', inBanned],
    ['of a type and in a group', { op: 'is', entity_type: 'User', in: { entity: uid('Group', 'banned') } }],
  ])('forbids a principal %s, and nobody else', (_, scope) => {
    expect(ask(engine, { any, no: forbidTo(scope) }, { principal: member })).toBe('deny');
    expect(ask(engine, { any, no: forbidTo(scope) }, { principal: alice })).toBe('allow');
  });

  test('holds for the entity itself: it is in itself', () => {
    const self = { op: 'in', entity: uid('User', 'alice') } as const;
    const other = { op: 'in', entity: uid('User', 'bob') } as const;
    expect(ask(engine, { any, no: forbidTo(self) })).toBe('deny');
    expect(ask(engine, { any, no: forbidTo(other) })).toBe('allow');
    expect(ask(engine, { any, no: forbidOn({ op: 'in', entity: uid('File', plan.id) }) })).toBe('deny');
  });

  test('is not fooled by an id of another type', () => {
    const scope = { op: 'in', entity: uid('Group', 'alice') } as const;
    expect(ask(engine, { any, no: forbidTo(scope) })).toBe('allow');
    expect(ask(engine, { yes: policy('permit', { principal: scope }) })).toBe('deny');
  });

  test('does not let the answer for one person serve another', () => {
    const set = { any, no: forbidTo(inBanned) };
    for (const [principal, outcome] of [
      [alice, 'allow'],
      [member, 'deny'],
      [alice, 'allow'],
      [member, 'deny'],
    ] as const) {
      expect(ask(engine, set, { principal })).toBe(outcome);
    }
  });

  test('keeps the rest of the scope: a type that does not fit is still a no', () => {
    const scope = { op: 'is', entity_type: 'Group', in: { entity: uid('Group', 'banned') } } as const;
    expect(ask(engine, { any, no: forbidTo(scope) }, { principal: member })).toBe('allow');
  });

  test('of the resource forbids what is in the folder, through every ancestor', () => {
    const no = forbidOn({ op: 'in', entity: uid('Folder', 'secret') });
    const nested = {
      ...plan,
      ancestors: [{ ...uid('Folder', 'deep'), ancestors: [uid('Folder', 'secret')] }],
    };
    expect(ask(engine, { any, no }, { resource: nested })).toBe('deny');
    expect(ask(engine, { any, no }, { resource: { ...plan, ancestors: [uid('Folder', 'deep')] } })).toBe(
      'allow',
    );
  });

  test('takes only ancestors of a type that can be one', () => {
    const resource = { ...plan, ancestors: [uid('Group', 'staff')] };
    expect(ask(engine, { any }, { resource })).toBe('entity_invalid');
  });
});
