import type { Json, JsonObject } from '@bulla/verifier/envelope';
import type { Collection } from './collection.ts';
import type { Filter } from './filter.ts';
import { pageResponse, parseSearch, type Query, select } from './listing.ts';
import type { AttributePath } from './path.ts';

/** Resources in memory at once while everything is looked through. */
const rowsPerRead = 500;

/**
 * Answers a query. What the store can look up is not searched; a filter that it cannot help with looks at everything the
 * connection has, a piece at a time, and so does an order.
 */
export async function listed(collection: Collection, query: Query): Promise<JsonObject> {
  const from = query.startIndex - 1;
  if (query.filter === undefined && query.sortBy === undefined) {
    const page = await collection.page(from, query.count);
    return pageResponse(collection.type, query, await whole(collection, page), await collection.count());
  }
  const ids = query.filter && (await idsFor(collection, query.filter));
  const found = ids === undefined ? await searched(collection, query) : await named(collection, ids, query);
  const page = found.slice(from, from + query.count);
  return pageResponse(
    collection.type,
    query,
    ids === undefined ? await whole(collection, page) : page,
    found.length,
  );
}

/** Ids among which everything is that can fit the filter, or undefined where the store cannot tell. */
async function idsFor(collection: Collection, filter: Filter): Promise<readonly string[] | undefined> {
  switch (filter.op) {
    case 'and':
      return (await idsFor(collection, filter.left)) ?? idsFor(collection, filter.right);
    case 'has': {
      if (filter.filter.op !== 'compare' || filter.path.extension !== undefined) return undefined;
      const { path, comparator, value } = filter.filter;
      if (comparator !== 'eq' || typeof value !== 'string') return undefined;
      return collection.lookUp(`${filter.path.attribute?.name}.${path.attribute?.name}`, value);
    }
    case 'compare': {
      const { comparator, value, path } = filter;
      if (comparator !== 'eq' || typeof value !== 'string' || path.extension !== undefined) return undefined;
      return collection.lookUp(nameOf(path), value);
    }
    default:
      return undefined;
  }
}

function nameOf({ attribute, sub }: AttributePath): string {
  return `${attribute?.name ?? ''}${sub === undefined ? '' : `.${sub.name}`}`;
}

async function named(
  collection: Collection,
  ids: readonly string[],
  query: Query,
): Promise<readonly JsonObject[]> {
  const found: JsonObject[] = [];
  for (const id of new Set(ids)) {
    const resource = await collection.find(id);
    if (resource !== undefined) found.push(resource);
  }
  return select(query, found);
}

async function searched(collection: Collection, query: Query): Promise<readonly JsonObject[]> {
  const needsWhole = query.filter !== undefined && isCostly(collection, query.filter);
  const found: JsonObject[] = [];
  for (let offset = 0; ; offset += rowsPerRead) {
    const page = await collection.page(offset, rowsPerRead);
    const looked = needsWhole ? await whole(collection, page) : page;
    found.push(...select({ filter: query.filter, sortBy: undefined, descending: false }, looked));
    if (page.length < rowsPerRead) break;
    // Others get a word in: a search of everything takes a while.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return select({ ...query, filter: undefined }, found);
}

function isCostly(collection: Collection, filter: Filter): boolean {
  switch (filter.op) {
    case 'and':
    case 'or':
      return isCostly(collection, filter.left) || isCostly(collection, filter.right);
    case 'not':
      return isCostly(collection, filter.filter);
    default:
      return collection.costly.has(filter.path.attribute?.name ?? '');
  }
}

async function whole(collection: Collection, page: readonly JsonObject[]): Promise<readonly JsonObject[]> {
  const found: JsonObject[] = [];
  for (const { id } of page) {
    const resource = typeof id === 'string' ? await collection.find(id) : undefined;
    if (resource !== undefined) found.push(resource);
  }
  return found;
}

/**
 * Answers a search of several resource types: one after the other, each in its own order. A type that does not have an attribute
 * of the filter has nothing that fits; the search is refused only where no type has it.
 *
 * @throws {IssuerRefusal} as `parseSearch`.
 */
export async function listedTogether(
  collections: readonly Collection[],
  body: JsonObject,
): Promise<JsonObject> {
  const found: Json[] = [];
  let refusal: unknown;
  let [total, tried, response]: [number, number, JsonObject] = [0, 0, {}];
  for (const collection of collections) {
    const query = queryFor(collection, body);
    if (!('startIndex' in query)) {
      refusal ??= query.refusal;
      continue;
    }
    tried += 1;
    const startIndex = Math.max(1, query.startIndex - total);
    const count = query.count - found.length;
    response = await listed(collection, { ...query, startIndex, count });
    const { totalResults, Resources } = response;
    if (typeof totalResults === 'number') total += totalResults;
    if (Array.isArray(Resources)) found.push(...(Resources as readonly Json[]));
    response = { ...response, startIndex: query.startIndex };
  }
  if (tried === 0) throw refusal;
  return { ...response, totalResults: total, itemsPerPage: found.length, Resources: found };
}

function queryFor({ type }: Collection, body: JsonObject): Query | { readonly refusal: unknown } {
  try {
    return parseSearch(type, body);
  } catch (refusal) {
    return { refusal };
  }
}
