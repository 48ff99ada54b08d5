import { isJsonObject, type JsonObject, parseContentJson } from '@bulla/verifier/envelope';
import type { Context, Hono } from 'hono';
import type { ContentfulStatusCode, StatusCode } from 'hono/utils/http-status';
import type { Account } from '../account.ts';
import { IssuerRefusal } from '../errors.ts';
import { readBody } from '../http/body.ts';
import { personOfToken } from '../http/read-token.ts';
import type { FindAccount } from '../oauth/routes.ts';
import { checkScimToken } from '../provisioning/scim-token.ts';
import { AgentCollection } from './agents.ts';
import { bulkLimits } from './bulk.ts';
import { isDiscovery } from './discovery.ts';
import { GroupCollection } from './groups.ts';
import { answerMe } from './me.ts';
import { errorAnswer, type ScimAnswer, type ScimRequest } from './message.ts';
import { type Access, answer } from './protocol.ts';
import { refuse } from './refuse.ts';
import { UserCollection } from './users.ts';

const mediaType = 'application/scim+json';
const mediaTypes = new Set([mediaType, 'application/json']);
/** Where SCIM is served, in every account. */
const root = '/a/:account/scim/v2';

/** Methods of SCIM beside GET and POST: RFC 7644 section 3.2. */
export const scimMethods: ReadonlySet<string> = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']);

/** Whether a path is one of SCIM's. */
export function isScimPath(path: string): boolean {
  return /^\/a\/[^/]+\/scim\/v2(?:\/|$)/u.test(path);
}

/** SCIM 2.0 for the connections of every account: docs/spec/scim.md. */
export function addScimRoutes(app: Hono, find: FindAccount): void {
  app.all(`${root}/*`, async (c) => {
    c.header('Cache-Control', 'no-store');
    try {
      const account = find(c);
      const me = await findMe(account, c);
      if (me !== undefined) return send(c, await answerMe(account, me, await readRequest(c, account)));
      const access = await authenticate(account, c);
      return send(c, await answer(access, await readRequest(c, account)));
    } catch (error) {
      return refused(c, error, find);
    }
  });
}

async function authenticate(account: Account, c: Context): Promise<Access> {
  const token = await checkScimToken(account.store, c.req.header('authorization'), account.ports.now());
  const connection = account.connections.get(token.connection);
  // A token outlives the configuration of its connection, but does not open anything then.
  if (connection === undefined) throw new IssuerRefusal('scim_token_wrong', 'connection is not configured');
  connection.limit('');
  const base = `${account.endpoints.issuer}/scim/v2`;
  const collections = [UserCollection, GroupCollection, AgentCollection].map(
    (Of) => new Of(account, connection, base),
  );
  return { scopes: token.scopes, collections, base };
}

/** Who asks about themselves with their personal read token; undefined: nobody, or somebody else's path. */
async function findMe(account: Account, c: Context): Promise<string | undefined> {
  if (!c.req.path.endsWith('/scim/v2/Me')) return undefined;
  const principal = await personOfToken(account.store, account.log.read, c.req.header('authorization'));
  if (principal !== undefined) account.limitClient(principal);
  return principal;
}

async function readRequest(c: Context, account: Account): Promise<ScimRequest> {
  const url = new URL(c.req.url);
  const prefix = `/a/${account.config.account}/scim/v2`;
  const path = decodePath(url.pathname.slice(prefix.length));
  return {
    method: c.req.method,
    path,
    query: url.searchParams,
    // What is not for writing says so whatever is sent.
    body: isDiscovery(path) ? undefined : await readMessage(c),
    ifMatch: c.req.header('if-match'),
    ifNoneMatch: c.req.header('if-none-match'),
  };
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path).replace(/\/$/u, '');
  } catch {
    throw new IssuerRefusal('path_unknown', 'path is not percent-encoded as it should be');
  }
}

/** A body that is not JSON counts only where one is needed; its size and its form do always. */
async function readMessage(c: Context): Promise<JsonObject | undefined> {
  if (c.req.method === 'GET' || c.req.method === 'DELETE') return undefined;
  const bytes = await readBody(c.req.raw, bulkLimits.maxPayloadBytes);
  const type = (c.req.header('content-type') ?? mediaType).split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (!mediaTypes.has(type)) return undefined;
  if (bytes.length === 0) return undefined;
  const value = parseContentJson(bytes);
  if (!isJsonObject(value)) throw refuse('scim_syntax_invalid', 'body is not a JSON object');
  return value;
}

function send(c: Context, { status, body, location, version }: ScimAnswer): Response {
  if (location !== undefined) c.header(status === 201 ? 'Location' : 'Content-Location', location);
  if (version !== undefined) c.header('ETag', version);
  if (body === undefined) return c.body(null, status as StatusCode);
  return c.body(JSON.stringify(body), status as ContentfulStatusCode, { 'Content-Type': mediaType });
}

function refused(c: Context, error: unknown, find: FindAccount): Response {
  const said = errorAnswer(error);
  if (said.status === 401) c.header('WWW-Authenticate', 'Bearer');
  if (said.retryAfterSeconds !== undefined) c.header('Retry-After', String(said.retryAfterSeconds));
  // The name of an unforeseen error, never its message: that could hold what was sent.
  if (said.status >= 500 && !(error instanceof IssuerRefusal)) {
    const name = error instanceof Error ? error.name : 'unknown';
    find(c).ports.log({ level: 'error', event: 'scim.failed', code: said.code ?? 'internal', error: name });
  }
  return send(c, said);
}
