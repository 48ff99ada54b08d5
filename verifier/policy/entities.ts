import type { EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import type { Resource } from '../access.ts';
import { Refusal } from '../errors.ts';
import { canonicalJson } from '../json.ts';
import { limits } from '../limits.ts';
import type { CedarContext } from './context.ts';
import { isFollowed, type Reads } from './reads.ts';
import { type SchemaModel, uidKey } from './schema.ts';
import { isId, isTypeName, makeRecord } from './values.ts';

/** Who acts, with everything the trust log says about them that policies may read. */
export interface Principal {
  readonly type: string;
  readonly id: string;
  /** From the record. What the schema does not declare is left out. */
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Every group, direct or not. Group entities themselves are not needed. */
  readonly parents: readonly TypeAndId[];
}

/** What a decision is about, as Cedar entities. */
export interface Parties {
  readonly principal: EntityJson;
  readonly resource: EntityJson;
  /** The resource's ancestors, and what its attributes refer to, each with its own ancestors. */
  readonly others: readonly EntityJson[];
}

/**
 * Makes the entities of a question, by the schema's types. An uid that is missing or malformed is refused: to Cedar
 * an entity that is not there has no ancestors and no attributes, which silences every `forbid` about them.
 *
 * @throws {Refusal} `entity_missing`, `entity_invalid`, `value_invalid`.
 */
export function makeParties(schema: SchemaModel, principal: Principal, resource: Resource): Parties {
  requireUid(resource, 'resource');
  const others = [...collectAncestors(resource), ...readList(resource.related, 'related')];
  if (others.length + 2 > limits.maxEntities) throw new Refusal('entity_invalid', 'too many entities');
  const made = { principal: makePrincipal(schema, principal), resource: makeResource(schema, resource) };
  if (sameUid(made.principal, made.resource)) requireAgreement(made.principal, made.resource);
  return {
    ...made,
    others: others
      .filter(({ type, id }) => type !== principal.type || id !== principal.id)
      .map((other) => makeResource(schema, other)),
  };
}

/**
 * The entities that policies look into, and no others: marshalling costs about 20 µs each. Where policies follow
 * references (`resource.owner.team`), every entity of such a type that is referred to must be among those given.
 *
 * @throws {Refusal} `entity_missing`, `entity_invalid`.
 */
export function selectEntities(reads: Reads, parties: Parties, context: CedarContext): EntityJson[] {
  const { principal, resource, others } = parties;
  const same = sameUid(principal, resource);
  const followed = isFollowed(reads);
  const either = reads.principal || reads.resource;
  const selected: EntityJson[] = [];
  if (followed || (same && either)) selected.push(principal);
  else if (reads.principal) selected.push(inGroups(principal, reads.groups));
  if (followed || reads.resource || (same && either)) selected.push(resource);
  if (same) selected.pop();
  if (!followed) return selected;
  selected.push(...others);
  requireReferences(reads, selected, context);
  return selected;
}

/** Of a principal that is only asked whether it is in these groups, the other groups are left out. */
function inGroups(principal: EntityJson, groups: ReadonlySet<string> | null): EntityJson {
  if (groups === null) return principal;
  return { ...principal, parents: principal.parents.filter((uid) => groups.has(uidKey(uid as TypeAndId))) };
}

function sameUid(one: EntityJson, other: EntityJson): boolean {
  const [a, b] = [one.uid as TypeAndId, other.uid as TypeAndId];
  return a.id === b.id && a.type === b.type;
}

/** A person may be the resource too; the log and the route must then say the same about them. */
function requireAgreement(one: EntityJson, other: EntityJson): void {
  if (canonicalJson(one) !== canonicalJson(other)) {
    throw new Refusal('entity_invalid', 'principal and resource are one entity, described differently');
  }
}

function requireReferences(reads: Reads, supplied: readonly EntityJson[], context: CedarContext): void {
  const keys = new Set(supplied.map(({ uid }) => uidKey(uid as TypeAndId)));
  if (keys.size !== supplied.length) throw new Refusal('entity_invalid', 'an entity is given twice');
  const needed = new Set(reads.literals);
  for (const { attrs } of supplied) collectReferences(attrs, reads.others, needed);
  collectReferences(context.given, reads.others, needed);
  for (const key of needed) {
    if (!keys.has(key))
      throw new Refusal('entity_missing', 'a policy looks into an entity that was not given');
  }
}

function collectReferences(value: unknown, types: ReadonlySet<string> | null, into: Set<string>): void {
  if (typeof value !== 'object' || value === null) return;
  const uid = (value as { readonly __entity?: TypeAndId }).__entity;
  if (uid === undefined) for (const item of Object.values(value)) collectReferences(item, types, into);
  else if (types === null || types.has(uid.type)) into.add(uidKey(uid));
}

function makePrincipal(schema: SchemaModel, principal: Principal): EntityJson {
  const uid = requireUid(principal, 'principal');
  if (principal.parents.length > limits.maxPrincipalGroups) {
    throw new Refusal('entity_invalid', 'principal is in too many groups');
  }
  return {
    uid,
    attrs: makeRecord(requireModel(schema, uid).shape, principal.attributes, 'principal', 'drop'),
    parents: principal.parents.map((parent) => requireUid(parent, 'group')),
  };
}

function makeResource(schema: SchemaModel, resource: Resource): EntityJson {
  const uid = requireUid(resource, 'resource');
  const { shape, above } = requireModel(schema, uid);
  const parents = collectAncestors(resource).map((ancestor) => requireUid(ancestor, 'ancestor'));
  if (!parents.every(({ type }) => above.has(type))) {
    throw new Refusal('entity_invalid', 'an ancestor is of a type that cannot be one');
  }
  const attributes = resource.attributes === undefined ? {} : resource.attributes;
  return { uid, attrs: makeRecord(shape, attributes, 'resource'), parents };
}

/** Every ancestor once, also those named inside an ancestor. */
function collectAncestors(resource: Resource): readonly Resource[] {
  const direct = readList(resource.ancestors, 'ancestors');
  if (direct.length === 0) return [];
  const found = new Map<string, Resource>();
  const open = [...direct];
  while (open.length > 0) {
    const next = open.pop();
    // A hole in the list must not end the walk: what follows it would silently be left out.
    const key = uidKey(requireUid(next, 'ancestor'));
    if (next === undefined || found.has(key)) continue;
    found.set(key, next);
    if (found.size > limits.maxAncestors) throw new Refusal('entity_invalid', 'too many ancestors');
    open.push(...readList(next.ancestors, 'ancestors'));
    if (open.length > limits.maxEntities) throw new Refusal('entity_invalid', 'too many ancestors');
  }
  return [...found.values()];
}

/** What is not an array must not pass for an empty one. */
function readList(given: readonly Resource[] | undefined, what: string): readonly Resource[] {
  if (given === undefined) return [];
  if (!Array.isArray(given)) throw new Refusal('entity_invalid', `\`${what}\` is not an array`);
  return given;
}

function requireUid(given: unknown, what: string): TypeAndId {
  const uid = (given ?? {}) as { readonly type?: unknown; readonly id?: unknown };
  if (!isTypeName(uid.type) || !isId(uid.id)) {
    throw new Refusal('entity_missing', `${what} has no type or no id`);
  }
  return { type: uid.type, id: uid.id };
}

function requireModel(schema: SchemaModel, uid: TypeAndId) {
  const model = schema.entities.get(uid.type);
  if (model === undefined) throw new Refusal('entity_invalid', 'entity type is not in the schema');
  return model;
}
