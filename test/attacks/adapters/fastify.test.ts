import { type FastifyTable, granted, guard } from '@bulla/verifier/fastify';
import createFastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createProofWorld, origin, provenHeaders, type TestGrant } from '../../kit/deciding.ts';

// Fastify's router folds what its options say, registers HEAD routes by itself, runs hooks before and after the guard's, and
// gives hooks only to what is registered behind them.

const apps: FastifyInstance[] = [];
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close();
});

const order = {
  action: 'read',
  resource: (request: { params: Readonly<Record<string, string>> }) => ({
    type: 'Order',
    id: request.params['id'] ?? '-',
  }),
};

function create(options: FastifyServerOptions = {}): FastifyInstance {
  const app = createFastify(options);
  apps.push(app);
  return app;
}

async function guarded(table: FastifyTable, options: FastifyServerOptions = {}) {
  const world = createProofWorld();
  const app = create(options);
  await app.register(guard(world.verifier, table));
  const send = async (method: 'GET' | 'HEAD' | 'POST', path: string, body?: string) => {
    const headers = provenHeaders(world.alice, {
      method,
      url: origin + path,
      ...(body !== undefined && { body }),
    });
    const response = await app.inject({
      method,
      url: path,
      headers: { ...headers, host: 'api.example' },
      ...(body !== undefined && { payload: body }),
    });
    const code = /"code":"([a-z_]+)"/u.exec(response.body)?.[1];
    return { status: response.statusCode, code, text: response.body };
  };
  return { ...world, app, send };
}

describe('nothing answers before the guard', () => {
  test.each(['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const)(
    'not a %s hook of the app',
    async (name) => {
      const { app, send } = await guarded({ 'GET /orders/:id': order });
      const hook = vi.fn();
      app.addHook(name as 'onRequest', async (_request, reply) => {
        hook();
        return reply.send('from a cache');
      });
      app.get('/orders/:id', () => 'ran');
      expect((await send('GET', '/orders/forbidden')).code).toBe('policy_denied');
      expect(hook).not.toHaveBeenCalled();
      expect((await send('GET', '/orders/o1')).text).toBe('from a cache');
    },
  );

  test('not the 404 handler', async () => {
    const { app, send } = await guarded({ 'GET /orders/:id': order });
    const handler = vi.fn();
    app.get('/orders/:id', () => 'ran');
    app.setNotFoundHandler((_request, reply) => {
      handler();
      return reply.send('a page');
    });
    expect((await send('GET', '/nowhere')).code).toBe('route_unknown');
    expect(handler).not.toHaveBeenCalled();
  });

  test('not the validation of a schema', async () => {
    const { app, send } = await guarded({
      'POST /orders': { ...order, resource: () => ({ type: 'Order', id: 'forbidden' }) },
    });
    app.post('/orders', { schema: { body: { type: 'object', required: ['x'] } } }, () => 'ran');
    expect((await send('POST', '/orders', '{}')).code).toBe('policy_denied');
  });

  test('not a parser: a hook behind the guard cannot bring other content', async () => {
    const { app, send } = await guarded({ 'POST /orders': order });
    app.post('/orders', (request) => ({
      body: request.body,
      same: granted<TestGrant>(request).request.json(),
    }));
    expect(JSON.parse((await send('POST', '/orders', '{"a":1}')).text)).toEqual({
      body: { a: 1 },
      same: { a: 1 },
    });
  });
});

describe('the route that Fastify chose is the one that is asked about', () => {
  test('an automatic HEAD route has no row', async () => {
    const { app, send } = await guarded({ 'GET /orders/:id': order });
    app.get('/orders/:id', () => 'ran');
    expect((await send('HEAD', '/orders/o1')).status).toBe(405);
  });

  test.each<[string, FastifyServerOptions, string]>([
    ['letters', { routerOptions: { caseSensitive: false } }, '/ORDERS/admin'],
    ['a trailing slash', { routerOptions: { ignoreTrailingSlash: true } }, '/orders/admin/'],
    ['two slashes', { routerOptions: { ignoreDuplicateSlashes: true } }, '/orders//admin'],
  ])('folding %s makes no second reading', async (_, options, path) => {
    const { app, send } = await guarded({ 'GET /orders/:id': order, 'GET /orders/admin': order }, options);
    app.get('/orders/:id', () => 'order');
    app.get('/orders/admin', (request) => ({
      chose: granted<TestGrant>(request).grant.resource,
      ran: 'admin',
    }));
    const answer = await send('GET', path);
    if (answer.status === 200) expect(JSON.parse(answer.text)).toEqual({ chose: '-', ran: 'admin' });
    else expect(answer.code).toBe('request_target_invalid');
  });

  test('a prefix, and its root with and without slash', async () => {
    const { app, send } = await guarded({ 'GET /api/orders/:id': order, 'GET /api': order });
    await app.register(
      async (api) => {
        api.get('/orders/:id', () => 'order');
        api.get('/', () => 'root');
      },
      { prefix: '/api' },
    );
    expect((await send('GET', '/api/orders/o1')).text).toBe('order');
    expect((await send('GET', '/api')).text).toBe('root');
    expect((await send('GET', '/api/')).status).toBeLessThan(500);
  });

  test('a parameter that is empty is no parameter', async () => {
    const { app, send } = await guarded({ 'GET /orders/:id': order });
    const ran = vi.fn();
    app.get('/orders/:id', ran);
    expect((await send('GET', '/orders/')).code).toBe('route_unknown');
    expect(ran).not.toHaveBeenCalled();
  });

  test('a public row gives no grant', async () => {
    const { app, send } = await guarded({ 'GET /open': 'public' });
    app.get('/open', (request) => {
      expect(() => granted(request)).toThrow(TypeError);
      return 'open';
    });
    expect((await send('GET', '/open')).text).toBe('open');
  });
});

describe('`ready` fails', () => {
  const { verifier } = createProofWorld();
  const table = { 'GET /orders/:id': order };

  test('where a route was registered before the guard', async () => {
    const app = create();
    app.get('/orders/:id', () => 'ran');
    app.register(guard(verifier, table));
    await expect(app.ready()).rejects.toThrow(TypeError);
  });

  test('where a plugin with routes was registered before the guard', async () => {
    const app = create();
    app.register(async (early) => {
      early.get('/early', () => 'ran');
    });
    app.register(guard(verifier, table));
    app.register(async (late) => {
      late.get('/orders/:id', () => 'ran');
    });
    await expect(app.ready()).rejects.toThrow('before the first route');
  });

  test('where the guard is in a plugin of its own', async () => {
    const app = create();
    app.register(async (inner) => {
      await inner.register(guard(verifier, {}));
    });
    await expect(app.ready()).rejects.toThrow('root instance');
  });

  test('or the adding of a route, where constraints let two have one name', async () => {
    const app = create();
    await app.register(guard(verifier, table));
    app.get('/orders/:id', () => 'ran');
    const admin = () => app.get('/orders/:id', { constraints: { host: 'admin.example' } }, () => 'admin');
    expect(admin).toThrow('two routes');
  });

  test('where a row matches no route', async () => {
    const app = create();
    app.register(guard(verifier, { 'GET /typo': order }));
    await expect(app.ready()).rejects.toThrow('no route `GET /typo`');
  });

  test.each(['/orders', 'get /orders', 'GET'])('and the guard is not made with the row %j', (name) => {
    expect(() => guard(verifier, { [name]: 'public' })).toThrow(TypeError);
  });
});
