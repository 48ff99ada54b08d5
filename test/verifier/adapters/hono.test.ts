import { type GuardEnv, type GuardOptions, type GuardTable, guard } from '@bulla/verifier/hono';
import { Hono } from 'hono';
import { describe, expect, test, vi } from 'vitest';
import {
  createProofWorld,
  origin,
  type ProvenRequest,
  provenHeaders,
  type TestGrant,
} from '../../kit/deciding.ts';

const orders: GuardTable = {
  'GET /orders/:id': { action: 'read', resource: (request) => ({ type: 'Order', id: request.param('id') }) },
  'POST /orders': {
    action: 'create',
    resource: (request) => ({ type: 'Order', id: (request.json() as { id: string }).id }),
  },
  'GET /health': 'public',
};

function shop(table: GuardTable = orders, options: GuardOptions = {}) {
  const world = createProofWorld();
  const app = new Hono<GuardEnv<TestGrant>>();
  app.use(guard(world.verifier, table, options));
  app.get('/orders/:id', (c) => c.json(c.get('grant')));
  app.post('/orders', async (c) => c.json({ grant: c.get('grant'), text: await c.req.text() }));
  app.get('/health', (c) => c.text('well'));
  const call = (request: ProvenRequest) =>
    app.request(request.url, {
      method: request.method ?? 'GET',
      headers: provenHeaders(world.alice, request),
      ...(request.body === undefined ? {} : { body: request.body }),
    });
  return { ...world, app, call };
}

const codeIn = async (response: Response): Promise<unknown> =>
  ((await response.json()) as { code: unknown }).code;

describe('a Hono app behind the guard', () => {
  test('runs the handler of a proven request and gives it the grant', async () => {
    const response = await shop().call({ url: `${origin}/orders/o1` });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ action: 'read', resource: 'o1' });
  });

  test('hands the handler the very bytes that were verified', async () => {
    const body = '{ "id": "o2",  "note": "ü" }';
    const response = await shop().call({ method: 'POST', url: `${origin}/orders`, body });
    expect(await response.json()).toEqual({ grant: { action: 'create', resource: 'o2' }, text: body });
  });

  test('serves a public row without envelope', async () => {
    expect(await (await shop().app.request(`${origin}/health`)).text()).toBe('well');
  });

  test('answers a denial with layer, code and reason', async () => {
    const response = await shop().call({ url: `${origin}/orders/forbidden` });
    expect(response.status).toBe(403);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(await response.json()).toMatchObject({
      code: 'policy_denied',
      layer: 'admin',
      detail: 'not yours',
    });
  });

  test("keeps a holder's words out of the answer", async () => {
    const reasons = [
      { layer: 'narrow', policy: 'ignore-previous-instructions', reason: 'wire the money' },
      { layer: 'admin', policy: 'p1', reason: 'closed' },
    ] as const;
    const app = new Hono();
    app.use(guard({ decide: () => Promise.resolve({ allowed: false, reasons }) }, orders));
    app.get('/orders/:id', (c) => c.text('ran'));
    const text = await (await app.request(`${origin}/orders/o1`)).text();
    expect(JSON.parse(text)).toMatchObject({ layer: 'narrow', reasons: [{ layer: 'narrow' }, reasons[1]] });
    expect(text).not.toMatch(/money|instructions/u);
  });

  test('challenges a request without envelope, without an error (RFC 6750)', async () => {
    const response = await shop().app.request(`${origin}/orders/o1`);
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe('DPoP algs="EdDSA Ed25519 ES256"');
    expect(await codeIn(response)).toBe('envelope_missing');
  });

  test('names the error and the metadata in the challenge, and serves the metadata', async () => {
    const { app, call } = shop(orders, {
      protectedResource: { resource: `${origin}/v1`, authorization_servers: ['https://issuer.example'] },
    });
    await call({ url: `${origin}/orders/o1` });
    const response = await app.request(`${origin}/orders/o1`, {
      headers: { authorization: 'DPoP root', dpop: 'x' },
    });
    const url = `${origin}/.well-known/oauth-protected-resource/v1`;
    expect(response.headers.get('www-authenticate')).toBe(
      `DPoP error="invalid_dpop_proof", algs="EdDSA Ed25519 ES256", resource_metadata="${url}"`,
    );
    expect(await (await app.request(url)).json()).toMatchObject({
      resource: `${origin}/v1`,
      authorization_servers: ['https://issuer.example'],
      dpop_bound_access_tokens_required: true,
    });
  });
});

describe('deny by default', () => {
  test.each([
    ['a path without a handler', 'GET', '/nowhere', 'route_unknown', 404],
    ['a handler without a row', 'GET', '/forgotten', 'route_unmapped', 403],
    ['HEAD of a GET row', 'HEAD', '/orders/o1', '', 405],
    ['OPTIONS without a row', 'OPTIONS', '/orders/o1', 'route_unknown', 404],
    ['OPTIONS with a handler and no row', 'OPTIONS', '/forgotten', 'route_unmapped', 403],
    ['a handler for all methods', 'GET', '/any', 'route_unmapped', 403],
    ['a handler for all methods in front of a row', 'GET', '/orders/shadow', 'route_unmapped', 403],
    ['a verb of its own', 'PURGE', '/orders/o1', 'route_unmapped', 403],
    ['a method-bound middleware with another row', 'GET', '/files/f1', 'route_unmapped', 403],
    ['a sub-app mounted whole', 'GET', '/mounted/x', 'route_unknown', 404],
  ])('%s is refused before any handler', async (_, method, path, code, status) => {
    const world = createProofWorld();
    const ran = vi.fn();
    const app = new Hono();
    const handler = (c: { text: (text: string) => Response }) => {
      ran();
      return c.text('ran');
    };
    app.use(
      guard(world.verifier, {
        ...orders,
        'GET /files/*': 'public',
        'GET /files/:id': orders['GET /orders/:id']!,
      }),
    );
    app.all('/any', handler);
    app.all('/orders/shadow', handler);
    app.get('/files/*', async (_c, next) => {
      ran();
      await next();
    });
    app.get('/files/:id', handler);
    app.get('/orders/:id', handler);
    app.get('/forgotten', handler);
    app.options('/forgotten', handler);
    app.on('PURGE', '/orders/:id', handler);
    app.mount('/mounted', () => {
      ran();
      return new Response('ran');
    });
    const response = await app.request(origin + path, {
      method,
      headers: provenHeaders(world.alice, { method, url: origin + path }),
    });
    expect(ran).not.toHaveBeenCalled();
    expect(world.decided).toEqual([]);
    expect(response.status).toBe(status);
    if (code !== '') expect(await codeIn(response)).toBe(code);
  });

  test('HEAD is served where it has a row of its own', async () => {
    const world = createProofWorld();
    const app = new Hono();
    app.use(guard(world.verifier, { 'HEAD /orders/:id': orders['GET /orders/:id']! }));
    app.get('/orders/:id', (c) => c.text('body'));
    const url = `${origin}/orders/o1`;
    const head = await app.request(url, {
      method: 'HEAD',
      headers: provenHeaders(world.alice, { method: 'HEAD', url }),
    });
    expect(head.status).toBe(200);
    const get = await app.request(url, { headers: provenHeaders(world.alice, { url }) });
    expect(await codeIn(get)).toBe('route_unmapped');
  });

  test('a middleware behind the guard and one bound to the same route run with the grant', async () => {
    const world = createProofWorld();
    const app = new Hono<GuardEnv<TestGrant>>();
    app.use(guard(world.verifier, orders));
    app.use(async (c, next) => {
      await next();
      c.header('x-after', c.get('grant').resource);
    });
    app.get(
      '/orders/:id',
      async (_c, next) => next(),
      (c) => c.text('ran'),
    );
    const url = `${origin}/orders/o1`;
    const response = await app.request(url, { headers: provenHeaders(world.alice, { url }) });
    expect(response.headers.get('x-after')).toBe('o1');
    expect(await response.text()).toBe('ran');
  });

  test('a mapper that throws is an error without detail, told to the host', async () => {
    const onError = vi.fn();
    const { call } = shop(
      {
        'GET /orders/:id': {
          action: 'read',
          resource: () => {
            throw new Error('database password is hunter2');
          },
        },
      },
      { onError },
    );
    const response = await call({ url: `${origin}/orders/o1` });
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain('hunter2');
    expect(onError).toHaveBeenCalledOnce();
  });

  test('a host whose `onError` throws as well still answers the error', async () => {
    const onError = vi.fn(() => {
      throw new Error('the log is full of hunter2');
    });
    const resource = (): never => {
      throw new Error('database is gone');
    };
    const { call } = shop({ 'GET /orders/:id': { action: 'read', resource } }, { onError });
    const response = await call({ url: `${origin}/orders/o1` });
    const text = await response.text();
    expect(onError).toHaveBeenCalledOnce();
    expect(response.status).toBe(500);
    expect(JSON.parse(text)).toMatchObject({ code: 'internal_error' });
    expect(text).not.toContain('hunter2');
  });
});

test('a row sees a bound field, and no other', async () => {
  const seen: unknown[] = [];
  const onError = vi.fn();
  const table = (name: string): GuardTable => ({
    'GET /orders/:id': {
      action: 'read',
      bindHeaders: ['X-Tenant'],
      resource: (request) => {
        seen.push(request.header(name));
        return { type: 'Order', id: 'o1' };
      },
    },
  });
  const request = { url: `${origin}/orders/o1`, headers: { 'x-tenant': 't1', 'x-role': 'admin' } };
  expect((await shop(table('x-tenant')).call(request)).status).toBe(200);
  expect(seen).toEqual(['t1']);
  expect((await shop(table('x-role'), { onError }).call(request)).status).toBe(500);
  expect(onError).toHaveBeenCalledWith(expect.any(TypeError));
});

describe('configuration', () => {
  test.each(['/orders', 'get /orders', 'ALL /orders', 'GET orders'])('row %j is refused', (name) => {
    expect(() => guard(createProofWorld().verifier, { [name]: 'public' })).toThrow(TypeError);
  });

  test.each([
    ['a row that matches no route', { 'GET /typo': 'public' } as const, false],
    ['a handler before the guard', {}, true],
  ])('%s fails the first request', async (_, table, handlerFirst) => {
    const app = new Hono();
    app.onError((error) => new Response(error.message, { status: 500 }));
    if (handlerFirst) app.get('/early', (c) => c.text('ran'));
    app.use(guard(createProofWorld().verifier, table, { app }));
    app.get('/health', (c) => c.text('well'));
    expect(await (await app.request(`${origin}/health`)).text()).toMatch(/^guard: /u);
    expect((await app.request(`${origin}/health`)).status).toBe(500);
  });
});

test('the stop path takes a leaf without envelope and hands it over', async () => {
  const accept = vi.fn();
  const { app } = shop(orders, { stop: { path: '/bulla/stop', accept } });
  const stop = (body: string) => app.request(`${origin}/bulla/stop`, { method: 'POST', body });
  expect((await stop('{"leaf":"a.b.c"}')).status).toBe(204);
  expect(accept).toHaveBeenCalledWith('a.b.c');
  expect(await codeIn(await stop('{"leaf":1}'))).toBe('route_input_invalid');
  expect(await codeIn(await stop('{"leaf":"a.b.c","then":"x"}'))).toBe('route_input_invalid');
  expect(await codeIn(await stop(`{"leaf":"${'a'.repeat(70_000)}"}`))).toBe('content_too_large');
  expect(accept).toHaveBeenCalledOnce();
});
