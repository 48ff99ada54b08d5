import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { Expression } from './est.ts';
import { type ActionModel, type SchemaModel, type Type, uidKey } from './schema.ts';

/** What a list of policies may look at. Whatever is not listed cannot change their outcome. */
export interface Reads {
  /** Top-level context attributes; null for all. */
  context: Set<string> | null;
  /** Attributes or ancestors of the principal (not merely its uid). */
  principal: boolean;
  /** Uids that the principal's ancestors are compared with; null for any. */
  groups: Set<string> | null;
  resource: boolean;
  /**
   * Entity types whose entities are looked into other than through `principal` and `resource` themselves
   * (`resource.owner.team`, `context.approver in …`); null for any type.
   */
  others: Set<string> | null;
  /** Uids of entities looked into by name (`User::"alice".team`). */
  readonly literals: Set<string>;
  /** Uids of actions mentioned, as keys. */
  readonly actions: Set<string>;
}

/** Whether policies look into entities other than through `principal` and `resource` themselves. */
export function isFollowed(reads: Reads): boolean {
  return reads.others === null || reads.others.size > 0;
}

interface Scope {
  readonly schema: SchemaModel;
  readonly action: ActionModel;
  readonly reads: Reads;
}

/**
 * Computes, conservatively, what policies may look at when one action is asked for. Where an expression cannot be
 * typed from the schema, everything counts as read.
 */
export function findReads(schema: SchemaModel, action: ActionModel, policies: readonly PolicyJson[]): Reads {
  const reads: Reads = {
    context: new Set(),
    principal: false,
    groups: new Set(),
    resource: false,
    others: new Set(),
    literals: new Set(),
    actions: new Set(),
  };
  const scope = { schema, action, reads };
  for (const policy of policies) {
    const group = groupOf(policy.principal);
    if (group !== undefined) {
      reads.principal = true;
      reads.groups?.add(group);
    }
    if (groupOf(policy.resource) !== undefined) reads.resource = true;
    for (const condition of policy.conditions) visit(scope, condition.body);
  }
  return reads;
}

/** The uid that a scope tests membership in, if it does. */
function groupOf(scope: PolicyJson['principal']): string | undefined {
  const inside = scope.op === 'in' ? scope : scope.op === 'is' ? scope.in : undefined;
  if (inside === undefined || !('entity' in inside)) return undefined;
  return uidKey('__entity' in inside.entity ? inside.entity.__entity : inside.entity);
}

function noteGroups(scope: Scope, left: Expression | undefined, group: Expression | undefined): void {
  if (left?.['Var'] !== 'principal' || group === undefined) return;
  for (const item of (group['Set'] as readonly Expression[] | undefined) ?? [group]) {
    const value = item['Value'];
    if (typeof value === 'object' && value !== null) scope.reads.groups?.add(literalKey(value));
    else scope.reads.groups = null;
  }
}

type Operands = Readonly<Record<string, Expression>>;

function single(node: Expression): [operator: string, operands: unknown] {
  for (const operator in node) return [operator, node[operator]];
  return ['', undefined];
}

function visit(scope: Scope, node: Expression): void {
  const [operator, operands] = single(node);
  switch (operator) {
    case 'Value':
      noteAction(scope, operands);
      return;
    case 'Var':
      if (operands === 'context') scope.reads.context = null;
      return;
    case '.':
    case 'has':
      visitAttribute(scope, operands as { left: Expression; attr: string | string[] });
      return;
    case 'in':
      lookInto(scope, (operands as Operands)['left']);
      noteGroups(scope, (operands as Operands)['left'], (operands as Operands)['right']);
      break;
    case 'is':
      if ((operands as Operands)['in'] !== undefined) lookInto(scope, (operands as Operands)['left']);
      noteGroups(scope, (operands as Operands)['left'], (operands as Operands)['in']);
      visitIfPresent(scope, (operands as Operands)['left']);
      visitIfPresent(scope, (operands as Operands)['in']);
      return;
    case 'like':
      visitIfPresent(scope, (operands as Operands)['left']);
      return;
    default:
      break;
  }
  for (const child of Object.values(operands as Operands)) visit(scope, child);
}

function visitIfPresent(scope: Scope, node: Expression | undefined): void {
  if (node !== undefined) visit(scope, node);
}

function visitAttribute(scope: Scope, node: { left: Expression; attr: string | string[] }): void {
  const path = typeof node.attr === 'string' ? [node.attr] : node.attr;
  let left = node.left;
  for (const attr of path) {
    lookInto(scope, left);
    left = { '.': { left, attr } };
  }
  if (node.left['Var'] === 'context') {
    if (path[0] !== undefined) scope.reads.context?.add(path[0]);
    return;
  }
  visit(scope, node.left);
}

/** Notes that attributes or ancestors of whatever `node` evaluates to are read, if it is an entity. */
function lookInto(scope: Scope, node: Expression | undefined): void {
  if (node === undefined) return;
  const { reads } = scope;
  if (node['Var'] === 'principal') reads.principal = true;
  else if (node['Var'] === 'resource') reads.resource = true;
  // Actions and their groups always come with the schema.
  else if (node['Var'] === 'action' || isAction(scope, node)) return;
  else {
    const types = typesOf(scope, node);
    if (types === null) reads.others = null;
    for (const type of types ?? []) {
      if (type.kind === 'Entity') reads.others?.add(type.name);
    }
    if (types !== null && types.length > 0 && node['Value'] !== undefined) {
      reads.literals.add(literalKey(node['Value']));
    }
  }
}

/** Every type the expression may have; null where it is not known. */
function typesOf(scope: Scope, node: Expression): readonly Type[] | null {
  const [operator, operands] = single(node);
  const parties = scope.action.appliesTo;
  if (operator === 'Value') return literalType(operands);
  if (operator === 'Var' && parties !== null) {
    if (operands === 'context') return [parties.context];
    if (operands === 'principal') return parties.principals.map(entityType);
    if (operands === 'resource') return parties.resources.map(entityType);
  }
  if (operator !== '.') return null;
  const { left, attr } = operands as { left: Expression; attr: string };
  const types: Type[] = [];
  for (const base of typesOf(scope, left) ?? [null]) {
    if (base === null) return null;
    const record = base.kind === 'Entity' ? scope.schema.entities.get(base.name)?.shape : base;
    // An attribute that the type does not have is an error when evaluated, and an error is a deny.
    if (record?.kind === 'Record') {
      const attribute = record.attributes.get(attr);
      if (attribute !== undefined) types.push(attribute.type);
    }
  }
  return types;
}

function entityType(name: string): Type {
  return { kind: 'Entity', name };
}

function literalType(value: unknown): readonly Type[] {
  if (typeof value !== 'object' || value === null) return [];
  return [entityType((value as { __entity: { type: string } }).__entity.type)];
}

function literalKey(value: unknown): string {
  return uidKey((value as { __entity: { type: string; id: string } }).__entity);
}

function isAction(scope: Scope, node: Expression): boolean {
  const value = node['Value'];
  return typeof value === 'object' && value !== null && scope.schema.actions.has(literalKey(value));
}

function noteAction(scope: Scope, value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  const key = literalKey(value);
  if (scope.schema.actions.has(key)) scope.reads.actions.add(key);
}
