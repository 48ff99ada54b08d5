import { isJsonObject, type Json, type JsonObject } from '@bulla/verifier/envelope';
import { matches } from './match.ts';
import { type PatchPath, parsePatchPath, pathFilterValues } from './patch-path.ts';
import { refuse } from './refuse.ts';
import { type Attribute, findAttribute, type ResourceType } from './schema.ts';
import { type Attributes, readResource, readSingle, readValue, withoutDoubles } from './values.ts';

const patchSchema = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';
const maxOperations = 1000;
/** Values that the operations of one request may look at, one after the other: a thousand of a group of ten thousand. */
const maxLooks = 10_000_000;
/** Looks between which others get a word in. */
const looksPerBreath = 100_000;
/** A longer path has a filter of several terms. */
const pathLengthPerLook = 64;

/** One checked operation of a PATCH request. */
export interface PatchOperation {
  readonly op: 'add' | 'remove' | 'replace';
  readonly path: string | undefined;
  readonly value: Json | undefined;
}

/**
 * Checks the form of a PATCH request: RFC 7644 section 3.5.2. `op` is read without regard to case (Entra).
 *
 * @throws {IssuerRefusal} `scim_syntax_invalid`, `scim_too_many`.
 */
export function parsePatch(body: JsonObject): readonly PatchOperation[] {
  const schemas = member(body, 'schemas');
  if (
    !Array.isArray(schemas) ||
    !schemas.some((urn) => typeof urn === 'string' && urn.toLowerCase() === patchSchema.toLowerCase())
  ) {
    throw refuse('scim_syntax_invalid', 'body is no PatchOp message');
  }
  const operations = member(body, 'operations');
  if (!Array.isArray(operations) || operations.length === 0) {
    throw refuse('scim_syntax_invalid', '`Operations` is not a list with something in it');
  }
  if (operations.length > maxOperations) throw refuse('scim_too_many', `over ${maxOperations} operations`);
  return (operations as readonly Json[]).map(parseOperation);
}

function parseOperation(operation: Json): PatchOperation {
  if (!isJsonObject(operation)) throw refuse('scim_syntax_invalid', 'operation is not an object');
  const name = member(operation, 'op');
  const op = typeof name === 'string' ? name.toLowerCase() : '';
  if (op !== 'add' && op !== 'remove' && op !== 'replace') {
    throw refuse('scim_syntax_invalid', '`op` is none of add, remove, replace');
  }
  const path = member(operation, 'path');
  if (path !== undefined && path !== null && typeof path !== 'string') {
    throw refuse('scim_path_invalid', '`path` is not a text');
  }
  return { op, path: path || undefined, value: member(operation, 'value') };
}

/** Names of SCIM's own members are compared without regard to case, as those of attributes are. */
export function member(body: JsonObject, name: string): Json | undefined {
  const found = Object.keys(body).find((key) => key.toLowerCase() === name.toLowerCase());
  return found === undefined ? undefined : body[found];
}

/** Names of the attributes that operations name, in a path or as members of a value. */
export function namedBy(type: ResourceType, operations: readonly PatchOperation[]): ReadonlySet<string> {
  const paths = operations.flatMap(({ path, value }) => {
    if (path !== undefined) return [path];
    return value !== undefined && isJsonObject(value) ? Object.keys(value) : [];
  });
  const names = paths.map((path) => parsePatchPath(type, path, 'lenient')?.attribute?.name ?? '');
  return new Set(names);
}

type Members = Record<string, Json>;

/**
 * Applies operations in order to what is kept of a resource, all or none (RFC 7644 section 3.5.2). Beyond the RFC, because
 * Entra and Okta need it: no `path` with dotted and URN names as members of `value`; `remove` with values takes only those
 * out; `value: null` removes; a value selected by equalities that is not there is made; removing what is not there is no
 * error. The result is checked like a whole resource.
 *
 * @throws {IssuerRefusal} `scim_path_invalid`, `scim_target_missing`, `scim_attribute_fixed`, `scim_value_invalid`,
 *   `scim_filter_invalid`, `scim_too_many`, `scim_resource_large`.
 */
export async function applyPatch(
  type: ResourceType,
  resource: Attributes,
  operations: readonly PatchOperation[],
): Promise<Attributes> {
  const target = structuredClone(resource) as Members;
  // At least so many; they grow with what is added.
  requireLooks(operations.reduce((sum, { path }) => sum + looksAt(target, path), 0));
  let [looks, breathed] = [0, 0];
  for (const { op, path, value } of operations) {
    looks += looksAt(target, path);
    requireLooks(looks);
    if (looks - breathed > looksPerBreath) {
      await new Promise((resolve) => setImmediate(resolve));
      breathed = looks;
    }
    if (path !== undefined) applyAt(parsePatchPath(type, path), target, op, value);
    else applyWhole(type, target, op, value);
  }
  return readResource(type, target);
}

function looksAt(target: Members, path: string | undefined): number {
  const values = Object.values(target).reduce<number>((sum, value) => sum + listOf(value).length, 0);
  return values * Math.ceil((path?.length ?? 1) / pathLengthPerLook);
}

function requireLooks(looks: number): void {
  if (looks > maxLooks) throw refuse('scim_too_many', 'operations look at too many values');
}

function applyWhole(
  type: ResourceType,
  target: Members,
  op: PatchOperation['op'],
  value: Json | undefined,
): void {
  if (op === 'remove') throw refuse('scim_target_missing', '`remove` needs a `path`');
  if (value === undefined || !isJsonObject(value)) {
    throw refuse('scim_value_invalid', '`value` is not an object, and there is no `path`');
  }
  for (const [name, each] of Object.entries(value)) {
    const path = parsePatchPath(type, name, 'lenient');
    // What a client may not write does no harm here: Okta repeats the id of the group that it renames.
    if (path === undefined || isFixed(path)) continue;
    applyAt(path, target, op, each);
  }
}

function isFixed({ attribute, sub }: PatchPath): boolean {
  return (
    attribute?.mutability === 'readOnly' || sub?.mutability === 'readOnly' || attribute?.name === 'schemas'
  );
}

function applyAt(
  path: PatchPath | undefined,
  target: Members,
  op: PatchOperation['op'],
  value: Json | undefined,
): void {
  if (path === undefined) throw refuse('scim_path_invalid', '`path` names no attribute');
  if (isFixed(path)) throw refuse('scim_attribute_fixed', 'attribute is read-only');
  if (op === 'add' && value === undefined) throw refuse('scim_value_invalid', '`add` needs a `value`');
  const { extension, attribute } = path;
  if (attribute === undefined) {
    if (extension !== undefined) applyExtension(extension.attributes, extension.id, target, op, value);
    return;
  }
  const home = extension === undefined ? target : members(target, extension.id);
  const effective = value === null || value === undefined ? 'remove' : op;
  if (path.filter !== undefined) applySelected(path, attribute, home, effective, value ?? null);
  else if (path.sub !== undefined) applySub(attribute, path.sub, home, effective, value ?? null);
  else if (effective === 'remove') removeWhole(attribute, home, value);
  else setWhole(attribute, home, effective, value ?? null);
  if (extension !== undefined && Object.keys(home).length === 0) Reflect.deleteProperty(target, extension.id);
}

function members(target: Members, name: string): Members {
  const found = target[name];
  const own: Members = found !== undefined && isJsonObject(found) ? { ...found } : {};
  target[name] = own;
  return own;
}

function applyExtension(
  attributes: readonly Attribute[],
  urn: string,
  target: Members,
  op: PatchOperation['op'],
  value: Json | undefined,
): void {
  if (op === 'remove' || value === null || value === undefined) {
    Reflect.deleteProperty(target, urn);
    return;
  }
  if (!isJsonObject(value)) throw refuse('scim_value_invalid', 'an extension is not an object');
  const home = members(target, urn);
  for (const [name, each] of Object.entries(value)) {
    const attribute = findAttribute(attributes, name);
    if (attribute === undefined || attribute.mutability === 'readOnly') continue;
    if (each === null) Reflect.deleteProperty(home, attribute.name);
    else setWhole(attribute, home, op, each);
  }
}

function setWhole(attribute: Attribute, home: Members, op: 'add' | 'replace', value: Json): void {
  const { name } = attribute;
  const before = home[name];
  const read = readValue(attribute, value);
  if (read === undefined) {
    if (op === 'replace') Reflect.deleteProperty(home, name);
  } else if (attribute.multiValued && op === 'add') {
    home[name] = addValues(before, read);
  } else if (isJsonObject(read) && before !== undefined && isJsonObject(before)) {
    home[name] = { ...before, ...read };
  } else home[name] = read;
}

/** RFC 7644 section 3.5.2: a new primary value takes the place of the old one. */
function addValues(before: Json | undefined, added: Json): Json {
  const [old, fresh] = [listOf(before), listOf(added)];
  const bringsPrimary = fresh.some((value) => isJsonObject(value) && value['primary'] === true);
  return withoutDoubles([...(bringsPrimary ? old.map(notPrimary) : old), ...fresh]);
}

function notPrimary(value: Json): Json {
  return isJsonObject(value) && value['primary'] === true ? { ...value, primary: false } : value;
}

function listOf(value: Json | undefined): readonly Json[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? (value as readonly Json[]) : [value];
}

/** With values, only those leave: to empty a group because one member leaves it would be the worst of mistakes. */
function removeWhole(attribute: Attribute, home: Members, value: Json | undefined): void {
  const { name, multiValued, required } = attribute;
  if (required) throw refuse('scim_attribute_fixed', `attribute \`${name}\` cannot be removed`);
  if (!multiValued || value === undefined || value === null) {
    Reflect.deleteProperty(home, name);
    return;
  }
  const leaving = new Set(listOf(value).map((each) => identity(attribute, each)));
  keep(
    home,
    name,
    listOf(home[name]).filter((each) => !leaving.has(identity(attribute, each))),
  );
}

/** What makes two values of an attribute the same: their `value`, or where there is none all that they say. */
function identity(attribute: Attribute, value: Json): string {
  const read = readSingle(attribute, value) ?? null;
  return JSON.stringify(isJsonObject(read) && Object.hasOwn(read, 'value') ? (read['value'] ?? null) : read);
}

function keep(home: Members, name: string, values: readonly Json[]): void {
  if (values.length > 0) home[name] = values;
  else Reflect.deleteProperty(home, name);
}

function applySub(
  attribute: Attribute,
  sub: Attribute,
  home: Members,
  op: PatchOperation['op'],
  value: Json,
): void {
  const before = home[attribute.name];
  const change = (old: Json): JsonObject => withSub(sub, isJsonObject(old) ? old : {}, op, value);
  if (attribute.multiValued) {
    // RFC 7644 leaves open which value is meant: all of them.
    if (before !== undefined) keep(home, attribute.name, listOf(before).map(change));
    else if (op !== 'remove') home[attribute.name] = [change({})];
    return;
  }
  const after = change(before ?? {});
  if (Object.keys(after).length > 0) home[attribute.name] = after;
  else Reflect.deleteProperty(home, attribute.name);
}

function withSub(sub: Attribute, value: JsonObject, op: PatchOperation['op'], given: Json): JsonObject {
  const { [sub.name]: _, ...rest } = value;
  const read = op === 'remove' ? undefined : readValue(sub, given);
  return read === undefined ? rest : { ...rest, [sub.name]: read };
}

function applySelected(
  path: PatchPath,
  attribute: Attribute,
  home: Members,
  op: PatchOperation['op'],
  value: Json,
): void {
  const { filter, sub } = path;
  if (filter === undefined) return;
  const before = listOf(home[attribute.name]);
  const isSelected = (each: Json) => isJsonObject(each) && matches(filter, each);
  const selected = new Set(before.filter(isSelected));
  if (op === 'remove') {
    const kept = before.flatMap((each) => {
      if (!selected.has(each)) return [each];
      return sub === undefined || !isJsonObject(each) ? [] : [withSub(sub, each, op, value)];
    });
    keep(
      home,
      attribute.name,
      kept.filter((each) => !isJsonObject(each) || Object.keys(each).length > 0),
    );
    return;
  }
  if (sub?.mutability === 'immutable')
    throw refuse('scim_attribute_fixed', `\`${sub.name}\` cannot be changed`);
  const change = (old: JsonObject): JsonObject => {
    if (sub !== undefined) return withSub(sub, old, op, value);
    const read = readSingle(attribute, value);
    return op === 'replace' && isJsonObject(read) ? read : { ...old, ...(isJsonObject(read) ? read : {}) };
  };
  if (selected.size > 0) {
    const fresh = before.map((each) => (selected.has(each) && isJsonObject(each) ? change(each) : each));
    home[attribute.name] = onePrimary(fresh, before);
    return;
  }
  const made = sub === undefined ? undefined : pathFilterValues(filter);
  if (made === undefined) throw refuse('scim_target_missing', '`path` selects nothing');
  home[attribute.name] = addValues(before, change(made));
}

/** Where a change made a value the primary one, the value that was it before is so no more. */
function onePrimary(after: readonly Json[], before: readonly Json[]): readonly Json[] {
  const isPrimary = (value: Json | undefined) =>
    value !== undefined && isJsonObject(value) && value['primary'] === true;
  const isNew = after.some((value, index) => isPrimary(value) && !isPrimary(before[index]));
  return isNew ? after.map((value, index) => (isPrimary(before[index]) ? notPrimary(value) : value)) : after;
}
