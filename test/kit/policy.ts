import type { Resource } from '@bulla/verifier';
import {
  buildContext,
  type Cedar,
  type Engine,
  instantiateCedar,
  type LoadedSet,
  type PolicySetDocument,
  type Principal,
  type Question,
  type ReservedContext,
  timeContext,
} from '@bulla/verifier/policy';

export type Policy = PolicySetDocument['policies'][string];
type Expression = Policy['conditions'][number]['body'];

const everything = { principal: { op: 'All' }, action: { op: 'All' }, resource: { op: 'All' } } as const;

/** A policy about everybody and everything, less what `scope` says. */
export function policy(
  effect: Policy['effect'],
  scope: Partial<Policy> = {},
  when: readonly Expression[] = [],
): Policy {
  return {
    effect,
    ...everything,
    conditions: when.map((body) => ({ kind: 'when', body })),
    ...scope,
  };
}

export const literal = (value: boolean | number | string): Expression => ({ Value: value });
export const attribute = (left: Expression, ...path: readonly string[]): Expression =>
  path.reduce<Expression>((base, attr) => ({ '.': { left: base, attr } }), left);
export const fromContext = (...path: readonly string[]): Expression => attribute({ Var: 'context' }, ...path);
export const entity = (type: string, id: string): Expression => ({ Value: { __entity: { type, id } } });

/** `files.read` and `files.write` on files in folders; people in groups; what may be read is in the context. */
export const schema: PolicySetDocument['schema'] = {
  '': {
    entityTypes: {
      Group: { memberOfTypes: ['Group'] },
      User: {
        memberOfTypes: ['Group'],
        shape: { type: 'Record', attributes: { team: { type: 'String', required: false } } },
      },
      Folder: { memberOfTypes: ['Folder'] },
      File: {
        memberOfTypes: ['Folder'],
        shape: {
          type: 'Record',
          attributes: {
            owner: { type: 'Entity', name: 'User', required: false },
            readers: { type: 'Set', element: { type: 'Entity', name: 'Group' }, required: false },
            secret: { type: 'Boolean', required: false },
          },
        },
      },
    },
    actions: Object.fromEntries([
      ['all', {}],
      ['writing', { memberOf: [{ id: 'all' }] }],
      ...[
        ['files.read', 'all'],
        ['files.write', 'writing'],
      ].map(([id, group]) => [
        id,
        {
          memberOf: [{ id: group }],
          appliesTo: {
            principalTypes: ['User'],
            resourceTypes: ['File', 'User'],
            context: {
              type: 'Record',
              attributes: {
                amount: { type: 'Long', required: false },
                from: { type: 'Extension', name: 'ipaddr', required: false },
                approver: { type: 'Entity', name: 'User', required: false },
                tags: { type: 'Set', element: { type: 'String' }, required: false },
                detail: {
                  type: 'Record',
                  attributes: { note: { type: 'String' } },
                  required: false,
                },
                agent: {
                  type: 'Record',
                  attributes: { id: { type: 'String' } },
                  required: false,
                },
              },
            },
          },
        },
      ]),
    ]),
  },
};

export const setOf = (policies: Readonly<Record<string, Policy>>): PolicySetDocument => ({
  version: 1,
  policies,
  schema,
});

export const reserved: ReservedContext = {
  key: 'logged',
  depth: 0,
  actors: [],
  time: timeContext(1_800_000_000),
  request: { method: 'GET', path: '/' },
  approvals: {},
  assurance: 'admin',
};

export const alice: Principal = {
  type: 'User',
  id: 'alice',
  attributes: { team: 'blue' },
  parents: [{ type: 'Group', id: 'staff' }],
};

export const plan: Resource = { type: 'File', id: 'plan', ancestors: [{ type: 'Folder', id: 'public' }] };

export interface Asking {
  readonly action?: string;
  readonly principal?: Principal;
  readonly resource?: Resource;
  readonly context?: Readonly<Record<string, unknown>>;
}

/** Alice writes her plan, unless told otherwise. */
export function question(set: LoadedSet, asking: Asking = {}): Question {
  const action = asking.action ?? 'files.write';
  return {
    principal: asking.principal ?? alice,
    action,
    resource: asking.resource ?? plan,
    context: buildContext(set, action, reserved, asking.context),
  };
}

/** What the admin set of these policies answers: `allow`, `deny`, or the code of what went wrong. */
export function ask(engine: Engine, policies: Readonly<Record<string, Policy>>, asking: Asking = {}): string {
  const set = engine.load(setOf(policies));
  const { allowed, errors } = engine.decide(set, question(set, asking));
  return errors[0]?.code ?? (allowed ? 'allow' : 'deny');
}

/** What these limits answer under an admin set that permits everything. */
export function askLimits(engine: Engine, policies: readonly unknown[], asking: Asking = {}): string {
  const set = engine.load(setOf({ any: policy('permit') }));
  const narrow = engine.validateNarrow(set, 'block', policies);
  const { allowed, errors } = engine.limits(set, [narrow], question(set, asking));
  return errors[0]?.code ?? (allowed ? 'allow' : 'deny');
}

/** A real Cedar whose calls pass through `change` first: it may watch, answer itself, or throw. */
export function watchedCedar(change: (real: Cedar) => Partial<Cedar>): Cedar {
  const real = instantiateCedar();
  return { ...real, ...change(real) };
}
