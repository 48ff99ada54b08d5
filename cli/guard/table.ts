import { Refusal, type Resource } from '@bulla/verifier';
import { compileRoutes, type MappedRequest, type Match, type RouteRow } from '@bulla/verifier/adapter';
import { Fields, invalid } from './fields.ts';
import { compileValue, type Reader, type Scope, Source } from './values.ts';

/** A row of guard's table: what is asked, or `public` where anyone may call. */
type GuardRow = RouteRow | 'public';

/** Finds the row of a request. @throws {Refusal} `route_unknown`, `route_method_unmapped`, `route_input_invalid`. */
export type FindRow = (method: string, path: string) => Match<GuardRow>;

const typeName = /^[A-Za-z_]\w*(?:::[A-Za-z_]\w*)*$/u;

/**
 * Compiles `routes` of the configuration. Everything that has no row is refused, HEAD and OPTIONS too.
 *
 * @param stalenessSeconds for rows that say nothing themselves.
 * @throws {CliError} `guard_config_invalid` naming row and field.
 */
export function compileTable(routes: Fields, stalenessSeconds: number | undefined): FindRow {
  const rows: Record<string, GuardRow> = {};
  for (const name of routes.names) {
    rows[name] = routes.raw(name) === 'public' ? 'public' : compileRow(routes, name, stalenessSeconds);
  }
  if (routes.names.length === 0) throw invalid('routes', 'is empty');
  try {
    return compileRoutes(rows);
  } catch (error) {
    throw invalid(
      'routes',
      `is not acceptable: ${error instanceof Error ? error.message : 'unknown reason'}`,
    );
  }
}

function compileRow(routes: Fields, name: string, stalenessSeconds: number | undefined): RouteRow {
  const fields = routes.object(name);
  if (fields === undefined) throw invalid(routes.at(name), 'is missing');
  const action = fields.text('action');
  const bindHeaders = fields.texts('bindHeaders');
  const staleness = fields.integer('stalenessSeconds', 1, 86_400) ?? stalenessSeconds;
  const scope: Scope = {
    params: new Set([...name.matchAll(/\/:(\w+)/gu)].map(([, param = '']) => param)),
    bindHeaders: new Set(bindHeaders.map((header) => header.toLowerCase())),
    readsContent: false,
  };
  const resource = compileResource(fields.raw('resource'), fields.at('resource'), scope);
  const context = compileContext(fields, scope);
  fields.done();
  const sources = new WeakMap<MappedRequest, Source>();
  const sourceOf = (request: MappedRequest): Source => {
    const source = sources.get(request) ?? new Source(request);
    sources.set(request, source);
    return source;
  };
  return {
    action,
    // Content is JSON only where its type says so to the API as well; the proof binds the type wherever there is content.
    bindHeaders: scope.readsContent ? [...bindHeaders, 'content-type'] : bindHeaders,
    ...(staleness !== undefined && { stalenessSeconds: staleness }),
    resource: (request) => {
      if (scope.readsContent) requireJson(request);
      return resource(sourceOf(request));
    },
    ...(context !== undefined && { context: (request) => context(sourceOf(request)) }),
  };
}

function requireJson(request: MappedRequest): void {
  const type = request.header('content-type') ?? '';
  if (!/^application\/(?:[a-z0-9.-]+\+)?json(?:\s*;\s*charset="?utf-8"?)?$/iu.test(type)) {
    throw new Refusal('route_input_invalid', 'content is not declared to be JSON in UTF-8');
  }
}

function compileContext(
  fields: Fields,
  scope: Scope,
): ((source: Source) => Readonly<Record<string, unknown>>) | undefined {
  const context = fields.object('context');
  if (context === undefined) return undefined;
  const readers = readersOf(context, scope);
  return (source) => Object.fromEntries(readers.map(([name, read]) => [name, read(source)]));
}

function readersOf(fields: Fields, scope: Scope): (readonly [name: string, read: Reader])[] {
  return fields.names.map((name) => [name, compileValue(fields.raw(name), fields.at(name), scope)]);
}

type ReadResource = (source: Source) => Resource;

/** Types are written in the table: what a request says never chooses one. */
function compileResource(value: unknown, at: string, scope: Scope): ReadResource {
  const fields = new Fields(value, at);
  const type = fields.text('type');
  if (!typeName.test(type)) throw invalid(fields.at('type'), 'is not the name of an entity type');
  if (fields.raw('id') === undefined) throw invalid(fields.at('id'), 'is missing');
  const id = compileValue(fields.raw('id'), fields.at('id'), scope);
  const attributes = fields.object('attributes');
  const readers = attributes === undefined ? undefined : readersOf(attributes, scope);
  const ancestors = compileResources(fields, 'ancestors', scope);
  const related = compileResources(fields, 'related', scope);
  fields.done();
  return (source) => ({
    type,
    id: textOf(id(source)),
    ...(readers !== undefined && {
      attributes: Object.fromEntries(readers.map(([name, read]) => [name, read(source)])),
    }),
    ...(ancestors !== undefined && { ancestors: ancestors.map((read) => read(source)) }),
    ...(related !== undefined && { related: related.map((read) => read(source)) }),
  });
}

function compileResources(
  fields: Fields,
  name: 'ancestors' | 'related',
  scope: Scope,
): readonly ReadResource[] | undefined {
  const value = fields.raw(name);
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw invalid(fields.at(name), 'is not a list');
  return value.map((item: unknown, index) => compileResource(item, `${fields.at(name)}[${index}]`, scope));
}

function textOf(id: unknown): string {
  if (typeof id === 'string' && id !== '') return id;
  throw new Refusal('route_input_invalid', 'id of a resource is not a text');
}
