import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { Refusal } from '../errors.ts';
import { limits } from '../limits.ts';
import { exactMembers, readArray, readName, readObject, readText } from './read.ts';

/** Arguments that each function of Cedar's extensions takes, the receiver of a method included. */
const extensionArity: Readonly<Record<string, number>> = {
  ip: 1,
  decimal: 1,
  datetime: 1,
  duration: 1,
  isIpv4: 1,
  isIpv6: 1,
  isLoopback: 1,
  isMulticast: 1,
  isInRange: 2,
  lessThan: 2,
  lessThanOrEqual: 2,
  greaterThan: 2,
  greaterThanOrEqual: 2,
  offset: 2,
  durationSince: 2,
  toDate: 1,
  toTime: 1,
  toMilliseconds: 1,
  toSeconds: 1,
  toMinutes: 1,
  toHours: 1,
  toDays: 1,
};

const binary = new Set('== != in < <= > >= && || + - * contains containsAll containsAny'.split(' '));
const unary = new Set(['!', 'neg', 'isEmpty']);
const variables = new Set(['principal', 'action', 'resource', 'context']);

/** An expression of {@link rebuildPolicy}'s making: exactly one member, named for the operator. */
export type Expression = Readonly<Record<string, unknown>>;

/**
 * Copies one policy in EST JSON, member by member, into objects without a prototype. What comes out is what was
 * checked: no getter, `toJSON`, inherited member or unknown operator of the input survives.
 *
 * Refused beside what Cedar itself refuses: slots (templates), nesting over `maxPolicyDepth`, tags (no entity that
 * we pass has any, so they would silently read as absent), integers that are not safe, and literal values other
 * than booleans, integers, strings and entities.
 *
 * Does NOT validate against a schema.
 *
 * @throws {Refusal} `policy_invalid`, `policy_too_deep`.
 */
export function rebuildPolicy(given: unknown): PolicyJson {
  const policy = readObject(given, 'policy');
  exactMembers(policy, ['effect', 'principal', 'action', 'resource', 'conditions'], ['annotations']);
  const effect = policy['effect'];
  if (effect !== 'permit' && effect !== 'forbid') {
    throw new Refusal('policy_invalid', 'effect is neither `permit` nor `forbid`');
  }
  return bare({
    effect,
    principal: partyScope(policy['principal']),
    action: actionScope(policy['action']),
    resource: partyScope(policy['resource']),
    conditions: Array.from(readArray(policy['conditions'], 'conditions'), clause),
    ...(policy['annotations'] === undefined ? {} : { annotations: annotations(policy['annotations']) }),
  }) as unknown as PolicyJson;
}

function bare(members: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.assign(Object.create(null), members) as Record<string, unknown>;
}

function clause(given: unknown): unknown {
  const object = readObject(given, 'condition');
  exactMembers(object, ['kind', 'body']);
  if (object['kind'] !== 'when' && object['kind'] !== 'unless') {
    throw new Refusal('policy_invalid', 'condition is neither `when` nor `unless`');
  }
  return bare({ kind: object['kind'], body: expression(object['body'], 1) });
}

function annotations(given: unknown): unknown {
  const copy = bare({});
  for (const [name, value] of Object.entries(readObject(given, 'annotations'))) {
    if (!/^[A-Za-z_]\w{0,63}$/u.test(name)) throw new Refusal('policy_invalid', 'annotation name');
    // Shown to people and to programs that read text: no control characters, no line breaks.
    if (typeof value !== 'string' || value.length > limits.maxAnnotationLength || /\p{Cc}/u.test(value)) {
      throw new Refusal('policy_invalid', 'annotation is not a short printable text');
    }
    copy[name] = value;
  }
  return copy;
}

function entity(given: unknown): unknown {
  let object = readObject(given, 'entity');
  if (Object.hasOwn(object, '__entity')) {
    exactMembers(object, ['__entity']);
    object = readObject(object['__entity'], 'entity');
  }
  exactMembers(object, ['type', 'id']);
  return bare({ type: readName(object['type'], 'entity type'), id: readText(object['id'], 'entity id') });
}

function partyScope(given: unknown): unknown {
  const scope = readObject(given, 'scope');
  switch (scope['op']) {
    case 'All':
      exactMembers(scope, ['op']);
      return bare({ op: 'All' });
    case '==':
    case 'in':
      exactMembers(scope, ['op', 'entity']);
      return bare({ op: scope['op'], entity: entity(scope['entity']) });
    case 'is': {
      exactMembers(scope, ['op', 'entity_type'], ['in']);
      const is = { op: 'is', entity_type: readName(scope['entity_type'], 'entity type') };
      if (scope['in'] === undefined) return bare(is);
      const inside = readObject(scope['in'], 'scope');
      exactMembers(inside, ['entity']);
      return bare({ ...is, in: bare({ entity: entity(inside['entity']) }) });
    }
    default:
      throw new Refusal('policy_invalid', 'unknown scope operator');
  }
}

function actionScope(given: unknown): unknown {
  const scope = readObject(given, 'scope');
  if (scope['op'] === 'in' && scope['entities'] !== undefined) {
    exactMembers(scope, ['op', 'entities']);
    return bare({ op: 'in', entities: Array.from(readArray(scope['entities'], 'entities'), entity) });
  }
  if (scope['op'] === 'is') throw new Refusal('policy_invalid', 'unknown scope operator');
  return partyScope(scope);
}

/** @param depth of this node; the body of a condition has depth 1. */
function expression(given: unknown, depth: number): Expression {
  if (depth > limits.maxPolicyDepth) throw new Refusal('policy_too_deep', 'policy is nested too deeply');
  const node = readObject(given, 'expression');
  const [operator, ...more] = Object.keys(node);
  if (operator === undefined || more.length > 0) {
    throw new Refusal('policy_invalid', 'expression does not have exactly one member');
  }
  return bare({ [operator]: operands(operator, node[operator], depth + 1) });
}

function operands(operator: string, given: unknown, depth: number): unknown {
  if (operator === 'Value') return literal(given);
  if (operator === 'Var') {
    if (typeof given !== 'string' || !variables.has(given)) {
      throw new Refusal('policy_invalid', 'unknown variable');
    }
    return given;
  }
  if (operator === 'Set') return Array.from(readArray(given, 'set'), (item) => expression(item, depth));
  if (operator === 'Record') return recordOf(readObject(given, 'record'), depth);
  if (unary.has(operator)) return parts(given, ['arg'], depth);
  if (binary.has(operator)) return parts(given, ['left', 'right'], depth);
  if (operator === 'if-then-else') return parts(given, ['if', 'then', 'else'], depth);
  if (Object.hasOwn(extensionArity, operator)) {
    const items = readArray(given, 'arguments');
    if (items.length !== extensionArity[operator]) throw new Refusal('policy_invalid', 'number of arguments');
    return Array.from(items, (item) => expression(item, depth));
  }
  return attributeOperands(operator, readObject(given, 'operands'), depth);
}

function attributeOperands(
  operator: string,
  given: Readonly<Record<string, unknown>>,
  depth: number,
): unknown {
  const left = (): unknown => expression(given['left'], depth);
  switch (operator) {
    case '.':
      exactMembers(given, ['left', 'attr']);
      return bare({ left: left(), attr: readText(given['attr'], 'attribute') });
    case 'has': {
      exactMembers(given, ['left', 'attr']);
      const attr = given['attr'];
      if (!Array.isArray(attr)) return bare({ left: left(), attr: readText(attr, 'attribute') });
      if (attr.length === 0) throw new Refusal('policy_invalid', 'empty attribute path');
      if (depth + attr.length > limits.maxPolicyDepth) {
        throw new Refusal('policy_too_deep', 'attribute path is too long');
      }
      return bare({
        left: left(),
        attr: Array.from(attr as unknown[], (name) => readText(name, 'attribute')),
      });
    }
    case 'like':
      exactMembers(given, ['left', 'pattern']);
      return bare({ left: left(), pattern: Array.from(readArray(given['pattern'], 'pattern'), patternPart) });
    case 'is': {
      exactMembers(given, ['left', 'entity_type'], ['in']);
      const is = { left: left(), entity_type: readName(given['entity_type'], 'entity type') };
      return bare(given['in'] === undefined ? is : { ...is, in: expression(given['in'], depth) });
    }
    default:
      throw new Refusal('policy_invalid', 'unknown operator');
  }
}

function parts(given: unknown, names: readonly string[], depth: number): unknown {
  const object = readObject(given, 'operands');
  exactMembers(object, names);
  const copy = bare({});
  for (const name of names) copy[name] = expression(object[name], depth);
  return copy;
}

function recordOf(given: Readonly<Record<string, unknown>>, depth: number): unknown {
  const copy = bare({});
  for (const [name, value] of Object.entries(given)) copy[name] = expression(value, depth);
  return copy;
}

function patternPart(given: unknown): unknown {
  if (given === 'Wildcard') return given;
  const object = readObject(given, 'pattern');
  exactMembers(object, ['Literal']);
  return bare({ Literal: readText(object['Literal'], 'pattern') });
}

function literal(given: unknown): unknown {
  if (typeof given === 'boolean' || typeof given === 'string') return given;
  if (typeof given === 'number' && Number.isSafeInteger(given)) return given;
  const object = readObject(given, 'value');
  exactMembers(object, ['__entity']);
  return bare({ __entity: entity(object) });
}
