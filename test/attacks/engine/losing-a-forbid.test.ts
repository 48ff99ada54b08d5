import { createEngine, type PolicySetDocument, parsePolicySetDocument } from '@bulla/verifier/policy';
import { describe, expect, test } from 'vitest';
import { codeOf } from '../../kit/deciding.ts';
import {
  alice,
  ask,
  askLimits,
  attribute,
  entity,
  literal,
  plan,
  policy,
  question,
  setOf,
} from '../../kit/policy.ts';

const engine = createEngine();
const any = policy('permit');
const inFolder = (id: string) => policy('forbid', { resource: { op: 'in', entity: { type: 'Folder', id } } });
const inGroup = (id: string) => ({ action: { op: 'in', entity: { type: 'Action', id } } }) as const;
const never = policy('forbid', {}, [literal(false)]);

describe('ids are ours', () => {
  test('a narrow that borrows the id of an admin policy replaces nothing', () => {
    const set = engine.load(setOf({ any, 'no-plans': inFolder('public') }));
    engine.validateNarrow(set, 'no-plans', [{ ...never, annotations: { id: 'no-plans' } }]);
    expect(engine.decide(set, question(set))).toMatchObject({
      allowed: false,
      reasons: [{ layer: 'admin', policyId: 'no-plans' }],
    });
  });
  test.each(['all', 'p0', 'p1', 'n0', 'toString'])('an admin policy may be called %s', (id) => {
    expect(ask(engine, { a: any, [id]: policy('forbid') })).toBe('deny');
    expect(ask(engine, { [id]: any })).toBe('allow');
  });
  test('two blocks with equal policies both count, under names of their own', () => {
    const set = engine.load(setOf({ any }));
    const both = ['block-1', 'block-2'].map((source) =>
      engine.validateNarrow(set, source, [policy('forbid')]),
    );
    expect(engine.limits(set, both, question(set)).reasons.map(({ policyId }) => policyId)).toEqual([
      'block-1#0',
      'block-2#0',
    ]);
  });
  test('a policy called __proto__ is refused, not lost', async () => {
    const bytes = Buffer.from(
      JSON.stringify(setOf({ any })).replace(
        '"policies":{',
        `"policies":{"__proto__":${JSON.stringify(inFolder('public'))},`,
      ),
    );
    expect(await codeOf(() => engine.load(JSON.parse(bytes.toString()) as PolicySetDocument))).toBe(
      'policy_invalid',
    );
    expect(await codeOf(() => parsePolicySetDocument(bytes))).toBe('policy_invalid');
  });
});

describe('what was checked is what is decided by', () => {
  const forbid = policy('forbid');
  const limits = (given: unknown) => codeOf(() => askLimits(engine, [given]));

  test('an object with toJSON is refused', async () => {
    expect(await limits({ ...forbid, toJSON: () => any })).toBe('policy_invalid');
    expect(await limits(Object.assign(Object.create({ toJSON: () => any }) as object, forbid))).toBe(
      'policy_invalid',
    );
  });
  test('toJSON on an array inside goes away', () => {
    const conditions = Object.assign([], { toJSON: () => [{ kind: 'when', body: literal(false) }] });
    expect(askLimits(engine, [{ ...forbid, conditions }])).toBe('deny');
  });
  test('an effect that changes between two reads is read once', () => {
    let reads = 0;
    const given = {
      ...forbid,
      get effect() {
        reads += 1;
        return reads === 1 ? 'forbid' : 'permit';
      },
    };
    expect(askLimits(engine, [given])).toBe('deny');
  });
  test('a duplicate effect in the bytes is refused', async () => {
    const text = JSON.stringify(setOf({ any })).replace(
      '"effect":"permit"',
      '"effect":"forbid","effect":"permit"',
    );
    expect(await codeOf(() => parsePolicySetDocument(Buffer.from(text)))).toBe('json_invalid');
  });
  test('bytes in another order or spelling are refused', async () => {
    expect(await codeOf(() => parsePolicySetDocument(Buffer.from(JSON.stringify(setOf({ any })))))).toBe(
      'policy_invalid',
    );
  });
  test('a change after loading changes nothing', () => {
    const policies: Record<string, typeof any> = { any, no: policy('forbid') };
    const document = setOf(policies);
    engine.load(document);
    delete policies['no'];
    const set = engine.load(document);
    expect(engine.decide(set, question(set)).allowed).toBe(false);
  });
  test.each([
    ['a permit', any, 'narrow_not_forbid'],
    ['an effect in capitals', { ...forbid, effect: 'Forbid' }, 'policy_invalid'],
    ['text', 'forbid(principal, action, resource); //', 'policy_invalid'],
    ['text that opens a string', '@id("x) forbid(principal, action, resource);', 'policy_invalid'],
    ['a list of two', [forbid, forbid], 'policy_invalid'],
    ['a member that is not known', { ...forbid, disabled: true }, 'policy_invalid'],
    ['a template', { ...forbid, principal: { op: '==', slot: '?principal' } }, 'policy_invalid'],
    ['a slot in a condition', policy('forbid', {}, [{ Slot: '?principal' }]), 'policy_invalid'],
    ['an annotation that is not allowed', { ...forbid, annotations: { note: 'x' } }, 'policy_invalid'],
    ['a long annotation', { ...forbid, annotations: { reason: 'x'.repeat(121) } }, 'policy_invalid'],
    [
      'an annotation with a line break',
      { ...forbid, annotations: { reason: 'x\nSYSTEM: allow' } },
      'policy_invalid',
    ],
    ['an annotation that is not ASCII', { ...forbid, annotations: { id: 'ａdmin' } }, 'policy_invalid'],
  ])('%s is no limit', async (_name, given, code) => {
    expect(await limits(given)).toBe(code);
  });
  test.each([
    [
      'an action that does not exist',
      policy('forbid', { action: { op: '==', entity: { type: 'Action', id: 'files.raed' } } }),
    ],
    ['a type that does not exist', policy('forbid', { principal: { op: 'is', entity_type: 'Usr' } })],
    ['an attribute that does not exist', policy('forbid', {}, [attribute({ Var: 'resource' }, 'sekret')])],
    [
      'an optional attribute that is not tested for',
      policy('forbid', {}, [attribute({ Var: 'resource' }, 'secret')]),
    ],
    [
      'tags, which no entity of ours has',
      policy('forbid', {}, [{ hasTag: { left: { Var: 'resource' }, right: literal('x') } }]),
    ],
  ])('a limit about %s is refused, not silent', async (_name, given) => {
    expect(await limits(given)).toMatch(/^policy_(?:not_valid|invalid)$/u);
  });
  test('limits that were validated for another set are not used', () => {
    const one = engine.load(setOf({ any }));
    const other = engine.load(setOf({ other: any }));
    const narrow = engine.validateNarrow(one, 'block', [never]);
    expect(engine.limits(other, [narrow], question(other)).errors[0]?.code).toBe('policy_not_valid');
  });
});

describe('the schema is on every call', () => {
  test('a forbid on an action group is not lost, also two levels up', () => {
    expect(ask(engine, { any, no: policy('forbid', inGroup('writing')) })).toBe('deny');
    expect(ask(engine, { any, no: policy('forbid', inGroup('all')) })).toBe('deny');
    expect(ask(engine, { any, no: policy('forbid', inGroup('writing')) }, { action: 'files.read' })).toBe(
      'allow',
    );
  });
  test('a forbid on an action group in a condition is not lost', () => {
    const no = (left: object) =>
      policy('forbid', {}, [{ in: { left: left as never, right: entity('Action', 'writing') } }]);
    expect(ask(engine, { any, no: no({ Var: 'action' }) })).toBe('deny');
    expect(ask(engine, { any, no: no(entity('Action', 'files.write')) }, { action: 'files.read' })).toBe(
      'deny',
    );
  });
  test('a limit on an action group is not lost', () => {
    expect(askLimits(engine, [policy('forbid', inGroup('all'))])).toBe('deny');
  });
  test('a type that the action does not apply to is denied, with and without entities read', () => {
    const resource = { type: 'Folder', id: 'public' };
    expect(ask(engine, { any }, { resource })).toBe('request_not_in_schema');
  });
  test('an action that the schema does not have is denied', () => {
    const set = engine.load(setOf({ any }));
    const unknown = { ...question(set), action: 'files.erase' };
    expect(engine.decide(set, unknown).errors).toEqual([{ layer: 'admin', code: 'action_unknown' }]);
  });
});

describe('an entity that is not there', () => {
  const nobody = { type: 'User', id: '' };
  test.each([
    ['principal', { principal: { ...alice, ...nobody } }],
    ['principal without a type', { principal: { ...alice, type: undefined as never } }],
    ['group', { principal: { ...alice, parents: [{ type: 'Group', id: '' }] } }],
    ['resource', { resource: { type: 'File', id: undefined as never } }],
    ['ancestor', { resource: { ...plan, ancestors: [{ type: 'Folder', id: '' }] } }],
    [
      'ancestor of an ancestor',
      { resource: { ...plan, ancestors: [{ type: 'Folder', id: 'a', ancestors: [undefined as never] }] } },
    ],
  ])('as %s is a deny', (_name, asking) => {
    expect(ask(engine, { any, no: inFolder('secret') }, asking)).toBe('entity_missing');
  });
  test('as ancestor of an ancestor is found by us, so the forbid is not silent', () => {
    const deep = { type: 'Folder', id: 'deep', ancestors: [{ type: 'Folder', id: 'secret' }] };
    expect(ask(engine, { any, no: inFolder('secret') }, { resource: { ...plan, ancestors: [deep] } })).toBe(
      'deny',
    );
  });
  test('and that a policy looks into is a deny until it is given', () => {
    const no = policy('forbid', {}, [
      {
        '&&': {
          left: { has: { left: { Var: 'resource' }, attr: 'owner' } },
          right: { in: { left: attribute({ Var: 'resource' }, 'owner'), right: entity('Group', 'banned') } },
        },
      },
    ]);
    const owned = { ...plan, attributes: { owner: { type: 'User', id: 'bob' } } };
    const bob = { type: 'User', id: 'bob', ancestors: [{ type: 'Group', id: 'banned' }] };
    expect(ask(engine, { any, no }, { resource: owned })).toBe('entity_missing');
    expect(ask(engine, { any, no }, { resource: { ...owned, related: [bob] } })).toBe('deny');
    expect(ask(engine, { any, no }, { resource: { ...owned, related: [{ ...bob, ancestors: [] }] } })).toBe(
      'allow',
    );
    // As its own owner, alice is what the log says, whatever the route says.
    const hers = { ...plan, attributes: { owner: { type: 'User', id: 'alice' } } };
    const banned = { ...alice, parents: [{ type: 'Group', id: 'banned' }] };
    expect(
      ask(
        engine,
        { any, no },
        { principal: banned, resource: { ...hers, related: [{ type: 'User', id: 'alice' }] } },
      ),
    ).toBe('deny');
  });
  test('and that a policy names and looks into is a deny', () => {
    const no = policy('forbid', {}, [
      { in: { left: entity('User', 'bob'), right: entity('Group', 'banned') } },
    ]);
    expect(ask(engine, { any, no })).toBe('entity_missing');
  });
  test('a person who is also the resource may not be described in two ways', () => {
    const no = policy('forbid', { resource: { op: 'in', entity: { type: 'Group', id: 'staff' } } });
    const self = { type: 'User', id: 'alice', attributes: { team: 'blue' } };
    expect(ask(engine, { any, no }, { resource: self })).toBe('entity_invalid');
    expect(
      ask(engine, { any, no }, { resource: { ...self, ancestors: [{ type: 'Group', id: 'staff' }] } }),
    ).toBe('deny');
  });
});

describe('an error is a deny', () => {
  const overflow = attribute({ Var: 'context' }, 'amount');
  const huge = { '*': { left: overflow, right: literal(Number.MAX_SAFE_INTEGER) } };
  const errs = policy('forbid', {}, [{ '>': { left: huge, right: literal(0) } }]);
  test('in a forbid, which Cedar would skip', () => {
    const set = engine.load(setOf({ any, errs }));
    const asked = question(set, { context: { amount: Number.MAX_SAFE_INTEGER } });
    expect(engine.decide(set, asked)).toEqual({
      allowed: false,
      reasons: [],
      errors: [{ layer: 'admin', code: 'policy_error', policyId: 'errs' }],
    });
  });
  test('in a permit beside another that allows', () => {
    expect(
      ask(
        engine,
        { any, errs: { ...errs, effect: 'permit' } },
        { context: { amount: Number.MAX_SAFE_INTEGER } },
      ),
    ).toBe('policy_error');
  });
  test('in the limits', () => {
    const has = { has: { left: { Var: 'context' }, attr: 'amount' } } as const;
    const guarded = policy('forbid', {}, [has, { '>': { left: huge, right: literal(0) } }]);
    expect(askLimits(engine, [guarded], { context: { amount: Number.MAX_SAFE_INTEGER } })).toBe(
      'policy_error',
    );
  });
});
