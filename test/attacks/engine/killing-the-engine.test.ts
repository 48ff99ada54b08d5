import { compilePolicySet } from '@bulla/verifier/authoring';
import { type Cedar, createEngine, instantiateCedar, parsePolicySetDocument } from '@bulla/verifier/policy';
import { describe, expect, test } from 'vitest';
import { codeOf } from '../../kit/deciding.ts';
import {
  alice,
  ask,
  askLimits,
  fromContext,
  literal,
  type Policy,
  plan,
  policy,
  question,
  setOf,
  watchedCedar,
} from '../../kit/policy.ts';

type Expression = Policy['conditions'][number]['body'];

const engine = createEngine();
const any = policy('permit');
const load = (given: Policy) => codeOf(() => engine.load(setOf({ any, given })));
const chain = (count: number, start: Expression, grow: (inner: Expression) => Expression): Policy => {
  let body = start;
  for (let index = 1; index < count; index += 1) body = grow(body);
  return policy('forbid', {}, [body]);
};
const amount = fromContext('amount');
const not = (arg: Expression): Expression => ({ '!': { arg } });

describe('the depth of an expression', () => {
  test('of 24 is accepted, of 25 refused', async () => {
    expect(await load(chain(24, literal(false), not))).toBe('accepted');
    expect(await load(chain(25, literal(false), not))).toBe('policy_too_deep');
  });
  test.each<[string, Policy]>([
    ['1+1+… of 400 terms', chain(400, literal(1), (left) => ({ '+': { left, right: literal(1) } }))],
    ['context.a.a… of 400 steps', chain(400, amount, (left) => ({ '.': { left, attr: 'a' } }))],
    [
      'has a.a.a… of 400 steps',
      policy('forbid', {}, [
        { has: { left: { Var: 'context' }, attr: Array.from({ length: 400 }, () => 'a') } },
      ]),
    ],
    [
      'if … else if … of 800',
      chain(800, literal(1), (other) => ({
        // oxlint-disable-next-line unicorn/no-thenable -- Cedar's name for it
        'if-then-else': { if: literal(true), then: literal(1), else: other },
      })),
    ],
    ['brackets, 5,000 deep', chain(5000, literal(true), not)],
    ['sets, 200 deep', chain(200, literal(1), (item) => ({ Set: [item] }))],
    ['records, 200 deep', chain(200, literal(1), (item) => ({ Record: { a: item } }))],
    ['function calls, 200 deep', chain(200, literal('1.0'), (item) => ({ decimal: [item] }))],
  ])('%s is refused before Cedar sees it', async (_name, given) => {
    expect(await load(given)).toBe('policy_too_deep');
    expect(await codeOf(() => askLimits(engine, [given]))).toBe('policy_too_deep');
  });
  test('the width of an expression does no harm', () => {
    const wide = {
      contains: { left: { Set: Array.from({ length: 5000 }, (_, index) => literal(index)) }, right: amount },
    };
    const has = { has: { left: { Var: 'context' }, attr: 'amount' } } as const;
    expect(ask(engine, { any, wide: policy('forbid', {}, [has, wide]) }, { context: { amount: 4999 } })).toBe(
      'deny',
    );
  });
  test('a schema nested too deeply is refused', async () => {
    let type: object = { type: 'String' };
    for (let index = 0; index < 40; index += 1) type = { type: 'Set', element: type };
    const schema = {
      '': { entityTypes: { User: { shape: { type: 'Record', attributes: { a: type } } } }, actions: {} },
    };
    expect(await codeOf(() => engine.load({ version: 1, policies: {}, schema }))).toBe('policy_too_deep');
  });
  test('common types that refer to each other are refused', async () => {
    const schema = {
      '': {
        commonTypes: { A: { type: 'B' }, B: { type: 'A' } },
        entityTypes: { User: { shape: { type: 'A' } } },
        actions: {},
      },
    };
    expect(await codeOf(() => engine.load({ version: 1, policies: {}, schema }))).toBe('policy_too_deep');
  });
  test('text that kills an instance kills only the one that read it', async () => {
    const terms = Array.from({ length: 600 }, () => '1').join('+');
    const text = (body: string) => ({
      policyText: `@id("a") permit (principal, action, resource) when { ${body} };`,
      schemaText: 'entity User; action "a" appliesTo { principal: User, resource: User };',
    });
    expect(await codeOf(() => compilePolicySet(text(`${terms} > 0`)))).toMatch(
      /^(?:engine_failed|policy_too_deep)$/u,
    );
    expect(await codeOf(() => compilePolicySet(text(`${'('.repeat(300)}1${')'.repeat(300)} > 0`)))).toMatch(
      /^(?:engine_failed|policy_text_invalid)$/u,
    );
    expect(await codeOf(() => compilePolicySet(text('1 > 0')))).toBe('accepted');
    expect(ask(engine, { any })).toBe('allow');
  });
});

describe('sizes', () => {
  const never = policy('forbid', {}, [literal(false)]);
  test('65 limits in a block, or more than 16 KiB of them, are refused', async () => {
    expect(
      await codeOf(() =>
        askLimits(
          engine,
          Array.from({ length: 64 }, () => never),
        ),
      ),
    ).toBe('accepted');
    expect(
      await codeOf(() =>
        askLimits(
          engine,
          Array.from({ length: 65 }, () => never),
        ),
      ),
    ).toBe('narrow_too_large');
    const long = policy('forbid', {}, [{ '==': { left: literal('x'.repeat(17_000)), right: literal('y') } }]);
    expect(await codeOf(() => askLimits(engine, [long]))).toBe('narrow_too_large');
  });
  test('a set of 1,001 policies or over 2 MiB is refused', async () => {
    const many = Object.fromEntries(Array.from({ length: 1001 }, (_, index) => [`p${String(index)}`, any]));
    expect(await codeOf(() => engine.load(setOf(many)))).toBe('policy_set_too_large');
    expect(await codeOf(() => parsePolicySetDocument(Buffer.alloc(2_097_153, 0x20)))).toBe(
      'policy_set_too_large',
    );
  });
  test('a chain of ancestors is cut at 16, however it is given', () => {
    const folders = (count: number) =>
      Array.from({ length: count }, (_, index) => ({ type: 'Folder', id: `f${String(index)}` }));
    const nested = folders(17).reduce<typeof plan>((inner, folder) => ({ ...folder, ancestors: [inner] }), {
      type: 'Folder',
      id: 'root',
    });
    expect(ask(engine, { any }, { resource: { ...plan, ancestors: folders(16) } })).toBe('allow');
    expect(ask(engine, { any }, { resource: { ...plan, ancestors: folders(17) } })).toBe('entity_invalid');
    expect(ask(engine, { any }, { resource: { ...plan, ancestors: [nested] } })).toBe('entity_invalid');
    expect(ask(engine, { any }, { resource: { ...plan, ancestors: folders(3000) } })).toBe('entity_invalid');
  });
  test('a ring of ancestors ends', () => {
    const ring: { type: string; id: string; ancestors: object[] } = {
      type: 'Folder',
      id: 'ring',
      ancestors: [],
    };
    ring.ancestors.push(ring);
    expect(ask(engine, { any }, { resource: { ...plan, ancestors: [ring as never] } })).toBe('allow');
  });
  test('more than 64 entities, 256 groups or 1,024 elements are refused', async () => {
    const people = Array.from({ length: 63 }, (_, index) => ({ type: 'User', id: `u${String(index)}` }));
    expect(ask(engine, { any }, { resource: { ...plan, related: people } })).toBe('entity_invalid');
    const parents = Array.from({ length: 257 }, (_, index) => ({ type: 'Group', id: `g${String(index)}` }));
    expect(ask(engine, { any }, { principal: { ...alice, parents } })).toBe('entity_invalid');
    const tags = Array.from({ length: 1025 }, () => 'x');
    expect(await codeOf(() => ask(engine, { any }, { context: { tags } }))).toBe('value_invalid');
  });
});

describe('a preparse that does not succeed', () => {
  const failOnce = () => {
    const state = { fail: false, failed: new Set<string>(), asked: [] as string[] };
    const watched = watchedCedar((real) => ({
      preparsePolicySet: (name, policies) => {
        if (state.fail && Object.keys(policies.staticPolicies ?? {}).length > 0) {
          state.failed.add(name);
          return { type: 'failure', errors: [] };
        }
        return real.preparsePolicySet(name, policies);
      },
      statefulIsAuthorized: (call) => {
        state.asked.push(call.preparsedPolicySetId);
        return real.statefulIsAuthorized(call);
      },
    }));
    return { state, engine: createEngine(() => watched) };
  };
  test('denies, and nothing is asked under that name', () => {
    const { state, engine: failing } = failOnce();
    state.fail = true;
    expect(ask(failing, { any })).toBe('policy_invalid');
    expect(state.asked).toEqual([]);
  });
  test('leaves neither the old set nor a half of the new one under the name', () => {
    let name = '';
    const real = instantiateCedar();
    let fail = false;
    const failing = createEngine(() => ({
      ...real,
      preparsePolicySet: (id, policies) => {
        name = id;
        if (fail && Object.keys(policies.staticPolicies ?? {}).length > 0)
          return { type: 'failure', errors: [] };
        return real.preparsePolicySet(id, policies);
      },
    }));
    fail = true;
    real.preparsePolicySet('p511', { staticPolicies: { old: any } });
    expect(ask(failing, { any })).toBe('policy_invalid');
    expect(name).toBe('p511');
    const left = real.statefulIsAuthorized({
      preparsedPolicySetId: name,
      principal: { type: 'User', id: 'alice' },
      action: { type: 'Action', id: 'files.write' },
      resource: { type: 'File', id: 'plan' },
      context: {},
      entities: [],
    });
    expect(left).toMatchObject({ type: 'success', response: { decision: 'deny' } });
  });
  test('is tried again, and does not stand in the way of other sets', () => {
    const { state, engine: failing } = failOnce();
    state.fail = true;
    expect(ask(failing, { any })).toBe('policy_invalid');
    state.fail = false;
    expect(ask(failing, { no: policy('forbid') })).toBe('deny');
    expect(ask(failing, { any })).toBe('allow');
  });
});

describe('a trap', () => {
  const kill = (cedar: Cedar): void => {
    const terms = Array.from({ length: 4000 }, () => '1').join('+');
    cedar.isAuthorized({
      principal: { type: 'User', id: 'a' },
      action: { type: 'Action', id: 'a' },
      resource: { type: 'User', id: 'a' },
      context: {},
      entities: [],
      policies: { staticPolicies: `permit(principal, action, resource) when { ${terms} > 0 };` },
    });
  };
  const trapping = () => {
    const state = { instances: 0, trap: false };
    const made = createEngine(() => {
      state.instances += 1;
      return watchedCedar((real) => ({
        statefulIsAuthorized: (call) => {
          if (state.trap) kill(real);
          return real.statefulIsAuthorized(call);
        },
      }));
    });
    return { state, engine: made };
  };
  // Whether the wasm stack or V8's gives out first depends on how hot the code is; only the former leaves the
  // instance dead, so every throw counts as a trap.
  test('is real, and a new instance works', () => {
    expect(() => kill(instantiateCedar())).toThrow(/memory access out of bounds|call stack/u);
    expect(instantiateCedar().checkParsePolicySet({ staticPolicies: {} })).toEqual({ type: 'success' });
  });
  test('denies, is followed by a new instance, and other sets go on', () => {
    const { state, engine: hit } = trapping();
    expect(ask(hit, { other: any })).toBe('allow');
    state.trap = true;
    expect(ask(hit, { any })).toBe('engine_failed');
    state.trap = false;
    expect(state.instances).toBe(2);
    expect(ask(hit, { other: any })).toBe('allow');
    expect(askLimits(hit, [policy('forbid')])).toBe('deny');
  });
  test('quarantines what was asked about', () => {
    const { state, engine: hit } = trapping();
    state.trap = true;
    expect(ask(hit, { any })).toBe('engine_failed');
    state.trap = false;
    expect(ask(hit, { any })).toBe('policy_quarantined');
    expect(state.instances).toBe(2);
  });
  test('while validating quarantines the limits, not the set', async () => {
    let trap = false;
    const hit = createEngine(() =>
      watchedCedar((real) => ({
        validate: (call) => {
          if (trap) throw new Error('unreachable');
          return real.validate(call);
        },
      })),
    );
    const no = policy('forbid');
    trap = true;
    expect(await codeOf(() => askLimits(hit, [no]))).toBe('engine_failed');
    trap = false;
    expect(await codeOf(() => askLimits(hit, [no]))).toBe('policy_quarantined');
    expect(askLimits(hit, [policy('forbid', {}, [literal(true)])])).toBe('deny');
  });
});

describe('names under which Cedar keeps things', () => {
  test('are reused: 1,500 different limits need no more than the ring has', () => {
    const policyNames = new Set<string>();
    const schemaNames = new Set<string>();
    const counted = createEngine(() =>
      watchedCedar((real) => ({
        preparsePolicySet: (name, policies) => {
          policyNames.add(name);
          return real.preparsePolicySet(name, policies);
        },
        preparseSchema: (name, given) => {
          schemaNames.add(name);
          return real.preparseSchema(name, given);
        },
      })),
    );
    const set = counted.load(setOf({ any }));
    const has = { has: { left: { Var: 'context' }, attr: 'amount' } } as const;
    for (let index = 0; index < 1500; index += 1) {
      const over = policy('forbid', {}, [has, { '>': { left: amount, right: literal(index) } }]);
      const narrow = counted.validateNarrow(set, 'block', [over]);
      const high = counted.limits(set, [narrow], question(set, { context: { amount: index + 1 } }));
      const low = counted.limits(set, [narrow], question(set, { context: { amount: index } }));
      expect([high.allowed, low.allowed]).toEqual([false, true]);
    }
    expect(policyNames.size).toBe(512);
    expect(schemaNames.size).toBeLessThan(8);
  });
});
