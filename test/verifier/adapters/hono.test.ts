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

  test('says what the verifier itself forbids', async () => {
    const reasons = [{ layer: 'builtin', policy: 'assurance_too_low' }] as const;
    const app = new Hono();
    app.use(guard({ decide: () => Promise.resolve({ allowed: false, reasons }) }, orders));
    app.get('/orders/:id', (c) => c.text('ran'));
    const response = await app.request(`${origin}/orders/o1`);
    expect(await response.json()).toMatchObject({ code: 'policy_denied', layer: 'builtin', reasons });
  });
});

describe('deny by default', () => {
  test.each([
    ['a handler without a row', 'GET', '/forgotten', 'route_unmapped', 403],
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
    expect(await codeIn(response)).toBe(code);
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
