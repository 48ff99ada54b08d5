import type { Principal } from '@bulla/verifier/policy';
import * as fc from 'fast-check';
import { type Asking, attribute, entity, fromContext, literal, type Policy } from './policy.ts';

type Expression = Policy['conditions'][number]['body'];
type Uid = { readonly type: string; readonly id: string };

const groups: readonly string[] = ['staff', 'banned', 'blue'];
const folders: readonly string[] = ['public', 'secret', 'deep'];
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
/** Policies under the schema of the kit; most of them valid. */
export const policyOf = (effect: fc.Arbitrary<Policy['effect']>): fc.Arbitrary<Policy> =>
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
    .record({ team: fc.option(oneOf(groups), { nil: undefined }), groups: fc.subarray([...groups]) })
    .map((of) => ({
      type: 'User',
      id,
      attributes: of.team === undefined ? {} : { team: of.team },
      parents: of.groups.map((name) => ({ type: 'Group', id: name })),
    }));
export const uid = (type: string, id: string): Uid => ({ type, id });
/** Alice asks about her plan, or somebody's; bob may own it. */
export const asked: fc.Arbitrary<Required<Asking>> = fc
  .record({
    action: fc.constantFrom('files.read', 'files.write'),
    alice: person('alice'),
    bob: person('bob'),
    owner: fc.constantFrom(undefined, 'alice', 'bob'),
    secret: fc.constantFrom(undefined, true, false),
    readers: fc.option(fc.subarray([...groups]), { nil: undefined }),
    folders: fc.subarray([...folders]),
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

/** Sets of one to five policies under the schema of the kit. */
export const sets: fc.Arbitrary<readonly Policy[]> = fc.array(
  policyOf(fc.constantFrom('permit', 'permit', 'forbid')),
  {
    minLength: 1,
    maxLength: 5,
  },
);
export const forbids: fc.Arbitrary<readonly Policy[]> = fc.array(policyOf(fc.constant('forbid')), {
  maxLength: 3,
});
export const named = (policies: readonly Policy[]): Record<string, Policy> =>
  Object.fromEntries(policies.map((item, index) => [`id${String(index)}`, item]));
