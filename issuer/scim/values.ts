import { isJsonObject, type Json, type JsonObject } from '@bulla/verifier/envelope';
import { refuse } from './refuse.ts';
import {
  type Attribute,
  commonAttributes,
  findAttribute,
  findExtension,
  type ResourceType,
} from './schema.ts';

/** What is kept of a resource: attributes by their names in the schema, extensions by URN; no `id`, `meta`, `schemas`. */
export type Attributes = Readonly<Record<string, Json>>;

/** Of a resource without its members, as JSON: a search looks at hundreds of them at once. */
const maxResourceLength = 65_536;

const externalId = commonAttributes.filter(({ name }) => name === 'externalId');

/**
 * Reads a resource as a client sends it (RFC 7644 sections 3.3 and 3.5.1): names without regard to case; `"True"` and
 * `"False"` are booleans, and a bare text where a complex value is expected is its `value` (habits of Entra). What clients
 * may not write, and what no schema knows, is ignored; null and empty lists are as absent; a password is dropped, never
 * kept.
 *
 * @throws {IssuerRefusal} `scim_value_invalid` for a wrong type, a required attribute that is missing, two primary values;
 *   `scim_resource_large`.
 */
export function readResource(type: ResourceType, body: JsonObject): Attributes {
  const result: Record<string, Json> = {};
  const core = [...type.schema.attributes, ...externalId];
  for (const [name, value] of Object.entries(body)) {
    const extension = findExtension(type, name);
    if (extension === undefined) {
      assign(result, findAttribute(core, name), value);
    } else if (isJsonObject(value)) {
      const inner = readMembers(extension.attributes, value);
      if (Object.keys(inner).length > 0) result[extension.id] = inner;
    } else if (value !== null) throw wrong(extension.id, 'object');
  }
  requireAll(core, result);
  const { members: _, ...kept } = result;
  if (JSON.stringify(kept).length > maxResourceLength) {
    throw refuse('scim_resource_large', `resource is over ${maxResourceLength} characters`);
  }
  return result;
}

function requireAll(attributes: readonly Attribute[], value: JsonObject): void {
  const missing = attributes.find(({ required, name }) => required && !Object.hasOwn(value, name));
  if (missing !== undefined) throw refuse('scim_value_invalid', `attribute \`${missing.name}\` is missing`);
}

function assign(target: Record<string, Json>, attribute: Attribute | undefined, value: Json): void {
  if (attribute === undefined || attribute.mutability === 'readOnly' || attribute.returned === 'never')
    return;
  const read = readValue(attribute, value);
  if (read !== undefined) target[attribute.name] = read;
}

function readMembers(attributes: readonly Attribute[], value: JsonObject): JsonObject {
  const result: Record<string, Json> = {};
  for (const [name, member] of Object.entries(value)) assign(result, findAttribute(attributes, name), member);
  return result;
}

/**
 * One attribute's value in the form that is kept, or undefined where it is as absent.
 *
 * @throws {IssuerRefusal} `scim_value_invalid`.
 */
export function readValue(attribute: Attribute, value: Json): Json | undefined {
  if (value === null) return undefined;
  if (!attribute.multiValued) return readSingle(attribute, value);
  const values = (isList(value) ? value : [value]).flatMap((each) => readSingle(attribute, each) ?? []);
  requireOnePrimary(attribute, values);
  return values.length === 0 ? undefined : withoutDoubles(values);
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

/** One value of an attribute, whether it may have several or not. @throws {IssuerRefusal} `scim_value_invalid`. */
export function readSingle(attribute: Attribute, value: Json): Json | undefined {
  if (value === null) return undefined;
  switch (attribute.type) {
    case 'complex':
      return readComplex(attribute, value);
    case 'boolean':
      return readBoolean(attribute, value);
    case 'integer':
    case 'decimal':
      if (typeof value !== 'number' || (attribute.type === 'integer' && !Number.isSafeInteger(value))) {
        throw wrong(attribute.name, attribute.type);
      }
      return value;
    case 'dateTime':
      if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\dT/u.test(value) || Number.isNaN(Date.parse(value))) {
        throw wrong(attribute.name, 'dateTime');
      }
      return value;
    default:
      if (typeof value !== 'string') throw wrong(attribute.name, attribute.type);
      if (value === '' && attribute.required)
        throw refuse('scim_value_invalid', `attribute \`${attribute.name}\` is empty`);
      return value;
  }
}

function readBoolean(attribute: Attribute, value: Json): boolean {
  if (typeof value === 'boolean') return value;
  const text = typeof value === 'string' ? value.toLowerCase() : '';
  if (text !== 'true' && text !== 'false') throw wrong(attribute.name, 'boolean');
  return text === 'true';
}

function readComplex(attribute: Attribute, value: Json): JsonObject | undefined {
  const hasValue = findAttribute(attribute.subAttributes, 'value') !== undefined;
  const whole = typeof value === 'string' && hasValue ? { value } : value;
  if (!isJsonObject(whole)) throw wrong(attribute.name, 'object');
  const result = readMembers(attribute.subAttributes, whole);
  if (Object.keys(result).length === 0) return undefined;
  requireAll(attribute.subAttributes, result);
  return result;
}

function requireOnePrimary({ name }: Attribute, values: readonly Json[]): void {
  const primary = values.filter((value) => isJsonObject(value) && value['primary'] === true);
  if (primary.length > 1)
    throw refuse('scim_value_invalid', `attribute \`${name}\` has more than one primary value`);
}

/** RFC 7644 section 3.5.2.1: a value is not added twice. */
export function withoutDoubles(values: readonly Json[]): readonly Json[] {
  const seen = new Set<string>();
  return values.filter((value) => {
    const text = JSON.stringify(value);
    return !seen.has(text) && seen.add(text);
  });
}

function wrong(name: string, type: string): Error {
  return refuse('scim_value_invalid', `attribute \`${name}\` is not of type ${type}`);
}

/** An attribute that was read as text; empty where there is none. */
export function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}
