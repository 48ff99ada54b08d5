import { isJsonObject, type Json, type JsonObject } from '@bulla/verifier/envelope';
import type { Comparator, Filter } from './filter.ts';
import type { AttributePath } from './path.ts';
import type { Attribute } from './schema.ts';

/**
 * Whether a resource, or one value of a complex attribute, fits a filter: RFC 7644 section 3.4.2.2. A multi-valued attribute
 * fits where one of its values does; a complex one is compared by its `value`. Text is compared as `caseExact` says.
 */
export function matches(filter: Filter, resource: JsonObject): boolean {
  switch (filter.op) {
    case 'and':
      return matches(filter.left, resource) && matches(filter.right, resource);
    case 'or':
      return matches(filter.left, resource) || matches(filter.right, resource);
    case 'not':
      return !matches(filter.filter, resource);
    case 'pr':
      return valuesAt(resource, filter.path).length > 0;
    case 'has':
      return valuesAt(resource, filter.path).some(
        (value) => isJsonObject(value) && matches(filter.filter, value),
      );
    default:
      return matchesComparison(filter, resource);
  }
}

function matchesComparison(filter: Extract<Filter, { op: 'compare' }>, resource: JsonObject): boolean {
  const { path, comparator, value: wanted } = filter;
  const found = valuesAt(resource, path).map((each) => simple(each, path));
  if (wanted === null) return (comparator === 'eq') === (found.length === 0);
  if (comparator === 'ne') return !found.some(({ type, value }) => compare(type, value, 'eq', wanted));
  return found.some(({ type, value }) => compare(type, value, comparator, wanted));
}

/** Every value at a path, lists taken apart; empty where there is none. */
export function valuesAt(
  resource: JsonObject,
  { extension, attribute, sub }: AttributePath,
): readonly Json[] {
  const home = extension === undefined ? resource : (own(resource, extension.id) ?? null);
  if (!isJsonObject(home)) return [];
  if (attribute === undefined) return [home];
  const found = listed(own(home, attribute.name));
  return sub === undefined
    ? found
    : found.flatMap((value) => (isJsonObject(value) ? listed(own(value, sub.name)) : []));
}

function own(value: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(value, name) ? value[name] : undefined;
}

function listed(value: Json | undefined): readonly Json[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? (value as readonly Json[]) : [value];
}

function simple(
  value: Json,
  { attribute, sub }: AttributePath,
): { type: Attribute | undefined; value: Json } {
  if (sub !== undefined || !isJsonObject(value)) return { type: sub ?? attribute, value };
  const type = attribute?.subAttributes.find(({ name }) => name === 'value');
  return { type, value: own(value, 'value') ?? null };
}

function compare(
  type: Attribute | undefined,
  actual: Json,
  comparator: Comparator,
  wanted: string | number | boolean,
): boolean {
  if (typeof actual === 'boolean') {
    const expected = typeof wanted === 'string' ? wanted.toLowerCase() : String(wanted);
    return comparator === 'eq' && String(actual) === expected;
  }
  if (typeof actual === 'number') return typeof wanted === 'number' && ordered(comparator, actual - wanted);
  if (typeof actual !== 'string') return false;
  const text = String(wanted);
  if (type?.type === 'dateTime') return ordered(comparator, Date.parse(actual) - Date.parse(text));
  return compareText(comparator, folded(type, actual), folded(type, text));
}

function folded(type: Attribute | undefined, text: string): string {
  return type?.caseExact === true ? text : text.toLowerCase();
}

function compareText(comparator: Comparator, actual: string, wanted: string): boolean {
  switch (comparator) {
    case 'co':
      return actual.includes(wanted);
    case 'sw':
      return actual.startsWith(wanted);
    case 'ew':
      return actual.endsWith(wanted);
    default:
      return ordered(comparator, actual === wanted ? 0 : actual < wanted ? -1 : 1);
  }
}

function ordered(comparator: Comparator, difference: number): boolean {
  switch (comparator) {
    case 'eq':
      return difference === 0;
    case 'gt':
      return difference > 0;
    case 'ge':
      return difference >= 0;
    case 'lt':
      return difference < 0;
    case 'le':
      return difference <= 0;
    default:
      return false;
  }
}
