import { buildContext, createEngine, parsePolicySetDocument, policySetBytes } from '@bulla/verifier/policy';
import { describe, expect, test } from 'vitest';
import { codeOf } from '../../kit/deciding.ts';
import { alice, ask, entity, fromContext, literal, plan, policy, reserved, setOf } from '../../kit/policy.ts';

const engine = createEngine();
const any = policy('permit');
const set = engine.load(setOf({ any }));
const build = (given: object) =>
  codeOf(() => buildContext(set, 'files.write', reserved, given as Record<string, unknown>));

describe('a context is built, never copied', () => {
  test.each<[string, object]>([
    ['an entity in the place of a string', { tags: [{ __entity: { type: 'User', id: 'root' } }] }],
    ['an entity in its JSON form', { approver: { __entity: { type: 'User', id: 'root' } } }],
    ['an entity of another type', { approver: { type: 'Group', id: 'root' } }],
    ['an entity with more members', { approver: { type: 'User', id: 'root', __extn: {} } }],
    ['an extension value in the place of a number', { amount: { __extn: { fn: 'decimal', arg: '1.0' } } }],
    ['an extension value in its JSON form', { from: { __extn: { fn: 'ip', arg: '10.0.0.1' } } }],
    ['__proto__ as a member', JSON.parse('{"__proto__":{"amount":1}}') as object],
    ['__proto__ inside a record', JSON.parse('{"detail":{"note":"x","__proto__":{"a":1}}}') as object],
    ['__entity inside a record', { detail: { note: 'x', __entity: { type: 'User', id: 'root' } } }],
    ['an unknown member', { amuont: 1 }],
    ['a member of a record missing', { detail: {} }],
    ['a record inherited', { detail: Object.create({ note: 'x' }) as object }],
    ['an integer over 2^53', { amount: 2 ** 53 }],
    ['a fraction', { amount: 1.5 }],
    ['a number as text', { amount: '1' }],
    ['NaN', { amount: Number.NaN }],
    ['null', { amount: null }],
    ['a BigInt', { amount: 1n }],
    ['a lone surrogate', { tags: ['\ud800'] }],
    ['a set that is an object', { tags: { 0: 'x', length: 1 } }],
    ['no address', { from: '10.0.0.1) || true' }],
    ['a reserved name', { agent: { id: 'agt_other' } }],
    ['a reserved name that this action does not declare', { key: 'logged' }],
  ])('%s is refused', async (_name, given) => {
    expect(await build(given)).toBe('value_invalid');
  });
  test('what is declared gets its declared type', () => {
    const context = buildContext(
      set,
      'files.write',
      { ...reserved, agent: { id: 'agt_1', kind: 'autonomous', registeredBy: 'admin' } },
      { amount: 5, from: '10.0.0.1/8', approver: { type: 'User', id: 'bob' }, tags: ['a'] },
    );
    expect({ ...context.pick(null) }).toEqual({
      amount: 5,
      from: { __extn: { fn: 'ip', arg: '10.0.0.1/8' } },
      approver: { __entity: { type: 'User', id: 'bob' } },
      tags: ['a'],
      agent: { id: 'agt_1' },
    });
  });
  test('an address that Cedar cannot read is a deny', () => {
    const no = policy('forbid', {}, [
      { has: { left: { Var: 'context' }, attr: 'from' } },
      { isLoopback: [fromContext('from')] },
    ]);
    expect(ask(engine, { any, no }, { context: { from: '127.0.0.1' } })).toBe('deny');
    expect(ask(engine, { any, no }, { context: { from: '999.1.1.1' } })).toBe('request_not_in_schema');
  });
});

describe('attributes are built too', () => {
  test.each<[string, object]>([
    ['an entity where a string belongs', { team: { __entity: { type: 'Group', id: 'staff' } } }],
    ['a number where a string belongs', { team: 1 }],
  ])("of the principal's record: %s is a deny", (_name, attributes) => {
    expect(
      ask(engine, { any }, { principal: { ...alice, attributes: attributes as Record<string, unknown> } }),
    ).toBe('value_invalid');
  });
  test('what the schema does not declare of a principal is left out', () => {
    const attributes = JSON.parse('{"team":"blue","shoe":42,"__proto__":{"x":1}}') as Record<string, unknown>;
    expect(ask(engine, { any }, { principal: { ...alice, attributes } })).toBe('allow');
  });
  test.each<[string, object]>([
    ['an unknown attribute', { sercet: true }],
    ['a typed value in its JSON form', { owner: { __entity: { type: 'User', id: 'alice' } } }],
  ])('of the resource: %s is a deny', (_name, attributes) => {
    expect(
      ask(engine, { any }, { resource: { ...plan, attributes: attributes as Record<string, unknown> } }),
    ).toBe('value_invalid');
  });
});

describe('values in policies', () => {
  test.each<[string, object]>([
    ['an integer over 2^53', literal(2 ** 53)],
    ['a fraction', literal(1.5)],
    ['a set as a literal', { Value: [1, 2] }],
    ['an extension value as a literal', { Value: { __extn: { fn: 'ip', arg: '10.0.0.1' } } }],
    ['null', { Value: null }],
    ['an entity with more members', { Value: { __entity: { type: 'User', id: 'a', x: 1 } } }],
    ['an unknown function', { eval: [literal('1')] }],
    ['a function with too many arguments', { ip: [literal('10.0.0.1'), literal('x')] }],
    ['two operators in one node', { ...literal(true), ...entity('User', 'a'), Var: 'principal' }],
    ['an inherited operator', { toString: [] }],
    ['__proto__ as an operator', JSON.parse('{"__proto__":{"left":{},"right":{}}}') as object],
  ])('%s is refused', async (_name, body) => {
    expect(await codeOf(() => engine.load(setOf({ any: policy('permit', {}, [body as never]) })))).toBe(
      'policy_invalid',
    );
  });
  test('an integer over 2^53 in the bytes is refused', async () => {
    const bytes = policySetBytes(
      setOf({ any: policy('permit', {}, [{ '>': { left: literal(7), right: literal(0) } }]) }),
    );
    const changed = Buffer.from(bytes.toString().replace('"Value":7', '"Value":9007199254740993'));
    expect(await codeOf(() => parsePolicySetDocument(bytes))).toBe('accepted');
    expect(await codeOf(() => parsePolicySetDocument(changed))).toBe('json_invalid');
  });
  test('an attribute that Cedar would read as a typed value is refused in a schema', async () => {
    const { schema } = setOf({});
    const bad = structuredClone(schema) as Record<string, { entityTypes: Record<string, object> }>;
    const own = bad[''];
    if (own !== undefined)
      own.entityTypes['User'] = { shape: { type: 'Record', attributes: { __entity: { type: 'String' } } } };
    expect(await codeOf(() => engine.load({ version: 1, policies: {}, schema: bad as never }))).toBe(
      'policy_invalid',
    );
  });
});
