import type { Context, Hono } from 'hono';
import type { Account } from '../account.ts';
import { IssuerRefusal } from '../errors.ts';
import { readJsonBody, requireText } from '../http/body.ts';
import { createRateLimit, type RateLimit } from '../http/rate.ts';
import type { FindAccount } from '../oauth/routes.ts';
import { erasePerson } from '../provisioning/erase.ts';
import {
  issueScimToken,
  listScimTokens,
  revokeScimToken,
  type ScimScope,
  scimScopes,
} from '../provisioning/scim-token.ts';
import { leavingPerson, searchPeople, showPerson } from './people.ts';

const maxBodyBytes = 65_536;
const failuresPerMinute = 60;
const maxQueryLength = 256;
const maxTokenLifeSeconds = 366 * 86_400;
const defaultTokenLifeSeconds = 90 * 86_400;

interface Asked {
  readonly account: Account;
  readonly c: Context;
}

type Work = (asked: Asked) => Promise<object> | object;

/** The operators' side of an account: docs/spec/activation.md section 5. Nothing here signs as an admin. */
export function addOperatorRoutes(app: Hono, find: FindAccount, now: () => number): void {
  const limit = createRateLimit(failuresPerMinute, now);
  addSessionRoutes(app, find, limit);
  const base = '/a/:account/operator';
  const get = (path: string, work: Work): void => {
    app.get(`${base}${path}`, (c) => answer(c, find, limit, work));
  };
  const post = (path: string, work: Work): void => {
    app.post(`${base}${path}`, (c) => answer(c, find, limit, work));
  };
  get('/people', async ({ account, c }) => ({ people: await searchPeople(account, queryOf(c)) }));
  get('/people/:id', ({ account, c }) => showPerson(account, personId(c)));
  get('/people/:id/leaving', ({ account, c }) => leavingPerson(account, personId(c)));
  post('/people/:id/invitation', async ({ account, c }) => {
    if (account.invitations === undefined) {
      throw new IssuerRefusal('invitations_missing', 'this issuer sends no invitations');
    }
    await account.invitations.invite(personId(c));
    return { invited: true };
  });
  post('/people/:id/erase', async ({ account, c }) => ({ ...(await erasePerson(account, personId(c))) }));
  get('/connections', ({ account }) => ({ connections: [...account.connections.keys()].sort() }));
  get('/tokens', async ({ account }) => ({ tokens: await listScimTokens(account.store) }));
  post('/tokens', issueToken);
  post('/tokens/:id/revoke', async ({ account, c }) => {
    await revokeScimToken(account.store, c.req.param('id') ?? '');
    return { revoked: true };
  });
}

function addSessionRoutes(app: Hono, find: FindAccount, limit: RateLimit): void {
  app.get('/a/:account/operator/login', (c) => {
    const { login } = find(c).operators;
    if (login === undefined) throw new IssuerRefusal('path_unknown', 'operators do not log in here');
    return c.json({ issuer: login.issuer, client_id: login.clientId });
  });
  app.post('/a/:account/operator/session', async (c) => {
    const account = find(c);
    c.header('Cache-Control', 'no-store');
    const body = await readJsonBody(c, maxBodyBytes, ['id_token', 'session']);
    const [idToken, secret] = [
      requireText(body['id_token'], 'id_token'),
      requireText(body['session'], 'session'),
    ];
    return counted(account, limit, async () =>
      c.json({ expires: await account.operators.open(idToken, secret) }),
    );
  });
  app.post('/a/:account/operator/session/end', async (c) => {
    await find(c).operators.end(c.req.header('authorization'));
    return c.json({ ended: true });
  });
}

async function issueToken({ account, c }: Asked): Promise<object> {
  const body = await readJsonBody(c, maxBodyBytes, ['connection', 'scopes', 'seconds']);
  const connection = requireText(body['connection'], 'connection');
  if (!account.connections.has(connection)) {
    throw new IssuerRefusal('parameter_invalid', 'no connection of this name is configured');
  }
  const { scopes = scimScopes, seconds = defaultTokenLifeSeconds } = body;
  if (!Array.isArray(scopes) || scopes.length === 0 || !scopes.every(isScope)) {
    throw new IssuerRefusal('parameter_invalid', '`scopes` is not a list of scopes');
  }
  if (typeof seconds !== 'number' || !(seconds >= 1 && seconds <= maxTokenLifeSeconds)) {
    throw new IssuerRefusal('parameter_invalid', '`seconds` is not 1 s to 366 d');
  }
  const notAfter = account.ports.now() + seconds;
  const { token, listed } = await issueScimToken(
    account.store,
    { connection, scopes, notAfter },
    account.ports,
  );
  return { token, listed };
}

function isScope(value: unknown): value is ScimScope {
  return scimScopes.some((scope) => scope === value);
}

async function answer(c: Context, find: FindAccount, limit: RateLimit, work: Work): Promise<Response> {
  const account = find(c);
  c.header('Cache-Control', 'no-store');
  const { name: operator } = await counted(account, limit, () =>
    account.operators.require(c.req.header('authorization')),
  );
  const answered = await work({ account, c });
  if (c.req.method === 'POST') {
    // To whom or what: an id that was found, as nothing else is answered.
    const acted = { operator, what: c.req.routePath, target: c.req.param('id') };
    account.ports.log({ level: 'info', event: 'operator.acted', account: account.log.account, ...acted });
  }
  return c.json(answered);
}

/** Failures alone count: strangers slow down strangers. */
async function counted<T>(account: Account, limit: RateLimit, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof IssuerRefusal && error.code.startsWith('operator_')) limit(account.log.account);
    throw error;
  }
}

function personId(c: Context): string {
  const id = c.req.param('id') ?? '';
  if (!/^prn_[0-9a-f]{32}$/u.test(id)) throw new IssuerRefusal('person_unknown', 'no such person');
  return id;
}

function queryOf(c: Context): string {
  const query = c.req.query('query') ?? '';
  if (query.length > maxQueryLength) throw new IssuerRefusal('parameter_invalid', '`query` is too long');
  return query;
}
