import type { Access, Resource } from '@bulla/verifier';
import type { PolicySetDocument } from '@bulla/verifier/policy';

type Policy = PolicySetDocument['policies'][string];
type Condition = Policy['conditions'][number];

/**
 * How many entities Cedar is given. 0: policies ask for groups in their scopes and read the context. 1: they read an
 * attribute of the principal too. 3 and 20: they follow a reference of the resource as well.
 */
export type EntityCount = 0 | 1 | 3 | 20;

export interface PolicyShape {
  readonly policies: number;
  readonly entities: EntityCount;
  /** Every policy covers the action that is asked for. Default: as in an API with several actions. */
  readonly allCover?: boolean;
}

export const askedAction = 'document.read';

const any = { op: 'All' } as const;
const text = { type: 'String' } as const;
const long = { type: 'Long' } as const;

/**
 * A set of this many policies: two account-wide `forbid`s (from three policies on), then two `permit`s for each action,
 * of which one action is asked for. So of 10 policies 4 can bear on a decision, and of 100 also 4.
 */
export function policySet(shape: PolicyShape): PolicySetDocument {
  const policies: Record<string, Policy> = {};
  const actions = new Set([askedAction]);
  if (shape.policies > 2) {
    policies['logged-keys-only'] = forbid('when', is('key', 'unlogged'), 'keys outside the log are refused');
    policies['short-chains'] = forbid(
      'unless',
      { '<=': { left: context('depth'), right: { Value: 15 } } },
      'handed on too often',
    );
  }
  for (let count = Object.keys(policies).length; count < shape.policies; count += 1) {
    const pair = Math.floor((count - 2) / 2);
    const action = shape.allCover === true || pair < 1 ? askedAction : `document.action${String(pair)}`;
    actions.add(action);
    policies[`permit-${String(count)}`] = permit(action, count, shape.entities);
  }
  return { version: 1, policies, schema: schemaOf([...actions]) };
}

function permit(action: string, count: number, entities: EntityCount): Policy {
  const staff = { op: 'in', entity: { type: 'Group', id: 'staff' } } as const;
  const auditors = { op: 'in', entity: { type: 'Group', id: `auditors-${String(count)}` } } as const;
  const conditions: Condition[] = [];
  if (entities > 0) conditions.push({ kind: 'when', body: ofTeam('blue') });
  if (entities > 1) {
    const folder = { '.': { left: { Var: 'resource' }, attr: 'folder' } } as const;
    conditions.push({ kind: 'unless', body: { '.': { left: folder, attr: 'closed' } } });
  }
  return {
    effect: 'permit',
    principal: count % 2 === 0 ? staff : auditors,
    action: { op: '==', entity: { type: 'Action', id: action } },
    resource: any,
    conditions,
    annotations: { reason: 'staff work with documents' },
  };
}

function forbid(kind: 'when' | 'unless', body: Condition['body'], reason: string): Policy {
  return {
    effect: 'forbid',
    principal: any,
    action: any,
    resource: any,
    conditions: [{ kind, body }],
    annotations: { reason },
  };
}

function context(attr: string): Condition['body'] {
  return { '.': { left: { Var: 'context' }, attr } };
}

function is(attr: string, value: string): Condition['body'] {
  return { '==': { left: context(attr), right: { Value: value } } };
}

function ofTeam(team: string): Condition['body'] {
  const principal = { Var: 'principal' } as const;
  return {
    '&&': {
      left: { has: { left: principal, attr: 'team' } },
      right: { '==': { left: { '.': { left: principal, attr: 'team' } }, right: { Value: team } } },
    },
  };
}

/** Every action declares all that the verifier can say of a request. */
function schemaOf(actions: readonly string[]): PolicySetDocument['schema'] {
  const reserved = {
    type: 'Record',
    attributes: {
      agent: {
        type: 'Record',
        attributes: { id: text, kind: text, registeredBy: text },
        required: false,
      },
      key: text,
      depth: long,
      actors: { type: 'Set', element: text },
      time: {
        type: 'Record',
        attributes: { epochSeconds: long, hour: long, minute: long, weekday: long },
      },
      request: { type: 'Record', attributes: { method: text, path: text } },
    },
  } as const;
  const appliesTo = { principalTypes: ['User'], resourceTypes: ['Document'], context: reserved };
  return {
    '': {
      entityTypes: {
        User: {
          memberOfTypes: ['Group'],
          shape: { type: 'Record', attributes: { team: { ...text, required: false } } },
        },
        Group: {},
        Folder: { shape: { type: 'Record', attributes: { closed: { type: 'Boolean' } } } },
        Document: {
          memberOfTypes: ['Folder'],
          shape: {
            type: 'Record',
            attributes: { folder: { type: 'Entity', name: 'Folder', required: false } },
          },
        },
      },
      actions: {
        any: {},
        ...Object.fromEntries(actions.map((id) => [id, { memberOf: [{ id: 'any' }], appliesTo }])),
      },
    },
  };
}

/** What the route says: the document, the folder it is in, and with 3 or 20 entities the folders that policies look into. */
export function accessTo(entities: EntityCount, folder?: string, id = '1'): Access {
  return { action: askedAction, resource: () => documentWith(entities, folder, id) };
}

export function documentWith(entities: EntityCount, folder: string | undefined, id: string): Resource {
  const document = {
    type: 'Document',
    id,
    ...(folder !== undefined && { ancestors: [folderOf(folder)] }),
  };
  if (entities < 2) return document;
  const folders = Array.from({ length: entities - 2 }, (_, index) => folderOf(String(index)));
  return { ...document, attributes: { folder: { type: 'Folder', id: '0' } }, related: folders };
}

function folderOf(id: string): Resource {
  return { type: 'Folder', id, attributes: { closed: false } };
}
