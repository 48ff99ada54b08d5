import type { SchemaJson } from '@cedar-policy/cedar-wasm/nodejs';
import { Refusal } from '../errors.ts';
import { limits } from '../limits.ts';
import { readArray, readName, readObject, readText } from './read.ts';

export type Type =
  | { readonly kind: 'String' | 'Long' | 'Boolean' }
  | { readonly kind: 'Set'; readonly element: Type }
  | RecordType
  | { readonly kind: 'Entity'; readonly name: string }
  | { readonly kind: 'Extension'; readonly name: ExtensionName };

export interface RecordType {
  readonly kind: 'Record';
  readonly attributes: ReadonlyMap<string, Attribute>;
}

interface Attribute {
  readonly type: Type;
  readonly required: boolean;
}

export type ExtensionName = 'ipaddr' | 'decimal' | 'datetime' | 'duration';

interface EntityModel {
  readonly name: string;
  readonly shape: RecordType;
  readonly memberOf: readonly string[];
  /** Types that an ancestor may have: `memberOf`, followed to its end. */
  readonly above: ReadonlySet<string>;
  /** The only ids of an enumerated type; null for an ordinary one. */
  readonly ids: readonly string[] | null;
  readonly tags: Type | null;
}

export interface ActionModel {
  readonly type: string;
  readonly id: string;
  /** Direct parents, as {@link uidKey}. */
  readonly memberOf: readonly string[];
  readonly appliesTo: {
    readonly principals: readonly string[];
    readonly resources: readonly string[];
    readonly context: RecordType;
  } | null;
}

/** A schema with every name resolved. Maps, so that no name can be mistaken for a property of Object. */
export interface SchemaModel {
  readonly entities: ReadonlyMap<string, EntityModel>;
  /** By {@link uidKey}. */
  readonly actions: ReadonlyMap<string, ActionModel>;
}

const primitives: ReadonlyMap<string, Type> = new Map<string, Type>([
  ['String', { kind: 'String' }],
  ['Long', { kind: 'Long' }],
  ['Bool', { kind: 'Boolean' }],
  ['Boolean', { kind: 'Boolean' }],
  ['ipaddr', { kind: 'Extension', name: 'ipaddr' }],
  ['decimal', { kind: 'Extension', name: 'decimal' }],
  ['datetime', { kind: 'Extension', name: 'datetime' }],
  ['duration', { kind: 'Extension', name: 'duration' }],
]);

const emptyRecord: RecordType = { kind: 'Record', attributes: new Map() };

export function uidKey(uid: { readonly type: string; readonly id: string }): string {
  return `${uid.type}::${JSON.stringify(uid.id)}`;
}

/**
 * Reads a schema in Cedar's JSON form and resolves its names. Cedar parses the same schema too; this reading
 * exists because values for entities and context are made from it, never copied.
 *
 * @throws {Refusal} `policy_invalid`, `policy_too_deep`, `policy_set_too_large`.
 */
export function readSchema(given: unknown): SchemaModel {
  const reader = new SchemaReader(readObject(given, 'schema'));
  reader.commonTypes();
  const entities = reader.entities();
  for (const { memberOf, above } of entities.values()) {
    for (const name of memberOf) above.add(name);
    for (const name of above) for (const next of entities.get(name)?.memberOf ?? []) above.add(next);
  }
  return { entities, actions: reader.actions() };
}

class SchemaReader {
  readonly #namespaces: readonly (readonly [string, Readonly<Record<string, unknown>>])[];
  readonly #common = new Map<string, unknown>();
  readonly #entityNames = new Set<string>();
  #types = 0;

  constructor(schema: Readonly<Record<string, unknown>>) {
    this.#namespaces = Object.entries(schema).map(([name, body]) => {
      if (name !== '') readName(name, 'namespace');
      return [name, readObject(body, 'namespace')] as const;
    });
    for (const [namespace, body] of this.#namespaces) {
      for (const [name, type] of Object.entries(optional(body['commonTypes'], 'common types'))) {
        this.#common.set(qualify(namespace, readName(name, 'common type')), type);
      }
      for (const name of Object.keys(readObject(body['entityTypes'], 'entity types'))) {
        this.#entityNames.add(qualify(namespace, readName(name, 'entity type')));
      }
    }
  }

  /** Those that nothing names too: Cedar writes each of them out. */
  commonTypes(): void {
    for (const [name, type] of this.#common) this.#type(type, namespaceOf(name), 1);
  }

  entities(): Map<string, EntityModel & { readonly above: Set<string> }> {
    const entities = new Map<string, EntityModel & { readonly above: Set<string> }>();
    for (const [namespace, body] of this.#namespaces) {
      for (const [short, given] of Object.entries(readObject(body['entityTypes'], 'entity types'))) {
        const object = readObject(given, 'entity type');
        const name = qualify(namespace, short);
        entities.set(name, {
          name,
          shape: object['shape'] === undefined ? emptyRecord : this.#record(object['shape'], namespace),
          memberOf: list(object['memberOfTypes'], (item) => this.#entityName(item, namespace)),
          above: new Set<string>(),
          ids: object['enum'] === undefined ? null : list(object['enum'], (item) => readText(item, 'enum')),
          tags: object['tags'] === undefined ? null : this.#type(object['tags'], namespace, 1),
        });
      }
    }
    return entities;
  }

  actions(): Map<string, ActionModel> {
    const actions = new Map<string, ActionModel>();
    for (const [namespace, body] of this.#namespaces) {
      for (const [id, given] of Object.entries(readObject(body['actions'], 'actions'))) {
        const action = this.#action(id, readObject(given, 'action'), namespace);
        actions.set(uidKey(action), action);
      }
    }
    return actions;
  }

  #action(id: string, object: Readonly<Record<string, unknown>>, namespace: string): ActionModel {
    const own = qualify(namespace, 'Action');
    const appliesTo =
      object['appliesTo'] === undefined ? null : readObject(object['appliesTo'] ?? {}, 'appliesTo');
    const names = (given: unknown): string[] => list(given, (item) => this.#entityName(item, namespace));
    return {
      type: own,
      id,
      memberOf: list(object['memberOf'], (item) => {
        const parent = readObject(item, 'action group');
        const type = parent['type'] === undefined ? own : readName(parent['type'], 'action type');
        return uidKey({ type, id: readText(parent['id'], 'action id') });
      }),
      appliesTo: appliesTo && {
        principals: names(appliesTo['principalTypes']),
        resources: names(appliesTo['resourceTypes']),
        context:
          appliesTo['context'] === undefined ? emptyRecord : this.#record(appliesTo['context'], namespace),
      },
    };
  }

  #record(given: unknown, namespace: string): RecordType {
    const type = this.#type(given, namespace, 1);
    if (type.kind !== 'Record') throw new Refusal('policy_invalid', 'shape or context is not a record');
    return type;
  }

  #type(given: unknown, namespace: string, depth: number): Type {
    if (depth > limits.maxPolicyDepth) throw new Refusal('policy_too_deep', 'type is nested too deeply');
    this.#types += 1;
    if (this.#types > limits.maxSchemaTypes) {
      throw new Refusal('policy_set_too_large', 'schema has more than `maxSchemaTypes` types');
    }
    const object = readObject(given, 'type');
    const kind = readText(object['type'], 'type');
    switch (kind) {
      case 'Set':
        return { kind, element: this.#type(object['element'], namespace, depth + 1) };
      case 'Record':
        return this.#recordType(object, namespace, depth);
      case 'Entity':
        return { kind, name: this.#entityName(object['name'], namespace) };
      case 'EntityOrCommon':
        return this.#named(readName(object['name'], 'type'), namespace, depth);
      case 'Extension':
        return this.#primitive(readName(object['name'], 'type'));
      default:
        return this.#named(readName(kind, 'type'), namespace, depth);
    }
  }

  #recordType(object: Readonly<Record<string, unknown>>, namespace: string, depth: number): RecordType {
    if (object['additionalAttributes'] === true) throw new Refusal('policy_invalid', 'record is open');
    const attributes = new Map<string, Attribute>();
    for (const [name, value] of Object.entries(readObject(object['attributes'], 'attributes'))) {
      // Cedar's JSON form reads such a member as a typed value.
      if (name.startsWith('__')) throw new Refusal('policy_invalid', 'attribute name starts with `__`');
      const required = readObject(value, 'attribute')['required'] !== false;
      attributes.set(name, { type: this.#type(value, namespace, depth + 1), required });
    }
    return { kind: 'Record', attributes };
  }

  /** Cedar's order: own namespace before none, a common type before an entity type, both before a primitive. */
  #named(name: string, namespace: string, depth: number): Type {
    for (const candidate of candidates(name, namespace)) {
      const common = this.#common.get(candidate);
      if (common !== undefined) {
        return this.#type(common, namespaceOf(candidate), depth + 1);
      }
      if (this.#entityNames.has(candidate)) return { kind: 'Entity', name: candidate };
    }
    return this.#primitive(name);
  }

  #primitive(name: string): Type {
    const type = primitives.get(name.replace(/^__cedar::/u, ''));
    if (type === undefined) throw new Refusal('policy_invalid', 'unknown type name');
    return type;
  }

  #entityName(given: unknown, namespace: string): string {
    for (const name of candidates(readName(given, 'entity type'), namespace)) {
      if (this.#entityNames.has(name)) return name;
    }
    throw new Refusal('policy_invalid', 'unknown entity type');
  }
}

function namespaceOf(name: string): string {
  return name.slice(0, Math.max(name.lastIndexOf('::'), 0));
}

function qualify(namespace: string, name: string): string {
  return namespace === '' ? name : `${namespace}::${name}`;
}

function candidates(name: string, namespace: string): string[] {
  return namespace === '' ? [name] : [qualify(namespace, name), name];
}

function optional(given: unknown, what: string): Readonly<Record<string, unknown>> {
  return given === undefined ? {} : readObject(given, what);
}

function list<T>(given: unknown, read: (item: unknown) => T): T[] {
  return given === undefined || given === null ? [] : Array.from(readArray(given, 'list'), read);
}

/** The action with this id; undefined where none or, over several namespaces, more than one has it. */
export function findAction(schema: SchemaModel, id: string): ActionModel | undefined {
  const own = schema.actions.get(uidKey({ type: 'Action', id }));
  if (own !== undefined) return own;
  const found = [...schema.actions.values()].filter((action) => action.id === id);
  return found.length === 1 ? found[0] : undefined;
}

/** The action and every group it is in, directly or not, as {@link uidKey}. */
export function actionClosure(schema: SchemaModel, from: Iterable<string>): ReadonlySet<string> {
  const closure = new Set<string>(from);
  for (const key of closure) {
    for (const parent of schema.actions.get(key)?.memberOf ?? []) closure.add(parent);
  }
  return closure;
}

/** What {@link writeSchema} keeps. */
export interface Reduction {
  readonly entities: ReadonlySet<string>;
  /** Types of which no entity is passed: their attributes and parents say nothing. */
  readonly bare: ReadonlySet<string>;
  readonly actions: ReadonlySet<string>;
  /** The one action that can be asked for, and what is left of its context. */
  readonly asked: ActionModel;
  readonly context: RecordType;
}

/** Writes the kept part of a schema back in Cedar's JSON form, every name resolved and qualified. */
export function writeSchema(schema: SchemaModel, keep: Reduction): SchemaJson<string> {
  type Namespace = { entityTypes: Record<string, unknown>; actions: Record<string, unknown> };
  const namespaces = Object.create(null) as Record<string, Namespace>;
  const within = (name: string): [Namespace, string] => {
    const cut = name.lastIndexOf('::');
    const namespace = cut < 0 ? '' : name.slice(0, cut);
    namespaces[namespace] ??= { entityTypes: Object.create(null), actions: Object.create(null) };
    return [namespaces[namespace], cut < 0 ? name : name.slice(cut + 2)];
  };
  for (const name of keep.entities) {
    const entity = schema.entities.get(name);
    if (entity === undefined) throw new Refusal('policy_invalid', 'unknown entity type');
    const [namespace, short] = within(name);
    namespace.entityTypes[short] =
      entity.ids !== null
        ? { enum: [...entity.ids] }
        : keep.bare.has(name)
          ? {}
          : { memberOfTypes: [...entity.memberOf], shape: writeType(entity.shape) };
  }
  for (const key of keep.actions) {
    const action = schema.actions.get(key);
    if (action === undefined) continue;
    const [namespace] = within(action.type);
    namespace.actions[action.id] = {
      memberOf: action.memberOf.map((parent) => {
        const model = schema.actions.get(parent);
        if (model === undefined) throw new Refusal('policy_invalid', 'unknown action group');
        return { type: model.type, id: model.id };
      }),
      ...(key === uidKey(keep.asked) && action.appliesTo !== null
        ? {
            appliesTo: {
              principalTypes: [...action.appliesTo.principals],
              resourceTypes: [...action.appliesTo.resources],
              context: writeType(keep.context),
            },
          }
        : {}),
    };
  }
  return namespaces as unknown as SchemaJson<string>;
}

function writeType(type: Type): Record<string, unknown> {
  switch (type.kind) {
    case 'Set':
      return { type: 'Set', element: writeType(type.element) };
    case 'Record': {
      const attributes = Object.create(null) as Record<string, unknown>;
      for (const [name, attribute] of type.attributes) {
        attributes[name] = { ...writeType(attribute.type), required: attribute.required };
      }
      return { type: 'Record', attributes };
    }
    case 'Entity':
    case 'Extension':
      return { type: type.kind, name: type.name };
    default:
      return { type: type.kind };
  }
}
