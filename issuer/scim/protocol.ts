import { isJsonObject, type JsonObject } from '@bulla/verifier/envelope';
import { IssuerRefusal } from '../errors.ts';
import type { ScimScope } from '../provisioning/scim-token.ts';
import { runBulk } from './bulk.ts';
import type { Change, Collection } from './collection.ts';
import { discover, splitPath } from './discovery.ts';
import { listed, listedTogether } from './listed.ts';
import { parseQuery, parseSearch } from './listing.ts';
import type { ScimAnswer, ScimRequest } from './message.ts';
import { applyPatch, namedBy, parsePatch } from './patch.ts';
import { parseProjection, project } from './project.ts';
import { refuse } from './refuse.ts';
import { type Attributes, readResource } from './values.ts';

/** How often a change is tried anew where somebody else was faster, and the client named no version: of so many at once each gets in. */
const maxAttempts = 64;

/** What a caller may reach. */
export interface Access {
  readonly scopes: readonly ScimScope[];
  readonly collections: readonly Collection[];
  /** URL of the service: `https://…/a/<account>/scim/v2`. */
  readonly base: string;
}

/**
 * Answers one SCIM request (RFC 7644 section 3) of whoever holds `access`; refusals are thrown.
 *
 * @throws {IssuerRefusal} `scim_…`, `row_taken`, `person_unknown`, `version_moved`, `method_refused`, and others' as they are.
 * @throws {Refusal} the rule of the trust log that says no.
 */
export async function answer(access: Access, request: ScimRequest): Promise<ScimAnswer> {
  const { method, path, query } = request;
  const discovered = discover(path, access.base, query);
  if (discovered !== undefined) {
    requireMethod(method, ['GET']);
    return { status: 200, body: discovered };
  }
  const [name, id] = splitPath(path);
  if (name === 'Me') throw refuse('scim_me_absent', 'token belongs to a connection, which is nobody');
  if (name === 'Bulk' && id === undefined) {
    requireMethod(method, ['POST']);
    const perform = async (each: ScimRequest) => {
      if (splitPath(each.path)[0] === 'Bulk' || each.path.endsWith('/.search'))
        throw refuse('scim_syntax_invalid', 'bulk requests neither hold others nor search');
      return answer(access, each);
    };
    return { status: 200, body: await runBulk(bodyOf(request), perform) };
  }
  if (name === '.search' && id === undefined) {
    requireMethod(method, ['POST']);
    return { status: 200, body: await searchAll(access, bodyOf(request)) };
  }
  const collection = access.collections.find(({ type }) => type.endpoint === `/${name}`);
  if (collection === undefined) throw new IssuerRefusal('path_unknown', 'nothing is served at this path');
  return id === undefined || id === '.search'
    ? answerCollection(access, collection, request, id)
    : answerResource(access, collection, request, id);
}

function requireMethod(method: string, taken: readonly string[]): void {
  if (!taken.includes(method)) throw new IssuerRefusal('method_refused', `only ${taken.join(', ')} is taken`);
}

function requireScope({ scopes }: Access, { scope }: Collection, right: 'read' | 'write'): void {
  const wanted: ScimScope = `${scope}:${right}`;
  if (!scopes.includes(wanted)) throw refuse('scim_scope_missing', `token lacks the scope \`${wanted}\``);
}

function bodyOf({ body }: ScimRequest): JsonObject {
  if (body === undefined) throw refuse('scim_syntax_invalid', 'body is missing');
  return body;
}

async function answerCollection(
  access: Access,
  collection: Collection,
  request: ScimRequest,
  search: string | undefined,
): Promise<ScimAnswer> {
  const { type } = collection;
  if (search !== undefined) {
    requireMethod(request.method, ['POST']);
    requireScope(access, collection, 'read');
    return { status: 200, body: await listed(collection, parseSearch(type, bodyOf(request))) };
  }
  requireMethod(request.method, ['GET', 'POST']);
  if (request.method === 'GET') {
    requireScope(access, collection, 'read');
    return { status: 200, body: await listed(collection, parseQuery(type, request.query)) };
  }
  requireScope(access, collection, 'write');
  const id = await collection.create(readResource(type, requireSchema(collection, bodyOf(request))));
  return { ...(await shown(collection, request, id)), status: 201 };
}

async function searchAll(access: Access, body: JsonObject): Promise<JsonObject> {
  const readable = access.collections.filter(({ scope }) => access.scopes.includes(`${scope}:read`));
  if (readable.length === 0) throw refuse('scim_scope_missing', 'token may read nothing');
  return listedTogether(readable, body);
}

/** A resource says what it is: RFC 7643 section 3. */
function requireSchema({ type }: Collection, body: JsonObject): JsonObject {
  const entry = Object.entries(body).find(([name]) => name.toLowerCase() === 'schemas');
  const urns: unknown = entry?.[1];
  const wanted = type.schema.id.toLowerCase();
  if (!Array.isArray(urns) || !urns.some((urn) => typeof urn === 'string' && urn.toLowerCase() === wanted)) {
    throw refuse('scim_syntax_invalid', '`schemas` does not name the schema of this resource type');
  }
  return body;
}

async function answerResource(
  access: Access,
  collection: Collection,
  request: ScimRequest,
  id: string,
): Promise<ScimAnswer> {
  requireMethod(request.method, ['GET', 'PUT', 'PATCH', 'DELETE']);
  requireScope(access, collection, request.method === 'GET' ? 'read' : 'write');
  switch (request.method) {
    case 'GET': {
      const found = await shown(collection, request, id);
      return matchesTag(request.ifNoneMatch, found.version) ? { status: 304, version: found.version } : found;
    }
    case 'DELETE':
      await requireVersion(collection, request, id);
      await collection.remove(id);
      return { status: 204 };
    case 'PUT': {
      const after = readResource(collection.type, requireSchema(collection, bodyOf(request)));
      const named = new Set(Object.keys(after));
      await changed(collection, request, id, { how: 'put', named, make: () => after });
      return shown(collection, request, id);
    }
    default: {
      const operations = parsePatch(bodyOf(request));
      await changed(collection, request, id, {
        how: 'patch',
        named: namedBy(collection.type, operations),
        make: (before) => applyPatch(collection.type, before, operations),
      });
      return shown(collection, request, id);
    }
  }
}

async function changed(
  collection: Collection,
  request: ScimRequest,
  id: string,
  {
    how,
    named,
    make,
  }: Pick<Change, 'how' | 'named'> & {
    readonly make: (before: Attributes) => Attributes | Promise<Attributes>;
  },
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    // What is kept is read first: a change after that moves its version, and is refused.
    const kept = await collection.kept(id);
    if (kept === undefined) throw unknown();
    await requireVersion(collection, request, id);
    const after = await make(kept.attributes);
    // Without this each refresh by a client would be another version. What is said of standing is left to the log.
    const isSame = JSON.stringify(after) === JSON.stringify(kept.attributes);
    if (how === 'patch' && isSame && !named.has('active')) return;
    try {
      await collection.change(id, { before: kept.attributes, after, how, named, version: kept.version });
      return;
    } catch (error) {
      const isRace = error instanceof IssuerRefusal && error.code === 'version_moved';
      if (!isRace || attempt === maxAttempts) throw error;
    }
  }
}

async function requireVersion(collection: Collection, { ifMatch }: ScimRequest, id: string): Promise<void> {
  const found = await collection.find(id);
  if (found === undefined) throw unknown();
  if (ifMatch !== undefined && !matchesTag(ifMatch, metaOf(found, 'version'))) {
    throw new IssuerRefusal('version_moved', 'resource has changed since this version');
  }
}

async function shown(collection: Collection, { query }: ScimRequest, id: string): Promise<ScimAnswer> {
  const found = await collection.find(id);
  if (found === undefined) throw unknown();
  const names = (name: string) =>
    query.getAll(name).flatMap((value) => (value === '' ? [] : value.split(',')));
  const projection = parseProjection(collection.type, names('attributes'), names('excludedAttributes'));
  return {
    status: 200,
    body: project(collection.type, found, projection),
    location: metaOf(found, 'location'),
    version: metaOf(found, 'version'),
  };
}

function metaOf({ meta }: JsonObject, name: 'location' | 'version'): string | undefined {
  const value = meta !== undefined && isJsonObject(meta) ? meta[name] : undefined;
  return typeof value === 'string' ? value : undefined;
}

/** RFC 9110 section 8.8.3.2, weak comparison; `*` is any version. */
function matchesTag(header: string | undefined, version: string | undefined): boolean {
  if (header === undefined || version === undefined) return false;
  const opaque = (tag: string) => tag.trim().replace(/^W\//u, '');
  return header.split(',').some((tag) => tag.trim() === '*' || opaque(tag) === opaque(version));
}

function unknown(): Error {
  return refuse('scim_resource_unknown', 'connection has no resource with this id');
}
