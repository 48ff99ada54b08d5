import { createEngine } from '@bulla/verifier/policy';
import { describe, expect, test } from 'vitest';
import {
  alice,
  ask,
  attribute,
  entity,
  fromContext,
  literal,
  plan,
  policy,
  watchedCedar,
} from '../../kit/policy.ts';

const any = policy('permit');
const same = (left: object, right: object) => ({ '==': { left, right } }) as never;

/** An engine that counts how often Cedar is asked. */
function counting() {
  const state = { asked: 0 };
  const engine = createEngine(() =>
    watchedCedar((real) => ({
      statefulIsAuthorized: (call) => {
        state.asked += 1;
        return real.statefulIsAuthorized(call);
      },
    })),
  );
  return { state, engine };
}

describe('an answer that is remembered', () => {
  test('serves the same question without asking Cedar again', () => {
    const { state, engine } = counting();
    const before = state.asked;
    for (let round = 0; round < 3; round += 1) expect(ask(engine, { any })).toBe('allow');
    expect(state.asked - before).toBe(1);
  });

  test.each([
    ['another attribute of the principal', { principal: { ...alice, attributes: { team: 'red' } } }],
    ['another context', { context: { amount: 9 } }],
    ['another resource', { resource: { ...plan, attributes: { secret: true } } }],
  ])('does not serve %s', (_, change) => {
    const { engine } = counting();
    const team = {
      '&&': {
        left: { has: { left: { Var: 'principal' }, attr: 'team' } },
        right: same(attribute({ Var: 'principal' }, 'team'), literal('red')),
      },
    } as never;
    const amount = {
      '&&': {
        left: { has: { left: { Var: 'context' }, attr: 'amount' } },
        right: same(fromContext('amount'), literal(9)),
      },
    } as never;
    const secret = {
      '&&': {
        left: { has: { left: { Var: 'resource' }, attr: 'secret' } },
        right: attribute({ Var: 'resource' }, 'secret'),
      },
    } as never;
    const set = {
      any,
      no: policy('forbid', {}, [{ '||': { left: { '||': { left: team, right: amount } }, right: secret } }]),
    };
    expect(ask(engine, set)).toBe('allow');
    expect(ask(engine, set, change)).toBe('deny');
    expect(ask(engine, set)).toBe('allow');
  });

  test('does not serve another policy set, action or person', () => {
    const { engine } = counting();
    const notBob = policy('forbid', {}, [same({ Var: 'principal' }, entity('User', 'bob'))]);
    expect(ask(engine, { any, notBob })).toBe('allow');
    expect(ask(engine, { any, notBob }, { principal: { ...alice, id: 'bob' } })).toBe('deny');
    expect(ask(engine, { any, no: policy('forbid') })).toBe('deny');
    const noWriting = policy('forbid', {
      action: { op: '==', entity: { type: 'Action', id: 'files.write' } },
    });
    expect(ask(engine, { any, noWriting }, { action: 'files.read' })).toBe('allow');
    expect(ask(engine, { any, noWriting }, { action: 'files.write' })).toBe('deny');
  });

  test('is never one with an error: that is asked again', () => {
    const { state, engine } = counting();
    const errs = policy('forbid', {}, [same(fromContext('amount'), literal(1))]);
    const before = state.asked;
    expect(ask(engine, { any, errs })).toBe('policy_error');
    expect(ask(engine, { any, errs })).toBe('policy_error');
    expect(state.asked - before).toBe(2);
  });
});
