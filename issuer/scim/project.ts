import { isJsonObject, type Json, type JsonObject } from '@bulla/verifier/envelope';
import { type AttributePath, resolvePath } from './path.ts';
import type { ResourceType } from './schema.ts';

/** Which attributes an answer shows: RFC 7644 section 3.9. */
export interface Projection {
  readonly attributes: readonly AttributePath[];
  readonly excluded: readonly AttributePath[];
}

const always = new Set(['schemas', 'id']);

/** Reads `attributes` and `excludedAttributes`; names that no schema knows are ignored. */
export function parseProjection(
  type: ResourceType,
  attributes: readonly string[],
  excludedAttributes: readonly string[],
): Projection | undefined {
  const resolve = (names: readonly string[]) => names.flatMap((name) => resolvePath(type, name.trim()) ?? []);
  if (attributes.length > 0) return { attributes: resolve(attributes), excluded: [] };
  return excludedAttributes.length > 0
    ? { attributes: [], excluded: resolve(excludedAttributes) }
    : undefined;
}

/**
 * The part of a resource that an answer shows. `schemas` and `id` are always in it; what {@link ResourceType.standing} holds only
 * where `attributes` names it.
 */
export function project(
  type: ResourceType,
  resource: JsonObject,
  projection: Projection | undefined,
): JsonObject {
  const { attributes, excluded } = projection ?? { attributes: [], excluded: [] };
  const isChosen = projection !== undefined && excluded.length === 0;
  const result: Record<string, Json> = isChosen ? {} : { ...resource };
  if (isChosen) for (const path of attributes) include(result, resource, path);
  else for (const { id } of type.standing) Reflect.deleteProperty(result, id);
  for (const path of excluded) exclude(result, path);
  for (const name of always) if (resource[name] !== undefined) result[name] = resource[name];
  const { schemas } = resource;
  const standing = type.standing.filter(({ id }) => result[id] !== undefined).map(({ id }) => id);
  if (standing.length > 0 && Array.isArray(schemas)) {
    result['schemas'] = [...(schemas as readonly Json[]), ...standing];
  }
  return result;
}

function exclude(result: Record<string, Json>, { extension, attribute, sub }: AttributePath): void {
  if (extension !== undefined && attribute !== undefined) {
    const home = result[extension.id];
    if (home === undefined || !isJsonObject(home)) return;
    const inner: Record<string, Json> = { ...home };
    exclude(inner, { attribute, ...(sub && { sub }) });
    result[extension.id] = inner;
    return;
  }
  const name = attribute?.name ?? extension?.id ?? '';
  const value = result[name];
  if (value === undefined) return;
  if (sub === undefined) Reflect.deleteProperty(result, name);
  else result[name] = each(value, (whole) => without(whole, sub.name));
}

function include(
  result: Record<string, Json>,
  resource: JsonObject,
  { extension, attribute, sub }: AttributePath,
): void {
  if (extension !== undefined && attribute !== undefined) {
    const home = resource[extension.id];
    if (home === undefined || !isJsonObject(home)) return;
    const before = result[extension.id];
    const inner: Record<string, Json> = before !== undefined && isJsonObject(before) ? { ...before } : {};
    include(inner, home, { attribute, ...(sub && { sub }) });
    result[extension.id] = inner;
    return;
  }
  const name = attribute?.name ?? extension?.id ?? '';
  const value = resource[name];
  if (value === undefined) return;
  if (sub === undefined) result[name] = value;
  else
    result[name] = each(value, (whole, index) => ({ ...at(result[name], index), ...only(whole, sub.name) }));
}

function each(value: Json, change: (whole: JsonObject, index: number) => JsonObject): Json {
  if (Array.isArray(value)) {
    return (value as readonly Json[]).map((item, index) => (isJsonObject(item) ? change(item, index) : item));
  }
  return isJsonObject(value) ? change(value, 0) : value;
}

function at(value: Json | undefined, index: number): JsonObject {
  const item = Array.isArray(value) ? (value as readonly Json[])[index] : value;
  return item !== undefined && isJsonObject(item) ? item : {};
}

function without(value: JsonObject, name: string): JsonObject {
  const { [name]: _, ...rest } = value;
  return rest;
}

function only(value: JsonObject, name: string): JsonObject {
  const found = value[name];
  return found === undefined ? {} : { [name]: found };
}
