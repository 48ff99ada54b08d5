import type { Resource } from '@bulla/verifier';
import { createEngine, instantiateCedar, type Principal } from '@bulla/verifier/policy';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Asking,
  attribute,
  entity,
  fromContext,
  literal,
  type Policy,
  policy,
  question,
  schema,
  setOf,
} from '../kit/policy.ts';

type Expression = Policy['conditions'][number]['body'];
type Uid = { readonly type: string; readonly id: string };

const groups = ['staff', 'banned', 'blue'];
const folders = ['public', 'secret', 'deep'];
const oneOf = (names: readonly string[]) => fc.constantFrom(...names);
const principal: Expression = { Var: 'principal' };
const resource: Expression = { Var: 'resource' };
const isIn = (left: Expression, right: Expression): Expression => ({ in: { left, right } });
const same = (left: Expression, right: Expression): Expression => ({ '==': { left, right } });
const has = (left: Expression, attr: string): Expression => ({ has: { left, attr } });
const both = (left: Expression, right: Expression): Expression => ({ '&&': { left, right } });
/** Looked at only where it is there, so that most expressions are free of errors. */
const where = (left: Expression, attr: string, then: (value: Expression) => Expression): Expression =>
  both(has(left, attr), then(attribute(left, attr)));

const group = oneOf(groups).map((id) => entity('Group', id));
const atom: fc.Arbitrary<Expression> = fc.oneof(
  fc.boolean().map(literal),
  group.map((right) => isIn(principal, right)),
  fc.array(group, { maxLength: 2 }).map((items) => isIn(principal, { Set: items })),
  fc.constant(where(resource, 'readers', (readers) => isIn(principal, readers))),
  oneOf(folders).map((id) => isIn(resource, entity('Folder', id))),
  oneOf(groups).map((id) => where(resource, 'owner', (owner) => isIn(owner, entity('Group', id)))),
  fc.constant(where(resource, 'owner', (owner) => same(owner, principal))),
  oneOf(groups).map((id) =>
    where(resource, 'owner', (owner) => where(owner, 'team', (team) => same(team, literal(id)))),
  ),
  oneOf(groups).map((id) => where(principal, 'team', (team) => same(team, literal(id)))),
  fc.constant(where(resource, 'secret', (secret) => secret)),
  fc.constant(attribute(resource, 'secret')),
  fc
    .integer({ min: 0, max: 5 })
    .map((n) => where({ Var: 'context' }, 'amount', (left) => ({ '>': { left, right: literal(n) } }))),
  fc.constant({
    '>': { left: { '*': { left: fromContext('amount'), right: literal(2 ** 52) } }, right: literal(0) },
  }),
  group.map((right) => where({ Var: 'context' }, 'approver', (left) => isIn(left, right))),
  fc.constant(where({ Var: 'context' }, 'detail', (detail) => same(attribute(detail, 'note'), literal('x')))),
  oneOf(['all', 'writing', 'files.read']).map((id) => isIn({ Var: 'action' }, entity('Action', id))),
  oneOf(['files.read', 'files.write']).map((id) => isIn(entity('Action', id), entity('Action', 'writing'))),
  fc.constant(isIn(entity('User', 'bob'), entity('Group', 'banned'))),
  fc.constantFrom('File', 'User').map((entity_type) => ({ is: { left: resource, entity_type } })),
  oneOf(groups).map((id) => ({ is: { left: principal, entity_type: 'User', in: entity('Group', id) } })),
);
const { expression } = fc.letrec<{ expression: Expression }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 3 },
    atom,
    tie('expression').map((arg) => ({ '!': { arg } })),
    fc.tuple(tie('expression'), tie('expression')).map(([left, right]) => both(left, right)),
    fc.tuple(tie('expression'), tie('expression')).map(([left, right]) => ({ '||': { left, right } })),
  ),
}));

const scopeOf = (type: string, ids: readonly string[]) =>
  fc.oneof(
    fc.constant({ op: 'All' } as const),
    oneOf(ids).map((id) => ({ op: 'in', entity: { type, id } }) as const),
  );
const actionScope: fc.Arbitrary<Policy['action']> = fc.oneof(
  fc.constant({ op: 'All' } as const),
  oneOf(['all', 'writing']).map((id) => ({ op: 'in', entity: { type: 'Action', id } }) as const),
  oneOf(['files.read', 'files.write']).map((id) => ({ op: '==', entity: { type: 'Action', id } }) as const),
);
const policyOf = (effect: fc.Arbitrary<Policy['effect']>): fc.Arbitrary<Policy> =>
  fc
    .record({
      effect,
      principal: scopeOf('Group', groups),
      action: actionScope,
      resource: scopeOf('Folder', folders),
      conditions: fc.array(fc.record({ kind: fc.constantFrom('when', 'unless'), body: expression }), {
        maxLength: 2,
      }),
    })
    .map((scope) => ({ ...scope }));

const person = (id: string): fc.Arbitrary<Principal> =>
  fc
    .record({ team: fc.option(oneOf(groups), { nil: undefined }), groups: fc.subarray(groups) })
    .map((of) => ({
      type: 'User',
      id,
      attributes: of.team === undefined ? {} : { team: of.team },
      parents: of.groups.map((name) => ({ type: 'Group', id: name })),
    }));
const uid = (type: string, id: string): Uid => ({ type, id });
const asked: fc.Arbitrary<Required<Asking>> = fc
  .record({
    action: fc.constantFrom('files.read', 'files.write'),
    alice: person('alice'),
    bob: person('bob'),
    owner: fc.constantFrom(undefined, 'alice', 'bob'),
    secret: fc.constantFrom(undefined, true, false),
    readers: fc.option(fc.subarray(groups), { nil: undefined }),
    folders: fc.subarray(folders),
    amount: fc.constantFrom(undefined, 1, 3, 2 ** 52),
    approver: fc.constantFrom(undefined, 'alice', 'bob'),
    note: fc.constantFrom(undefined, 'x', 'y'),
  })
  .map((of) => ({
    action: of.action,
    principal: of.alice,
    resource: {
      type: 'File',
      id: 'plan',
      attributes: {
        ...(of.owner === undefined ? {} : { owner: uid('User', of.owner) }),
        ...(of.secret === undefined ? {} : { secret: of.secret }),
        ...(of.readers === undefined ? {} : { readers: of.readers.map((name) => uid('Group', name)) }),
      },
      ancestors: of.folders.map((id) => ({ type: 'Folder', id })),
      related: [{ type: 'User', id: 'bob', attributes: of.bob.attributes, ancestors: of.bob.parents }],
    },
    context: {
      ...(of.amount === undefined ? {} : { amount: of.amount }),
      ...(of.approver === undefined ? {} : { approver: uid('User', of.approver) }),
      ...(of.note === undefined ? {} : { detail: { note: of.note } }),
    },
  }));

const sets = fc.array(policyOf(fc.constantFrom('permit', 'permit', 'forbid')), {
  minLength: 1,
  maxLength: 5,
});
const forbids = fc.array(policyOf(fc.constant('forbid')), { maxLength: 3 });
const named = (policies: readonly Policy[]): Record<string, Policy> =>
  Object.fromEntries(policies.map((item, index) => [`id${String(index)}`, item]));

const engine = createEngine();

describe('law 1: adding any forbid never turns a deny into an allow', () => {
  test('in the admin set', () => {
    fc.assert(
      fc.property(sets, forbids, asked, (policies, more, asking) => {
        const before = engine.load(setOf(named(policies)));
        const after = engine.load(setOf(named([...policies, ...more])));
        const allowedAfter = engine.decide(after, question(after, asking)).allowed;
        expect(allowedAfter && !engine.decide(before, question(before, asking)).allowed).toBe(false);
      }),
      { numRuns: 400 },
    );
  });
  test('in the limits, whatever is not valid being refused', () => {
    const set = engine.load(setOf({ any: policy('permit') }));
    const narrowOf = (policies: readonly Policy[], source: string) => {
      try {
        return [engine.validateNarrow(set, source, policies)];
      } catch {
        return undefined;
      }
    };
    fc.assert(
      fc.property(forbids, forbids, asked, (some, more, asking) => {
        const first = narrowOf(some, 'agent');
        const second = narrowOf(more, 'block');
        fc.pre(first !== undefined && second !== undefined);
        const before = engine.limits(set, first ?? [], question(set, asking)).allowed;
        const after = engine.limits(
          set,
          [...(first ?? []), ...(second ?? [])],
          question(set, asking),
        ).allowed;
        expect(after && !before).toBe(false);
      }),
      { numRuns: 300 },
    );
  });
});

describe('a slice answers as the whole', () => {
  const cedar = instantiateCedar();
  const entityOf = (of: Resource & Partial<Principal>) => ({
    uid: uid(of.type, of.id),
    attrs: Object.fromEntries(
      Object.entries(of.attributes ?? {}).map(([name, value]) => [name, typed(value)]),
    ),
    parents: [...(of.parents ?? []), ...(of.ancestors ?? [])].map(({ type, id }) => uid(type, id)),
  });
  const typed = (value: unknown): never => {
    if (Array.isArray(value)) return value.map(typed) as never;
    return (
      typeof value === 'object' && value !== null && 'type' in value ? { __entity: value } : value
    ) as never;
  };
  const whole = (policies: readonly Policy[], asking: Required<Asking>) => {
    const { resource: file, principal: alice } = asking;
    return cedar.isAuthorized({
      principal: uid('User', 'alice'),
      action: uid('Action', asking.action),
      resource: uid('File', 'plan'),
      context: Object.fromEntries(
        Object.entries(asking.context).map(([name, value]) => [name, typed(value)]),
      ),
      schema,
      validateRequest: true,
      policies: { staticPolicies: named(policies) },
      entities: [alice, file, ...(file.ancestors ?? []), ...(file.related ?? [])].map(entityOf),
    });
  };

  test('with every policy, entity, group, attribute and the whole schema given', () => {
    const seen = { allow: 0, deny: 0, error: 0 };
    fc.assert(
      fc.property(sets, asked, (policies, asking) => {
        const answer = whole(policies, asking);
        if (answer.type !== 'success') throw new Error(JSON.stringify(answer.errors));
        const set = engine.load(setOf(named(policies)));
        const verdict = engine.decide(set, question(set, asking));
        const { decision, diagnostics } = answer.response;
        if (diagnostics.errors.length > 0) {
          seen.error += 1;
          expect(verdict.allowed).toBe(false);
          expect(new Set(verdict.errors.map(({ policyId }) => policyId))).toEqual(
            new Set(diagnostics.errors.map(({ policyId }) => policyId)),
          );
        } else {
          seen[decision] += 1;
          expect(verdict.errors).toEqual([]);
          expect(verdict.allowed).toBe(decision === 'allow');
          expect(verdict.reasons.map(({ policyId }) => policyId)).toEqual(diagnostics.reason.toSorted());
        }
      }),
      { numRuns: 1500 },
    );
    expect(Math.min(seen.allow, seen.deny, seen.error)).toBeGreaterThan(50);
  });
});
