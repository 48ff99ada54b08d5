import type { Context, Hono } from 'hono';
import type { Account } from '../account.ts';
import { IssuerRefusal } from '../errors.ts';
import { readBody, requireMediaType } from '../http/body.ts';
import { problemOf } from '../http/problem.ts';
import type { Allowance } from '../http/rate.ts';
import { type FindAccount, tokenError } from '../oauth/routes.ts';
import { runChange, runRead } from './call.ts';
import type { Caller, Endpoint, RawCall } from './endpoint.ts';
import { endpoints } from './endpoints.ts';
import { apiMetadata, apiPlaceOf, openapiDocument } from './openapi.ts';
import { issueAccessToken } from './token.ts';
import { findCaller, type UsersApi } from './users-api.ts';

const maxFormBytes = 65_536;
const maxBodyBytes = 1024;
const documentSeconds = 300;

/** The Users API of every account that has one: docs/spec/users-api.md. */
export function addUsersApiRoutes(app: Hono, find: FindAccount, publicUrl: string): void {
  const placeOf = (account: Account) => apiPlaceOf(publicUrl, account.log.account);
  const published = (c: Context, document: object): Response => {
    c.header('Cache-Control', `public, max-age=${documentSeconds}`);
    return c.json(document);
  };
  app.get('/.well-known/oauth-authorization-server/a/:account/api', (c) =>
    published(c, apiMetadata(placeOf(withApi(find(c)).account))),
  );
  app.get('/a/:account/api/openapi.json', (c) =>
    published(c, openapiDocument(placeOf(withApi(find(c)).account))),
  );
  app.post('/a/:account/api/token', async (c) => {
    const { account, api } = withApi(find(c));
    return tokenAnswer(c, account, api, publicUrl);
  });
  for (const endpoint of endpoints) {
    const path = `/a/:account/api/v1${endpoint.path.replaceAll(/\{(\w+)\}/gu, ':$1')}`;
    app.on(endpoint.method, path, async (c) => {
      const { account, api } = withApi(find(c));
      return answer(c, account, api, endpoint);
    });
  }
}

/** An account without a Users API looks like a path that is not served. */
function withApi(account: Account): { readonly account: Account; readonly api: UsersApi } {
  const { usersApi: api } = account;
  if (api === undefined) throw new IssuerRefusal('path_unknown', 'nothing is served at this path');
  return { account, api };
}

async function tokenAnswer(
  c: Context,
  account: Account,
  api: UsersApi,
  publicUrl: string,
): Promise<Response> {
  const { issuer, token } = apiPlaceOf(publicUrl, account.log.account);
  c.header('Cache-Control', 'no-store');
  try {
    requireMediaType(c.req.raw, 'application/x-www-form-urlencoded');
    return c.json(
      await issueAccessToken(account, api, {
        body: await readBody(c.req.raw, maxFormBytes),
        authorization: c.req.header('authorization'),
        audiences: [issuer, token],
      }),
    );
  } catch (error) {
    return tokenError(c, account, error);
  }
}

async function answer(c: Context, account: Account, api: UsersApi, endpoint: Endpoint): Promise<Response> {
  const caller = await findCaller(api, account.store, c.req.header('authorization'), account.ports.now());
  showAllowance(c, api.limitClient(caller.client));
  c.header('Cache-Control', 'no-store');
  const call = { caller, endpoint, idempotencyKey: c.req.header('idempotency-key') };
  try {
    requireScope(c, caller, endpoint);
    const { account: _account, ...path } = c.req.param() as Record<string, string>;
    const raw: RawCall = { account, caller, path, query: readQuery(c) };
    if (endpoint.method === 'GET') return c.json(await runRead(account, api, { ...call, raw, endpoint }));
    await requireNoBody(c);
    const { replayed, body } = await runChange(account, api, { ...call, raw, endpoint });
    if (replayed) c.header('Idempotency-Replayed', 'true');
    return c.json(body);
  } catch (error) {
    const { status, code } = problemOf(error);
    const refused = { client: caller.client.id, operation: endpoint.operationId, status, code, entry: null };
    const target = targetOf(endpoint, c.req.param());
    const dryRun = c.req.query('dry_run') === 'true';
    await account.store.writeRows(api.trail.rows({ ...refused, target, dryRun }));
    throw error;
  }
}

/** RateLimit header fields for HTTP (draft-ietf-httpapi-ratelimit-headers). */
function showAllowance(c: Context, { capacity, windowSeconds, remaining, fullInSeconds }: Allowance): void {
  c.header('RateLimit-Policy', `"client";q=${capacity};w=${windowSeconds}`);
  c.header('RateLimit', `"client";r=${remaining};t=${fullInSeconds}`);
}

function requireScope(c: Context, caller: Caller, { scope }: Endpoint): void {
  if (caller.scopes.has(scope)) return;
  c.header('WWW-Authenticate', `Bearer error="insufficient_scope", scope="${scope}"`);
  throw new IssuerRefusal('scope_insufficient', `access token lacks the scope \`${scope}\``);
}

function readQuery(c: Context): Readonly<Record<string, string>> {
  const query: Record<string, string> = {};
  for (const [name, value] of new URL(c.req.url).searchParams) {
    if (Object.hasOwn(query, name)) throw new IssuerRefusal('parameter_invalid', 'query repeats a parameter');
    // Not by assignment, which would make nothing of `__proto__`.
    Object.defineProperty(query, name, { value, enumerable: true });
  }
  return query;
}

/** Clients that always send JSON send an empty object. */
async function requireNoBody(c: Context): Promise<void> {
  const body = Buffer.from(await readBody(c.req.raw, maxBodyBytes))
    .toString('utf8')
    .trim();
  if (body !== '' && body !== '{}') throw new IssuerRefusal('body_invalid', 'this call takes no body');
}

const idForms: readonly (readonly [name: string, form: RegExp])[] = [
  ['principal', /^prn_[0-9a-f]{32}$/u],
  ['agent', /^agt_[0-9a-f]{32}$/u],
  ['key', /^[A-Za-z0-9_-]{43}$/u],
];

/** What a refused call was about, where it named something that could be there: nothing else that was sent is kept. */
function targetOf({ path }: Endpoint, parameters: Readonly<Record<string, string>>): string | null {
  const id = parameters[path.includes('{jkt}') ? 'jkt' : 'id'] ?? '';
  const form = idForms.find(([, each]) => each.test(id));
  return form === undefined ? null : `${form[0]}/${id}`;
}
