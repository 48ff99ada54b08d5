import type { Json, JsonObject } from '@bulla/verifier/envelope';
import type { Collection } from './collection.ts';
import type { Filter } from './filter.ts';
import { type Found, find, inOrder, pageResponse, parseSearch, type Query } from './listing.ts';
import type { AttributePath } from './path.ts';

/** Resources in memory at once while everything is looked through. */
const rowsPerRead = 500;
/** Of resources in one answer, as JSON. A page that would be larger ends early: RFC 7644 section 3.4.2.4 lets it. */
const maxPageLength = 8_388_608;

/**
 * Answers a query. What the store can look up is not searched; a filter that it cannot help with looks at everything the
 * connection has, a piece at a time, and so does an order. Of what it finds it keeps ids until the page is made.
 */
export async function listed(collection: Collection, query: Query): Promise<JsonObject> {
  const from = query.startIndex - 1;
  if (query.filter === undefined && query.sortBy === undefined) {
    const page = (await collection.page(from, query.count)).map(idOf);
    return pageResponse(collection.type, query, await whole(collection, page), await collection.count());
  }
  const ids = query.filter && (await idsFor(collection, query.filter));
  const found = ids === undefined ? await searched(collection, query) : await named(collection, ids, query);
  const page = inOrder(query, found).slice(from, from + query.count);
  return pageResponse(
    collection.type,
    query,
    await whole(
      collection,
      page.map(({ id }) => id),
    ),
    found.length,
  );
}

function idOf({ id }: JsonObject): string {
  return typeof id === 'string' ? id : '';
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
): Promise<readonly Found[]> {
  const found: Found[] = [];
  for (const id of new Set(ids)) {
    const resource = await collection.find(id);
    found.push(...fitting(query, resource));
  }
  return found;
}

async function searched(collection: Collection, query: Query): Promise<readonly Found[]> {
  const needsWhole =
    (query.filter !== undefined && isCostly(collection, query.filter)) ||
    collection.costly.has(query.sortBy?.attribute?.name ?? '');
  const found: Found[] = [];
  for (let offset = 0; ; offset += rowsPerRead) {
    const page = await collection.page(offset, rowsPerRead);
    for (const resource of page) {
      found.push(...fitting(query, needsWhole ? await collection.find(idOf(resource)) : resource));
      if (needsWhole) await breath();
    }
    if (page.length < rowsPerRead) return found;
    await breath();
  }
}

function fitting(query: Query, resource: JsonObject | undefined): readonly Found[] {
  const found = resource && find(query, resource);
  return found === undefined ? [] : [found];
}

/** Others get a word in: a search of everything takes a while. */
async function breath(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
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

async function whole(collection: Collection, ids: readonly string[]): Promise<readonly JsonObject[]> {
  const found: JsonObject[] = [];
  let length = 0;
  for (const id of ids) {
    const resource = await collection.find(id);
    if (resource === undefined) continue;
    length += JSON.stringify(resource).length;
    if (length > maxPageLength && found.length > 0) break;
    found.push(resource);
    await breath();
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
  let endsEarly = false;
  for (const collection of collections) {
    const query = queryFor(collection, body);
    if (!('startIndex' in query)) {
      refusal ??= query.refusal;
      continue;
    }
    tried += 1;
    const startIndex = Math.max(1, query.startIndex - total);
    const count: number = endsEarly ? 0 : query.count - found.length;
    response = await listed(collection, { ...query, startIndex, count });
    const { totalResults, Resources } = response;
    const shown = Array.isArray(Resources) ? (Resources as readonly Json[]) : [];
    found.push(...shown);
    if (typeof totalResults === 'number') {
      total += totalResults;
      // What was cut off comes first on the next page, before resources of another type.
      endsEarly ||= shown.length < Math.min(count, totalResults - startIndex + 1);
    }
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
