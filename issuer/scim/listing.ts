import { isJsonObject, type Json, type JsonObject } from '@bulla/verifier/envelope';
import { type Filter, parseFilter } from './filter.ts';
import { matches, valuesAt } from './match.ts';
import { member } from './patch.ts';
import { type AttributePath, resolvePath } from './path.ts';
import { type Projection, parseProjection, project } from './project.ts';
import { refuse } from './refuse.ts';
import type { ResourceType } from './schema.ts';

/** Most resources in one answer, whatever `count` says. */
export const maxResults = 200;

const listSchema = 'urn:ietf:params:scim:api:messages:2.0:ListResponse';
const searchSchema = 'urn:ietf:params:scim:api:messages:2.0:SearchRequest';

/** What a client asks of a list: RFC 7644 section 3.4.2. */
export interface Query {
  readonly filter: Filter | undefined;
  readonly sortBy: AttributePath | undefined;
  readonly descending: boolean;
  /** From 1. */
  readonly startIndex: number;
  /** 0 to {@link maxResults}. */
  readonly count: number;
  readonly projection: Projection | undefined;
}

/** Reads the query part of a URL. @throws {IssuerRefusal} `scim_filter_invalid`, `scim_value_invalid`. */
export function parseQuery(type: ResourceType, query: URLSearchParams): Query {
  const values = [...query].map(([name, value]): [string, Json] => [
    name,
    /^(?:excluded)?attributes$/iu.test(name) ? value.split(',') : value,
  ]);
  return readQuery(type, Object.fromEntries(values));
}

/** Reads the body of a `POST …/.search`: RFC 7644 section 3.4.3. @throws as {@link parseQuery}, `scim_syntax_invalid`. */
export function parseSearch(type: ResourceType, body: JsonObject): Query {
  const schemas = member(body, 'schemas');
  if (!Array.isArray(schemas) || !schemas.includes(searchSchema)) {
    throw refuse('scim_syntax_invalid', 'body is no SearchRequest message');
  }
  return readQuery(type, body);
}

function readQuery(type: ResourceType, query: JsonObject): Query {
  const filter = text(query, 'filter');
  const sortBy = text(query, 'sortBy');
  const order = text(query, 'sortOrder')?.toLowerCase() ?? 'ascending';
  if (order !== 'ascending' && order !== 'descending') {
    throw refuse('scim_value_invalid', '`sortOrder` is neither ascending nor descending');
  }
  return {
    filter: filter === undefined ? undefined : parseFilter(type, filter),
    sortBy: sortBy === undefined ? undefined : sortPath(type, sortBy),
    descending: order === 'descending',
    startIndex: Math.max(1, integer(query, 'startIndex', 1)),
    count: Math.min(maxResults, Math.max(0, integer(query, 'count', 100))),
    projection: parseProjection(type, names(query, 'attributes'), names(query, 'excludedAttributes')),
  };
}

function text(query: JsonObject, name: string): string | undefined {
  const value = member(query, name);
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw refuse('scim_value_invalid', `\`${name}\` is not a text`);
  return value;
}

function integer(query: JsonObject, name: string, fallback: number): number {
  const value = member(query, name);
  if (value === undefined || value === null || value === '') return fallback;
  const number = typeof value === 'string' && /^[+-]?\d{1,10}$/u.test(value) ? Number(value) : value;
  if (!Number.isSafeInteger(number)) throw refuse('scim_value_invalid', `\`${name}\` is not an integer`);
  return Number(number);
}

function names(query: JsonObject, name: string): readonly string[] {
  const value = member(query, name);
  if (value === undefined || value === null) return [];
  const list: readonly Json[] = Array.isArray(value) ? (value as readonly Json[]) : [value];
  if (!list.every((each) => typeof each === 'string')) {
    throw refuse('scim_value_invalid', `\`${name}\` is not a list of names`);
  }
  return list.filter((each) => each !== '');
}

function sortPath(type: ResourceType, name: string): AttributePath {
  const path = resolvePath(type, name);
  if (path?.attribute === undefined || path.attribute.returned === 'never') {
    throw refuse('scim_value_invalid', '`sortBy` names no attribute');
  }
  return path;
}

/** A resource that fits a query: no more of it than its place in the answer takes. */
export interface Found {
  readonly id: string;
  readonly key: SortKey;
}

/** Undefined where the resource does not fit the filter. */
export function find({ filter, sortBy }: Query, resource: JsonObject): Found | undefined {
  const { id } = resource;
  if (typeof id !== 'string' || (filter !== undefined && !matches(filter, resource))) return undefined;
  return { id, key: sortBy === undefined ? undefined : sortKey(resource, sortBy) };
}

/** In the order that the query asks for: RFC 7644 section 3.4.2.3. */
export function inOrder({ sortBy, descending }: Query, found: readonly Found[]): readonly Found[] {
  const sign = descending ? -1 : 1;
  return sortBy === undefined ? found : [...found].sort((a, b) => sign * byKey(a.key, b.key));
}

type SortKey = string | number | undefined;

/** Of several values the primary one counts, else the first; a complex value by its `value`. */
function sortKey(resource: JsonObject, path: AttributePath): SortKey {
  const { attribute, sub, extension } = path;
  const whole = valuesAt(resource, { ...(extension && { extension }), ...(attribute && { attribute }) });
  const chosen = whole.find((value) => isJsonObject(value) && value['primary'] === true) ?? whole[0];
  const value = chosen !== undefined && isJsonObject(chosen) ? chosen[sub?.name ?? 'value'] : chosen;
  if (typeof value === 'number') return value;
  if (typeof value === 'boolean') return Number(value);
  if (typeof value !== 'string') return undefined;
  return (sub ?? attribute)?.caseExact === true ? value : value.toLowerCase();
}

/** Resources without a value come last in ascending order. */
function byKey(a: SortKey, b: SortKey): number {
  if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
  return a === b ? 0 : a < b ? -1 : 1;
}

/** A ListResponse of resources that were cut out of a longer list already. */
export function pageResponse(
  type: ResourceType,
  query: Query,
  page: readonly JsonObject[],
  totalResults: number,
): JsonObject {
  return {
    schemas: [listSchema],
    totalResults,
    startIndex: query.startIndex,
    itemsPerPage: page.length,
    Resources: page.map((resource) => project(type, resource, query.projection)),
  };
}
