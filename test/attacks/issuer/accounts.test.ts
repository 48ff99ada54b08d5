import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { someDigest } from '../../kit/log.ts';
import { type Neighbours, startNeighbours, type Tenant } from '../../kit/tenants.ts';

/** Two accounts of one issuer: whatever alpha has, it is nothing at beta, as if it did not exist. */
let here: Neighbours;
let alpha: Tenant;
let beta: Tenant;
beforeAll(async () => {
  here = await startNeighbours();
  ({ alpha, beta } = here);
}, 30_000);
afterAll(async () => here.close());

interface Route {
  readonly method: string;
  /** As it is registered, below `/a/:account`. */
  readonly path: string;
}

const prefix = '/a/:account';

/** What stands for the rest of a path: of a route that takes whatever comes, one of each kind that it answers. */
const wildcards: Readonly<Record<string, readonly Route[]>> = {
  '/log/tile/*': [{ method: 'GET', path: '/log/tile/entries/000.p/3' }],
  '/scim/v2/*': [
    ...[
      '/Users',
      '/Users/:person',
      '/Groups',
      '/Groups/:none',
      '/Agents',
      '/Schemas',
      '/ServiceProviderConfig',
      '/Me',
    ].map((path) => ({ method: 'GET', path: `/scim/v2${path}` })),
    { method: 'POST', path: '/scim/v2/Users' },
    { method: 'POST', path: '/scim/v2/Bulk' },
    { method: 'POST', path: '/scim/v2/.search' },
    { method: 'PATCH', path: '/scim/v2/Users/:person' },
    { method: 'DELETE', path: '/scim/v2/Users/:person' },
  ],
};

/** Routes that answer everybody alike, for they say nothing that is not public or ask for a credential in the body. */
const open = new Set([
  'GET /.well-known/openid-configuration',
  'GET /log/checkpoint',
  'GET /api/openapi.json',
  'GET /activate',
  'GET /operator/login',
  'POST /operator/session/end',
]);

/** Every route of the app as it is: a new one is tried here without being named. */
function routes(): readonly Route[] {
  const all = here.issuer.app.routes
    .filter(({ path }) => path.startsWith(`${prefix}/`))
    .map(({ method, path }) => ({ method, path: path.slice(prefix.length) }));
  return all.flatMap((route) => {
    if (!route.path.includes('*')) return [route];
    const samples = wildcards[route.path];
    if (samples === undefined) throw new Error(`say in this test what \`${route.path}\` stands for`);
    return samples;
  });
}

const queries = new Map([
  ['/log/entries', '?from=0'],
  ['/log/stream', '?from=0'],
]);

interface Ids {
  readonly person: string;
  readonly user: string;
  readonly agent: string;
  readonly key: string;
  readonly stream: string;
  readonly digest: string;
  readonly token: string;
  readonly code: string;
}

const idsOf = ({ person, world, stream, digest, tokenId, code }: Tenant): Ids => ({
  person,
  user: world.alice.id,
  agent: world.agent.id,
  key: world.agent.signer.publicKey.thumbprint,
  stream,
  digest,
  token: tokenId,
  code,
});

/** Of the same forms, and nobody's. */
const nobodys = (): Ids => ({
  person: `prn_${randomBytes(16).toString('hex')}`,
  user: `prn_${randomBytes(16).toString('hex')}`,
  agent: `agt_${randomBytes(16).toString('hex')}`,
  key: randomBytes(32).toString('base64url'),
  stream: 'gamma-stream',
  digest: someDigest(randomBytes(8).toString('hex')),
  token: `sct_${randomBytes(8).toString('hex')}`,
  code: randomBytes(32).toString('base64url'),
});

function fill(path: string, ids: Ids): string {
  return path.replaceAll(/:(\w+)/gu, (_, name: string) => {
    if (name === 'person' || path.startsWith('/operator/people')) return ids.person;
    if (name === 'principal') return ids.user;
    if (name === 'key' || name === 'jkt') return ids.key;
    if (name === 'stream') return ids.stream;
    if (name === 'digest') return ids.digest;
    if (name === 'id' && path.includes('/tokens/')) return ids.token;
    if (name === 'id') return path.includes('/agents/') ? ids.agent : ids.user;
    return 'x'.repeat(43);
  });
}

interface Content {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

function contentOf({ method, path }: Route, ids: Ids): Content {
  if (method === 'GET' || method === 'DELETE') return {};
  const json = (body: object) => ({
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (path.endsWith('/token')) {
    const body = 'grant_type=client_credentials&scope=users:read';
    return { headers: { 'content-type': 'application/x-www-form-urlencoded' }, body };
  }
  if (path.startsWith('/events/'))
    return { headers: { 'content-type': 'application/secevent+jwt' }, body: 'a.b.c' };
  if (path === '/log/entries') return json({ leaf: 'not-a-leaf' });
  if (path === '/log/requests') return json({ request: 'not-a-request' });
  if (path === '/activation/look') return json({ code: ids.code });
  if (path === '/activation/complete') return json({ code: ids.code, request: 'not-a-request' });
  if (path.startsWith('/api/v1/')) return {};
  return json({});
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly retryAfter: string | null;
}

/** What beta answers to a request with this credential and these ids. */
async function atBeta(route: Route, authorization: string | undefined, ids: Ids): Promise<Answer> {
  // Failures before are not to make the answer: the limit on them lets one in a second pass.
  alpha.world.ahead += 2;
  beta.world.ahead = alpha.world.ahead;
  const { headers, ...content } = contentOf(route, ids);
  const response = await here.issuer.app.request(
    `${beta.world.base}${fill(route.path, ids)}${queries.get(route.path) ?? ''}`,
    {
      method: route.method,
      headers: { ...headers, ...(authorization !== undefined && { authorization }) },
      ...content,
    },
  );
  const retryAfter = response.headers.get('retry-after');
  if (route.path !== '/log/stream' || response.status !== 200) {
    return { status: response.status, text: await response.text(), retryAfter };
  }
  await response.body?.cancel();
  return { status: 200, text: '', retryAfter };
}

/** A credential of the same form that is nobody's. */
function strange(authorization: string): string {
  const [scheme = '', value = ''] = authorization.split(' ', 2);
  if (scheme === 'Basic')
    return `Basic ${Buffer.from(`partner:${randomBytes(24).toString('hex')}`).toString('base64')}`;
  if (scheme === 'DPoP')
    return `DPoP ${randomBytes(value.length).toString('base64url').slice(0, value.length)}`;
  const length = 32;
  return `Bearer ${value.slice(0, -length)}${randomBytes(length).toString('hex').slice(0, length)}`;
}

/** Answers differ in nothing but the ids that were asked for, the proof that there is no record of them, and chance. */
function alike(answer: Answer, ids: Ids): Answer {
  const text = Object.values(ids as unknown as Record<string, string>).reduce(
    (left, id) => left.replaceAll(id, '*'),
    answer.text,
  );
  const proofs = /"proof":\{[^{}]*(?:\{[^{}]*\}[^{}]*)?\}/gu;
  return { ...answer, text: text.replaceAll(proofs, '').replace(/"access_token":"[^"]*"/u, '') };
}

describe('at every route of an account', () => {
  test('the routes are those of the app, each kind among them', () => {
    const paths = routes().map(({ path }) => path);
    for (const each of [
      '/oauth/token',
      '/log/entries',
      '/api/v1/users',
      '/scim/v2/Users',
      '/activation/look',
      '/events/:stream',
    ]) {
      expect(paths).toContain(each);
    }
  });

  test("a neighbour's credential is worth what a made-up one is", async () => {
    for (const route of routes()) {
      for (const [kind, authorization] of Object.entries(alpha.credentials)) {
        const ids = idsOf(beta);
        const foreign = await atBeta(route, authorization, { ...ids, code: alpha.code });
        const invented = await atBeta(route, strange(authorization), { ...ids, code: nobodys().code });
        expect({ route, kind, ...foreign }).toEqual({ route, kind, ...invented });
        if (foreign.status < 400) expect([...open]).toContain(`${route.method} ${route.path}`);
      }
    }
  }, 60_000);

  test('nothing but what is public is answered to whoever has no credential of the account', async () => {
    for (const route of routes()) {
      const { status } = await atBeta(route, undefined, { ...idsOf(beta), code: nobodys().code });
      if (status < 400) expect([...open]).toContain(`${route.method} ${route.path}`);
    }
  });

  test("a neighbour's id names what a made-up one does, to those who may ask", async () => {
    const naming = routes().filter(({ path }) => path.includes(':') || path.startsWith('/activation/'));
    for (const route of naming) {
      for (const [kind, authorization] of Object.entries(beta.credentials)) {
        const [theirs, invented] = [idsOf(alpha), nobodys()];
        const foreign = alike(await atBeta(route, authorization, theirs), theirs);
        expect({ route, kind, ...foreign }).toEqual({
          route,
          kind,
          ...alike(await atBeta(route, authorization, invented), invented),
        });
      }
    }
  }, 60_000);

  test('its own credentials open it, so that the refusals above say something', async () => {
    const closed: string[] = [];
    for (const route of routes()) {
      if (route.method !== 'GET') continue;
      const answers = await Promise.all(
        Object.values(beta.credentials).map(async (each) => atBeta(route, each, idsOf(beta))),
      );
      if (!answers.some(({ status }) => status === 200)) closed.push(route.path);
    }
    expect(closed).toEqual(['/scim/v2/Groups/:none', '/scim/v2/Me']);
    for (const [kind, path] of [
      ['personal read token', '/log/entries'],
      ['session of an operator', '/operator/people'],
    ] as const) {
      const answer = await atBeta({ method: 'GET', path }, beta.credentials[kind], idsOf(beta));
      expect([kind, answer.status]).toEqual([kind, 200]);
    }
  });
});

describe('beside the routes', () => {
  const formAt = async ({ world }: Tenant, form: Record<string, string>): Promise<unknown> => {
    const response = await here.issuer.app.request(`${world.base}/api/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ grant_type: 'client_credentials', ...form }).toString(),
    });
    return response.json();
  };
  const tokenOf = ({ credentials }: Tenant) =>
    (credentials['access token of the Users API'] ?? '').replace('Bearer ', '');

  test('the secret of a client of the same name is no secret here', async () => {
    const said = await formAt(beta, { client_id: 'partner', client_secret: alpha.secret });
    expect(said).toMatchObject({ code: 'client_unauthenticated' });
    expect(said).toEqual(await formAt(beta, { client_id: 'stranger', client_secret: alpha.secret }));
  });

  test('a cursor of the same client, list and query begins no page here', async () => {
    const { next } = (await alpha.api.call('GET /users?limit=1', tokenOf(alpha))).body;
    expect(next).not.toBe(null);
    const crossed = await beta.api.call(`GET /users?limit=1&cursor=${String(next)}`, tokenOf(beta));
    expect(crossed).toMatchObject({ status: 400, body: { code: 'cursor_invalid' } });
  });

  test('an idempotency key of the same client is a fresh one here', async () => {
    const key = { 'idempotency-key': 'the-same-key' };
    const first = await alpha.api.call(`POST /agents/${alpha.world.agent.id}/suspend`, tokenOf(alpha), key);
    expect(first.body).toMatchObject({ changed: true });
    const second = await beta.api.call(`POST /agents/${beta.world.agent.id}/suspend`, tokenOf(beta), key);
    expect([second.body['changed'], second.headers.get('idempotency-replayed')]).toEqual([true, null]);
  });

  test('the audit tells what the neighbours did to nobody', async () => {
    for (const tenant of [alpha, beta]) {
      await tenant.api.call(`GET /agents/${tenant.world.agent.id}`, tokenOf(tenant));
    }
    const { items } = (await beta.api.call('GET /audit?limit=200', tokenOf(beta))).body as {
      items: { status: number; target: string | null }[];
    };
    // What was refused may name whatever this account's own client asked for.
    const done = items.filter(({ status }) => status === 200).map(({ target }) => target);
    expect(done).toContain(`agent/${beta.world.agent.id}`);
    expect(done).not.toContain(`agent/${alpha.world.agent.id}`);
  });

  test('the same `userName` is two people', async () => {
    expect(alpha.person).not.toBe(beta.person);
    const { okta, hosted } = beta.world;
    expect(await hosted.people.find(okta, { id: alpha.person })).toBeUndefined();
    expect((await hosted.people.find(okta, { id: beta.person }))?.externalId).toBe('carol');
  });

  test('an envelope is exchanged, and an assertion taken, by its own account alone', async () => {
    expect(await (await beta.world.token({ client: alpha.world.agent })).json()).toMatchObject({
      code: 'client_unauthenticated',
    });
    const exchanged = await beta.world.token({
      form: {
        grant_type: ['urn:ietf:params:oauth:grant-type:token-exchange'],
        client_assertion: [],
        client_assertion_type: [],
        client_id: [],
        subject_token: [alpha.envelope],
        subject_token_type: ['urn:ietf:params:oauth:token-type:access_token'],
      },
      proofSigner: alpha.world.agent.signer,
    });
    expect(exchanged.status).toBe(400);
    expect(JSON.stringify(await exchanged.json())).not.toContain(alpha.world.ledger.account);
  });

  test('who spends the failures of one account holds nobody up in another', async () => {
    const look = async (tenant: Tenant, code: string) =>
      tenant.world.post('/activation/look', { code }, null);
    const wrong = 'A'.repeat(43);
    const statuses: number[] = [];
    for (let tries = 0; tries < 40; tries += 1) statuses.push((await look(alpha, wrong)).status);
    expect(statuses).toContain(429);
    expect((await look(beta, wrong)).status).toBe(403);
    expect((await look(beta, beta.code)).status).toBe(200);
  });
});
