import type { CedarValueJson } from '@cedar-policy/cedar-wasm/nodejs';
import { Refusal } from '../errors.ts';
import { isPlainObject } from '../json.ts';
import { limits } from '../limits.ts';
import type { ExtensionName, RecordType, Type } from './schema.ts';

const names = /^[A-Za-z_]\w*(?:::[A-Za-z_]\w*)*$/u;
const decimal = /^-?\d{1,15}\.\d{1,4}$/u;
const datetime = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}:\d{2}(?:\.\d{3})?(?:Z|[+-]\d{4}))?$/u;
const duration = /^-?(?=\d)(?:\d{1,9}d)?(?:\d{1,9}h)?(?:\d{1,9}m)?(?:\d{1,9}s)?(?:\d{1,9}ms)?$/u;
const address = /^[0-9A-Fa-f:.]{2,45}(?:\/\d{1,3})?$/u;

const extensions: Readonly<Record<ExtensionName, readonly [constructor: string, form: RegExp]>> = {
  ipaddr: ['ip', address],
  decimal: ['decimal', decimal],
  datetime: ['datetime', datetime],
  duration: ['duration', duration],
};

/** What a record does with a member that its type does not declare. */
type Extra = 'refuse' | 'drop';

/**
 * Makes a Cedar value of the declared type from a plain JavaScript value. Nothing is copied: strings, integers,
 * booleans, arrays and objects are read and built anew, so that `__entity`, `__extn` or `__proto__` in the input is
 * a member name like any other, and therefore unknown.
 *
 * Entities are given as `{ type, id }`, extension values (`ipaddr`, `decimal`, `datetime`, `duration`) as strings.
 *
 * @throws {Refusal} `value_invalid`: the message names the attribute path of the schema, never a value.
 */
export function makeValue(
  type: Type,
  given: unknown,
  path: string,
  extra: Extra = 'refuse',
  depth = 0,
): CedarValueJson {
  if (depth > limits.maxPolicyDepth) throw wrong(path);
  switch (type.kind) {
    case 'String':
      if (typeof given === 'string' && isWellFormed(given)) return given;
      throw wrong(path);
    case 'Long':
      if (typeof given === 'number' && Number.isSafeInteger(given)) return given;
      throw wrong(path);
    case 'Boolean':
      if (typeof given === 'boolean') return given;
      throw wrong(path);
    case 'Set':
      if (!Array.isArray(given)) throw wrong(path);
      if (given.length > limits.maxSetElements) throw new Refusal('value_invalid', `\`${path}\` is too long`);
      return Array.from(given as unknown[], (item) => makeValue(type.element, item, path, extra, depth + 1));
    case 'Record':
      return makeRecord(type, given, path, extra, depth + 1);
    case 'Entity':
      return { __entity: makeUid(type.name, given, path) };
    case 'Extension': {
      const [fn, form] = extensions[type.name];
      if (typeof given !== 'string' || !form.test(given)) throw wrong(path);
      return { __extn: { fn, arg: given } };
    }
    default:
      throw wrong(path);
  }
}

/** {@link makeValue} for a record. @throws {Refusal} `value_invalid`. */
export function makeRecord(
  type: RecordType,
  given: unknown,
  path: string,
  extra: Extra = 'refuse',
  depth = 0,
): Record<string, CedarValueJson> {
  if (!isPlainObject(given)) throw wrong(path);
  if (extra === 'refuse') refuseUnknown(type, given, path);
  const made = Object.create(null) as Record<string, CedarValueJson>;
  for (const [name, attribute] of type.attributes) {
    const value = Object.hasOwn(given, name) ? given[name] : undefined;
    if (value !== undefined) {
      made[name] = makeValue(attribute.type, value, join(path, name), extra, depth + 1);
    } else if (attribute.required) {
      throw new Refusal('value_invalid', `\`${join(path, name)}\` is missing`);
    }
  }
  return made;
}

/** Member names come from outside and may be anything: they are not repeated. */
function refuseUnknown(type: RecordType, members: Readonly<Record<string, unknown>>, path: string): void {
  for (const name of Object.keys(members)) {
    if (!type.attributes.has(name)) throw new Refusal('value_invalid', `\`${path}\` has an unknown member`);
  }
}

function makeUid(type: string, given: unknown, path: string): { type: string; id: string } {
  if (typeof given !== 'object' || given === null) throw wrong(path);
  const uid = given as { readonly type?: unknown; readonly id?: unknown };
  if (uid.type !== type || !isId(uid.id) || Object.keys(given).length !== 2) throw wrong(path);
  return { type, id: uid.id };
}

/** True for something that can be an entity's id. */
export function isId(given: unknown): given is string {
  return (
    typeof given === 'string' &&
    given !== '' &&
    given.length <= limits.maxEntityIdLength &&
    isWellFormed(given)
  );
}

/** True for an entity type's name. */
export function isTypeName(given: unknown): given is string {
  return typeof given === 'string' && names.test(given);
}

/** Lone surrogates have no UTF-8 form: Cedar would see another string. */
function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

function join(path: string, name: string): string {
  return `${path}.${name}`;
}

function wrong(path: string): Refusal {
  return new Refusal('value_invalid', `\`${path}\` is not of the declared type`);
}
