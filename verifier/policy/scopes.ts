import type { EntityJson, PolicyJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import type { Labelled } from './slice.ts';

/** The two entities whose ancestors a scope may ask about. */
export interface Pair {
  readonly principal: EntityJson;
  readonly resource: EntityJson;
}

/** One policy of an action, ready to be settled for many requests. */
export interface Scoped {
  /** What `principal in` and `resource in` of the scope name, if they do. */
  readonly principalIn: TypeAndId | undefined;
  readonly resourceIn: TypeAndId | undefined;
  /** The policy without these two tests. */
  readonly settled: Labelled;
}

/**
 * Takes `in` out of a policy's scope. A scope is a conjunction of tests that cannot err, so a policy whose `in` does not
 * hold cannot apply, and of one whose `in` holds the rest decides. Answering `in` here saves Cedar the entities.
 */
export function takeOutScopes(labelled: Labelled): Scoped {
  const { policy } = labelled;
  const principalIn = insideOf(policy.principal);
  const resourceIn = insideOf(policy.resource);
  const settled: PolicyJson = {
    ...policy,
    principal: principalIn === undefined ? policy.principal : withoutIn(policy.principal),
    resource: resourceIn === undefined ? policy.resource : withoutIn(policy.resource),
  };
  return { principalIn, resourceIn, settled: { ...labelled, policy: settled } };
}

/** Which of these policies' `in` hold: one character each, so that equal answers share a slice. */
export function settleScopes(scoped: readonly Scoped[], pair: Pair): string {
  let answer = '';
  for (const { principalIn, resourceIn } of scoped) {
    answer += isIn(pair.principal, principalIn) && isIn(pair.resource, resourceIn) ? '1' : '0';
  }
  return answer;
}

/** Cedar's `in`: the entity itself, or one of its ancestors. `parents` holds every ancestor, direct or not. */
function isIn({ uid, parents }: EntityJson, group: TypeAndId | undefined): boolean {
  return (
    group === undefined ||
    isSame(uid as TypeAndId, group) ||
    parents.some((parent) => isSame(parent as TypeAndId, group))
  );
}

function isSame(one: TypeAndId, other: TypeAndId): boolean {
  return one.id === other.id && one.type === other.type;
}

function insideOf(scope: PolicyJson['principal']): TypeAndId | undefined {
  const inside = scope.op === 'in' ? scope : scope.op === 'is' ? scope.in : undefined;
  if (inside === undefined || !('entity' in inside)) return undefined;
  return '__entity' in inside.entity ? inside.entity.__entity : inside.entity;
}

function withoutIn(scope: PolicyJson['principal']): PolicyJson['principal'] {
  return scope.op === 'is' ? { op: 'is', entity_type: scope.entity_type } : { op: 'All' };
}
