import { isJsonObject, type Json, type JsonObject } from '@bulla/verifier/envelope';
import { equalities, type Filter, parseValueFilter } from './filter.ts';
import { type AttributePath, resolvePath } from './path.ts';
import { refuse } from './refuse.ts';
import { type Attribute, findAttribute, type ResourceType } from './schema.ts';

/** Target of a PATCH operation: an attribute, some of its values, a part of them. */
export interface PatchPath extends AttributePath {
  /** Selects values of `attribute`. */
  readonly filter?: Filter;
}

/**
 * Parses `attribute`, `attribute.sub`, `attribute[filter]` and `attribute[filter].sub`, with or without a schema URN.
 *
 * `lenient`: a name that no schema knows is undefined, not an error: RFC 7644 section 3.3 lets a service ignore those.
 *
 * @throws {IssuerRefusal} `scim_path_invalid`, and `scim_filter_invalid` for what is between the brackets.
 */
export function parsePatchPath(type: ResourceType, text: string, mode?: 'lenient'): PatchPath | undefined {
  const open = text.indexOf('[');
  const close = text.lastIndexOf(']');
  if (open < 0) {
    const path = resolvePath(type, text);
    if (path === undefined && mode !== 'lenient')
      throw refuse('scim_path_invalid', '`path` names no attribute');
    return path;
  }
  const path = resolvePath(type, text.slice(0, open));
  const rest = text.slice(close + 1);
  if (close < open || path?.attribute === undefined || path.sub !== undefined || !/^(?:\..+)?$/u.test(rest)) {
    throw refuse('scim_path_invalid', '`path` is malformed or names no attribute');
  }
  const { attribute } = path;
  if (!attribute.multiValued || attribute.type !== 'complex') {
    throw refuse('scim_path_invalid', '`path` selects among values of an attribute that has one');
  }
  const filter = parseValueFilter(attribute, text.slice(open + 1, close));
  if (rest === '') return { ...path, filter };
  const sub = subOf(attribute, rest.slice(1));
  return { ...path, filter, sub };
}

function subOf({ subAttributes }: Attribute, name: string): Attribute {
  const sub = findAttribute(subAttributes, name);
  if (sub === undefined) throw refuse('scim_path_invalid', '`path` names no part of the attribute');
  return sub;
}

/** What a value must say to be selected by a filter of equalities: from it Entra expects the value to be made. */
export function pathFilterValues(filter: Filter): JsonObject | undefined {
  const wanted = equalities(filter);
  if (wanted === undefined) return undefined;
  const entries = [...wanted].map(([{ name }, value]): [string, Json] => [name, value]);
  const made: Json = Object.fromEntries(entries);
  return isJsonObject(made) ? made : undefined;
}
