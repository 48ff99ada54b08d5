import { hash } from 'node:crypto';
import type { JsonObject } from '@bulla/verifier/envelope';
import type { ResourceRow } from '../store/directory.ts';
import type { ResourceType } from './schema.ts';
import type { Attributes } from './values.ts';

/** What is kept of a resource, and its version there. */
export interface Kept {
  readonly attributes: Attributes;
  readonly version: number;
}

/** A change of a resource that is there. */
export interface Change {
  readonly before: Attributes;
  readonly after: Attributes;
  /** PUT says all there is to say; PATCH only what it names. */
  readonly how: 'put' | 'patch';
  /** Attributes that the request names, in whatever way. */
  readonly named: ReadonlySet<string>;
  /** Version that `before` was read in: the change is refused (`version_moved`) where it is another one now. */
  readonly version: number;
}

/** The resources of one type that one connection manages. Nothing of another connection is ever found. */
export interface Collection {
  readonly type: ResourceType;
  readonly scope: 'users' | 'groups' | 'agents';
  /** The whole resource as an answer shows it, or undefined. */
  find(id: string): Promise<JsonObject | undefined>;
  kept(id: string): Promise<Kept | undefined>;
  /** Ids of those that may have this value, where the store can look it up; undefined: it cannot. */
  lookUp(path: string, value: string): Promise<readonly string[] | undefined>;
  /** Everything that a filter or an order may look at but {@link Collection.costly}. */
  page(offset: number, limit: number): Promise<readonly JsonObject[]>;
  /** Attributes that `page` leaves out, because they take further reads for each resource. */
  readonly costly: ReadonlySet<string>;
  count(): Promise<number>;
  /** @returns the id. */
  create(attributes: Attributes): Promise<string>;
  change(id: string, change: Change): Promise<void>;
  remove(id: string): Promise<void>;
}

/** What is kept of a user or group, as its connection wrote it. */
export function attributesOf({ body, externalId }: ResourceRow): Attributes {
  return { ...(JSON.parse(body) as JsonObject), ...(externalId !== null && { externalId }) };
}

/** `schemas`, `id`, `meta` around what is kept. The entity tag is made of all that is shown: whatever changes changes it. */
export function wrap(
  type: ResourceType,
  base: string,
  row: { readonly id: string; readonly created: string; readonly modified: string },
  attributes: JsonObject,
): JsonObject {
  const extensions = type.extensions.filter(({ id }) => attributes[id] !== undefined).map(({ id }) => id);
  const shown = { schemas: [type.schema.id, ...extensions], id: row.id, ...attributes };
  const version = `W/"${hash('sha256', JSON.stringify([shown, row.modified]), 'base64url').slice(0, 22)}"`;
  return {
    ...shown,
    meta: {
      resourceType: type.name,
      created: row.created,
      lastModified: row.modified,
      location: `${base}${type.endpoint}/${row.id}`,
      version,
    },
  };
}
