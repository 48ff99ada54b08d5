import type { PolicyJson, SchemaJson } from '@cedar-policy/cedar-wasm/nodejs';
import { canonicalJson } from '../json.ts';
import { sha256Base64url } from './digest.ts';
import { findReads, isFollowed, type Reads } from './reads.ts';
import {
  type ActionModel,
  actionClosure,
  type RecordType,
  type SchemaModel,
  type Type,
  uidKey,
  writeSchema,
} from './schema.ts';

/** A policy with the name under which it is reported. */
export interface Labelled {
  readonly policy: PolicyJson;
  readonly policyId: string;
  /** Whose limit it is; absent in the admin set. */
  readonly source?: string;
}

/** The policies that can bear on one action, and as much of the schema as they can see. */
export interface Slice {
  /** Stands for exactly these policies under exactly this schema. */
  readonly key: string;
  readonly action: { readonly type: string; readonly id: string };
  /** Under ids of the engine's own. */
  readonly policies: Readonly<Record<string, PolicyJson>>;
  readonly labels: ReadonlyMap<string, Labelled>;
  readonly reads: Reads;
  readonly schema: SchemaJson<string>;
  readonly schemaKey: string;
}

const permitAll: PolicyJson = {
  effect: 'permit',
  principal: { op: 'All' },
  action: { op: 'All' },
  resource: { op: 'All' },
  conditions: [],
};

/** Keeps the policies whose action scope covers the action: the others cannot apply. */
export function selectPolicies(
  schema: SchemaModel,
  action: ActionModel,
  policies: readonly Labelled[],
): readonly Labelled[] {
  const covered = actionClosure(schema, [uidKey(action)]);
  return policies.filter(({ policy }) => {
    const scope = policy.action;
    if (scope.op === 'All') return true;
    const uids = 'entities' in scope ? scope.entities : 'entity' in scope ? [scope.entity] : [];
    return uids.some((uid) => {
      const key = uidKey('__entity' in uid ? uid.__entity : uid);
      return scope.op === '==' ? key === uidKey(action) : covered.has(key);
    });
  });
}

/**
 * Builds a slice of policies that {@link selectPolicies} selected.
 *
 * @param base prefix of the key: digest of the whole set the policies come from, and the layer.
 */
export function buildSlice(
  base: string,
  schema: SchemaModel,
  action: ActionModel,
  selected: readonly Labelled[],
  withPermitAll: boolean,
): Slice {
  const labels = new Map<string, Labelled>();
  const policies = Object.create(null) as Record<string, PolicyJson>;
  for (const [index, labelled] of selected.entries()) {
    const id = `p${String(index)}`;
    labels.set(id, labelled);
    policies[id] = labelled.policy;
  }
  if (withPermitAll) policies['all'] = permitAll;
  // INVARIANT: count in = count out; a policy lost here could be a forbid.
  if (Object.keys(policies).length !== selected.length + Number(withPermitAll)) {
    throw new Error('policies were lost while slicing');
  }
  const reads = findReads(
    schema,
    action,
    selected.map(({ policy }) => policy),
  );
  const reduced = reduceSchema(schema, action, reads);
  return {
    key: `${base}\n${uidKey(action)}`,
    action: { type: action.type, id: action.id },
    policies,
    labels,
    reads,
    schema: reduced,
    schemaKey: sha256Base64url(canonicalJson(reduced)),
  };
}

function reduceSchema(schema: SchemaModel, action: ActionModel, reads: Reads): SchemaJson<string> {
  const all = action.appliesTo?.context.attributes ?? new Map<string, never>();
  const context: RecordType = {
    kind: 'Record',
    attributes: new Map([...all].filter(([name]) => reads.context?.has(name) ?? true)),
  };
  const { principals, resources } = action.appliesTo ?? { principals: [], resources: [] };
  const entities = new Set<string>([...principals, ...resources, ...typesIn(context)]);
  const bare = new Set(isFollowed(reads) || reads.principal || reads.resource ? [] : entities);
  for (const name of entities) {
    const entity = bare.has(name) ? undefined : schema.entities.get(name);
    if (entity === undefined) continue;
    for (const other of [...entity.memberOf, ...typesIn(entity.shape)]) entities.add(other);
  }
  const actions = actionClosure(schema, [uidKey(action), ...reads.actions]);
  return writeSchema(schema, { entities, bare, actions, asked: action, context });
}

function typesIn(type: Type): readonly string[] {
  if (type.kind === 'Entity') return [type.name];
  if (type.kind === 'Set') return typesIn(type.element);
  if (type.kind !== 'Record') return [];
  return [...type.attributes.values()].flatMap((attribute) => typesIn(attribute.type));
}
