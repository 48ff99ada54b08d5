import {
  buildContext,
  createEngine,
  type PolicySetDocument,
  type Principal,
  type Question,
  timeContext,
} from '@bulla/verifier/policy';
import { describe, expect, test } from 'vitest';

const set: PolicySetDocument = {
  version: 1,
  policies: {
    'staff-read': {
      effect: 'permit',
      principal: { op: 'in', entity: { type: 'Group', id: 'staff' } },
      action: { op: 'in', entity: { type: 'Action', id: 'reading' } },
      resource: { op: 'All' },
      conditions: [],
      annotations: { reason: 'staff may read' },
    },
    'not-secret': {
      effect: 'forbid',
      principal: { op: 'All' },
      action: { op: 'All' },
      resource: { op: 'in', entity: { type: 'Folder', id: 'secret' } },
      conditions: [],
      annotations: { reason: 'secret' },
    },
  },
  schema: {
    '': {
      entityTypes: {
        User: {
          memberOfTypes: ['Group'],
          shape: { type: 'Record', attributes: { team: { type: 'String' } } },
        },
        Group: { memberOfTypes: ['Group'] },
        Folder: { memberOfTypes: ['Folder'] },
        File: { memberOfTypes: ['Folder'] },
      },
      actions: {
        reading: {},
        list: {
          memberOf: [{ id: 'reading' }],
          appliesTo: { principalTypes: ['User'], resourceTypes: ['Folder'] },
        },
        read: {
          memberOf: [{ id: 'reading' }],
          appliesTo: {
            principalTypes: ['User'],
            resourceTypes: ['File'],
            context: {
              type: 'Record',
              attributes: {
                bytes: { type: 'Long', required: false },
                time: {
                  type: 'Record',
                  attributes: { hour: { type: 'Long' } },
                },
              },
            },
          },
        },
      },
    },
  },
};

const reserved = {
  key: 'logged',
  depth: 0,
  actors: [],
  time: timeContext(0),
  request: { method: 'GET', path: '/' },
  approvals: {},
  assurance: 'admin',
} as const;
const alice: Principal = {
  type: 'User',
  id: 'prn_alice',
  attributes: { team: 'blue' },
  parents: [{ type: 'Group', id: 'staff' }],
};
const engine = createEngine();
const loaded = engine.load(set);
const readFile = (folders: readonly string[], principal = alice): Question => ({
  principal,
  action: 'read',
  resource: { type: 'File', id: '1', ancestors: folders.map((id) => ({ type: 'Folder', id })) },
  context: buildContext(loaded, 'read', reserved, { bytes: 3 }),
});
const noLate = {
  effect: 'forbid',
  principal: { op: 'All' },
  action: { op: '==', entity: { type: 'Action', id: 'read' } },
  resource: { op: 'All' },
  conditions: [
    {
      kind: 'when',
      body: {
        '==': {
          left: { '.': { left: { '.': { left: { Var: 'context' }, attr: 'time' } }, attr: 'hour' } },
          right: { Value: 0 },
        },
      },
    },
  ],
} as const;

describe('the admin set', () => {
  test('allows, and names the policy and its reason', () => {
    expect(engine.decide(loaded, readFile(['public']))).toEqual({
      allowed: true,
      reasons: [{ layer: 'admin', policyId: 'staff-read', reason: 'staff may read' }],
      errors: [],
    });
  });
  test('denies by a forbid, and names it', () => {
    expect(engine.decide(loaded, readFile(['deep', 'secret']))).toEqual({
      allowed: false,
      reasons: [{ layer: 'admin', policyId: 'not-secret', reason: 'secret' }],
      errors: [],
    });
  });
  test('denies where nothing permits', () => {
    expect(engine.decide(loaded, readFile([], { ...alice, parents: [] }))).toEqual({
      allowed: false,
      reasons: [],
      errors: [],
    });
  });
});

describe('the limits', () => {
  test('deny under a name of ours and without quoting the policy', () => {
    const narrow = engine.validateNarrow(loaded, 'block-1', [
      { ...noLate, annotations: { id: 'staff-read', reason: 'ask bob' } },
    ]);
    expect(engine.limits(loaded, [narrow], readFile(['public']))).toEqual({
      allowed: false,
      reasons: [{ layer: 'limits', policyId: 'block-1#0' }],
      errors: [],
    });
  });
  test('allow where none covers the action', () => {
    const narrow = engine.validateNarrow(loaded, 'block-1', [noLate]);
    const list: Question = {
      ...readFile([]),
      action: 'list',
      resource: { type: 'Folder', id: 'x' },
      context: buildContext(loaded, 'list', reserved),
    };
    expect(engine.limits(loaded, [narrow], list).allowed).toBe(true);
  });
});
