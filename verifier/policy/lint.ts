import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { reservedContextNames } from './context.ts';
import { readPolicySet } from './digest.ts';
import type { PolicySetDocument } from './document.ts';
import type { Expression } from './est.ts';
import { reservedTypeProblems } from './reserved-types.ts';

/** Something that is valid and not wise. */
export interface Finding {
  readonly rule:
    | 'delegable_restriction'
    | 'arithmetic'
    | 'extension_constructor'
    | 'reserved_type'
    | 'assurance_annotation';
  /** Null where the finding is about the schema. */
  readonly policyId: string | null;
  readonly message: string;
}

/** What a service key may change without an admin. */
export interface Delegable {
  /** Groups whose members it may add or remove, and every group that one of these is in. */
  readonly groups: readonly string[];
  /** Attributes of people. */
  readonly attributes: readonly string[];
}

/**
 * Looks for what validates and is still dangerous:
 *
 * - `delegable_restriction`: a `forbid`, an `unless` or a negation that stands on something a service key may write.
 *   Whoever holds that key silences it by changing a membership or an attribute.
 * - `arithmetic` on values that a caller or shared data supplies: it can overflow, and an error denies everyone
 *   that the policy covers.
 * - `extension_constructor` on such values, for the same reason: declare the attribute as `ipaddr` or `decimal`.
 * - `assurance_annotation`: `@assurance` on a `forbid`, or with another value than `delegate`: it has no effect.
 * - `reserved_type`: a reserved context attribute declared with a type that the verifier cannot fill.
 *
 * @throws {Refusal} `policy_invalid`, `policy_too_deep`, `policy_set_too_large`.
 */
export function lintPolicySet(given: PolicySetDocument, delegable: Delegable): readonly Finding[] {
  const { document, schema } = readPolicySet(given);
  const findings: Finding[] = reservedTypeProblems(schema).map((message) => ({
    rule: 'reserved_type',
    policyId: null,
    message,
  }));
  for (const [policyId, policy] of Object.entries(document.policies)) {
    const linter = new Linter(policyId, delegable);
    linter.policy(policy);
    findings.push(...linter.findings);
  }
  return findings;
}

const constructors = new Set(['ip', 'decimal', 'datetime', 'duration']);
const arithmetic = new Set(['+', '-', '*', 'neg']);

class Linter {
  readonly findings: Finding[] = [];
  readonly #policyId: string;
  readonly #groups: ReadonlySet<string>;
  readonly #attributes: ReadonlySet<string>;

  constructor(policyId: string, delegable: Delegable) {
    this.#policyId = policyId;
    this.#groups = new Set(delegable.groups);
    this.#attributes = new Set(delegable.attributes);
  }

  policy(policy: PolicyJson): void {
    const restricts = policy.effect === 'forbid';
    const assurance = policy.annotations?.['assurance'];
    if (assurance !== undefined && (restricts || assurance !== 'delegate')) {
      this.#add('assurance_annotation', '`@assurance` has no effect but as "delegate" on a permit');
    }
    if (restricts && isDelegable(policy.principal, this.#groups)) this.#restriction('its scope');
    for (const { kind, body } of policy.conditions) this.#visit(body, restricts || kind === 'unless');
  }

  /** @param restricts whether making this expression false, or true, may lift a restriction. */
  #visit(node: Expression, restricts: boolean): void {
    const [operator, operands] = Object.entries(node)[0] ?? ['', undefined];
    if (operator === 'Value' || operator === 'Var') return;
    const children = childrenOf(operator, operands);
    if (arithmetic.has(operator) && children.some(isSupplied)) {
      this.#add('arithmetic', `\`${operator}\` on a supplied value can overflow`);
    }
    if (constructors.has(operator) && children.some((child) => child['Value'] === undefined)) {
      this.#add('extension_constructor', `\`${operator}()\` on a supplied value can fail`);
    }
    if (restricts) this.#restrictionIn(operator, operands);
    const negates = operator === '!' || operator === '!=' || (operator === '==' && children.some(isBoolean));
    for (const [index, child] of children.entries()) {
      this.#visit(child, restricts || negates || (operator === 'if-then-else' && index === 0));
    }
  }

  #restrictionIn(operator: string, operands: unknown): void {
    if (operator === '.' || operator === 'has') {
      const { left, attr } = operands as { left: Expression; attr: string | readonly string[] };
      const first = typeof attr === 'string' ? attr : (attr[0] ?? '');
      const base = left['Var'];
      if (base !== 'context' && base !== 'resource' && this.#attributes.has(first)) {
        this.#restriction(`attribute \`${first}\``);
      }
    }
    if (operator === 'in' || operator === 'is') {
      const { left, right, in: inside } = operands as Record<'left' | 'right' | 'in', Expression | undefined>;
      const group = operator === 'in' ? right : inside;
      if (group === undefined || left?.['Var'] === 'resource' || left?.['Var'] === 'action') return;
      if (this.#groups.size > 0 && mayName(group, this.#groups)) this.#restriction('a group');
    }
  }

  #restriction(what: string): void {
    this.#add('delegable_restriction', `a restriction stands on ${what} that a service key may change`);
  }

  #add(rule: Finding['rule'], message: string): void {
    const known = this.findings.some((finding) => finding.rule === rule && finding.message === message);
    if (!known) this.findings.push({ rule, policyId: this.#policyId, message });
  }
}

function childrenOf(operator: string, operands: unknown): readonly Expression[] {
  if (operator === '.' || operator === 'has' || operator === 'like') {
    return [(operands as { left: Expression }).left];
  }
  if (operator === 'is') {
    const { left, in: inside } = operands as { left: Expression; in?: Expression };
    return inside === undefined ? [left] : [left, inside];
  }
  return Object.values(operands as Readonly<Record<string, Expression>>);
}

/** The principal's scope names one of the groups. */
function isDelegable(scope: PolicyJson['principal'], groups: ReadonlySet<string>): boolean {
  const group = scope.op === 'is' ? scope.in : scope.op === 'in' ? scope : undefined;
  if (group === undefined || !('entity' in group)) return false;
  const uid = '__entity' in group.entity ? group.entity.__entity : group.entity;
  return uid.type === 'Group' && groups.has(uid.id);
}

/** False only where the expression is, for certain, other entities. */
function mayName(node: Expression, groups: ReadonlySet<string>): boolean {
  const value = node['Value'];
  if (Array.isArray(node['Set'])) return (node['Set'] as Expression[]).some((item) => mayName(item, groups));
  if (typeof value !== 'object' || value === null) return true;
  const { type, id } = (value as { __entity: { type: string; id: string } }).__entity;
  return type === 'Group' && groups.has(id);
}

/** True where any part comes from the caller or from data: everything but literals and what the verifier fills in. */
function isSupplied(node: Expression): boolean {
  const [operator, operands] = Object.entries(node)[0] ?? ['', undefined];
  if (operator === 'Value') return false;
  if (operator === 'Var') return true;
  if (operator === '.') {
    const { left, attr } = operands as { left: Expression; attr: string };
    if (left['Var'] === 'context' && reservedContextNames.has(attr)) return false;
  }
  return childrenOf(operator, operands).some(isSupplied);
}

function isBoolean(node: Expression): boolean {
  const [operator, operands] = Object.entries(node)[0] ?? ['', undefined];
  return typeof operands === 'boolean' || ['in', 'is', 'has', '!', '&&', '||', '==', '!='].includes(operator);
}
