import { limits, Refusal } from '@bulla/verifier';
import { type AuthorizationDetail, narrowTo, parseAuthorizationDetails } from '@bulla/verifier/envelope';
import {
  type EntityUidJson,
  isAuthorized,
  type PolicyJson,
  type SchemaJson,
  validate,
} from '@cedar-policy/cedar-wasm/nodejs';
import { describe, expect, test } from 'vitest';

const schema: SchemaJson<string> = {
  '': {
    entityTypes: { User: {}, Team: {}, Order: { memberOfTypes: ['Team'] }, Report: {} },
    actions: {
      'orders.read': { appliesTo: { principalTypes: ['User'], resourceTypes: ['Order'] } },
      'orders.pay': {
        appliesTo: {
          principalTypes: ['User'],
          resourceTypes: ['Order'],
          context: { type: 'Record', attributes: { amount: { type: 'Long' } } },
        },
      },
      'reports.read': {
        appliesTo: {
          principalTypes: ['User'],
          resourceTypes: ['Report'],
          context: { type: 'Record', attributes: { amount: { type: 'String' } } },
        },
      },
    },
  },
};

const permitAll: PolicyJson = {
  effect: 'permit',
  principal: { op: 'All' },
  action: { op: 'All' },
  resource: { op: 'All' },
  conditions: [],
};
const team: EntityUidJson = { type: 'Team', id: 'emea' };
const order: EntityUidJson = { type: 'Order', id: '7' };

function policiesOf(details: readonly AuthorizationDetail[]): Record<string, PolicyJson> {
  const narrow = narrowTo(details) as unknown as PolicyJson[];
  return Object.fromEntries([['all', permitAll], ...narrow.map((policy, index) => [`n${index}`, policy])]);
}

function decide(
  details: readonly AuthorizationDetail[],
  action: string,
  context: Record<string, number | string> = {},
  resource: EntityUidJson = order,
): string {
  const answer = isAuthorized({
    principal: { type: 'User', id: 'alice' },
    action: { type: 'Action', id: action },
    resource,
    context,
    policies: { staticPolicies: policiesOf(details) },
    entities: [{ uid: order, attrs: {}, parents: [team] }],
    schema,
    validateRequest: true,
  });
  if (answer.type !== 'success' || answer.response.diagnostics.errors.length > 0) return 'error';
  return answer.response.decision;
}

const depthOf = (value: unknown): number =>
  typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0;

describe('what was asked becomes a limit that', () => {
  const pay: AuthorizationDetail = {
    type: 'bulla',
    actions: ['orders.pay'],
    resources: [{ type: 'Team', id: 'emea' }],
    limits: { amount: 100 },
  };
  const read: AuthorizationDetail = { type: 'bulla', actions: ['orders.read'] };

  test('is nothing when nothing was asked', () => {
    expect(narrowTo([])).toEqual([]);
  });
  test('lets through what was asked', () => {
    expect(decide([pay], 'orders.pay', { amount: 100 })).toBe('allow');
    expect(decide([pay, read], 'orders.read')).toBe('allow');
  });
  test.each([
    ['an action that was not asked for', () => decide([read], 'orders.pay', { amount: 1 })],
    ['more than the limit', () => decide([pay], 'orders.pay', { amount: 101 })],
    ['a resource outside', () => decide([pay], 'orders.pay', { amount: 1 }, { type: 'Order', id: '8' })],
    [
      'an action whose context has no such attribute',
      () => decide([{ ...read, limits: { amount: 1 } }], 'orders.read'),
    ],
  ])('denies %s', (_, run) => {
    expect(run()).toBe('deny');
  });
  test('validates strictly against a schema in which other actions type the attribute otherwise', () => {
    const answer = validate({ schema, policies: { staticPolicies: policiesOf([pay, read]) } });
    expect(answer).toMatchObject({ type: 'success', validationErrors: [] });
  });
  test('takes resources of several types, and validates strictly with them', () => {
    const resources = [
      { type: 'Team', id: 'emea' },
      { type: 'Order', id: '9' },
    ];
    const both: AuthorizationDetail = { ...read, resources };
    const answer = validate({ schema, policies: { staticPolicies: policiesOf([both]) } });
    expect(answer).toMatchObject({ type: 'success', validationErrors: [] });
    expect(decide([both], 'orders.read')).toBe('allow');
    expect(decide([both], 'orders.read', {}, { type: 'Order', id: '9' })).toBe('allow');
    expect(decide([both], 'orders.read', {}, { type: 'Order', id: '8' })).toBe('deny');
  });
  test('names an unknown action visibly: validation fails', () => {
    const answer = validate({
      schema,
      policies: { staticPolicies: policiesOf([{ type: 'bulla', actions: ['orders.raed'] }]) },
    });
    expect(answer.type === 'success' && answer.validationErrors.length).toBeGreaterThan(0);
  });
  test('stays under the depth cap at its largest', () => {
    const resources = Array.from({ length: limits.maxAuthorizationTypes }, (_, index) => ({
      type: `T${String(index)}`,
      id: '1',
    }));
    const largest = { ...pay, resources, limits: { a: 1, b: 2, c: 3, d: 4 } };
    const [policy] = narrowTo([largest, largest, largest, largest]);
    expect(depthOf(policy)).toBeLessThanOrEqual(limits.maxPolicyDepth);
  });
});

describe('authorization_details', () => {
  const codeOf = (value: unknown): string => {
    try {
      parseAuthorizationDetails(value);
    } catch (error) {
      if (error instanceof Refusal) return error.code;
      throw error;
    }
    return 'accepted';
  };
  const actions = ['orders.read'];

  test('are read', () => {
    const details = [
      { type: 'bulla', actions, resources: [{ type: 'Shop::Order', id: '1' }], limits: { a: 1 } },
    ];
    expect(parseAuthorizationDetails(details)).toEqual(details);
  });
  test.each([
    ['no list', {}],
    ['an empty list', []],
    ['too many', Array.from({ length: 5 }, () => ({ type: 'bulla', actions }))],
    ['another type', [{ type: 'payment_initiation', actions }]],
    ['an unknown member', [{ type: 'bulla', actions, locations: ['x'] }]],
    ['no action', [{ type: 'bulla', actions: [] }]],
    ['an action that is no string', [{ type: 'bulla', actions: [1] }]],
    [
      'resources of five types',
      [{ type: 'bulla', actions, resources: ['A', 'B', 'C', 'D', 'E'].map((type) => ({ type, id: '1' })) }],
    ],
    ['a resource with an attribute', [{ type: 'bulla', actions, resources: [{ type: 'A', id: '1', x: 1 }] }]],
    ['a resource type that is no type', [{ type: 'bulla', actions, resources: [{ type: 'A"', id: '1' }] }]],
    ['a fraction', [{ type: 'bulla', actions, limits: { a: 1.5 } }]],
    ['a strange attribute', [{ type: 'bulla', actions, limits: { 'a b': 1 } }]],
    ['empty limits', [{ type: 'bulla', actions, limits: {} }]],
    ['null', null],
  ])('with %s are refused', (_, value) => {
    expect(codeOf(value)).toBe('authorization_details_invalid');
  });
});
