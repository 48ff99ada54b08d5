import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type ExpressTable, granted, guard } from '@bulla/verifier/express';
import createExpress, { type Express, type RequestHandler, Router } from 'express';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createProofWorld, origin, provenHeaders } from '../../kit/deciding.ts';
import { type RawAnswer, sendRaw } from '../../kit/raw-http.ts';

// Express folds case and trailing slashes, decodes, mounts routers under prefixes, and lets middleware rewrite the URL: the
// route that runs must still be the one whose row was asked.

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const world = () => createProofWorld();
const row = (action: string) => ({
  action,
  resource: (request: { params: Readonly<Record<string, string>> }) => ({
    type: 'Order',
    id: request.params['id'] ?? '-',
  }),
});

interface Site {
  readonly send: (method: string, path: string, body?: string, type?: string) => Promise<RawAnswer>;
  readonly ran: string[];
  readonly onError: ReturnType<typeof vi.fn>;
}

/** An app behind the guard; `build` adds its routes. */
async function site(
  table: ExpressTable,
  build: (app: Express, ran: (name: string) => RequestHandler) => void,
  before: (app: Express) => void = () => undefined,
): Promise<Site> {
  const { alice, verifier } = world();
  const onError = vi.fn();
  const ran: string[] = [];
  const app = createExpress();
  app.set('env', 'test');
  before(app);
  app.use(guard(verifier, table, { onError }));
  build(app, (name) => (request, response) => {
    ran.push(name);
    response.json({ body: request.body, params: request.params });
  });
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const local = `127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  const send: Site['send'] = (method, path, body, type = 'application/json') => {
    const headers = provenHeaders(alice, {
      method,
      url: origin + path,
      ...(body !== undefined && { body, headers: { 'content-type': type } }),
    });
    const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    const length = body === undefined ? [] : [`Content-Length: ${String(Buffer.byteLength(body))}`];
    return sendRaw(local, [`${method} ${path} HTTP/1.1`, 'Host: api.example', ...fields, ...length], body);
  };
  return { send, ran, onError };
}

describe('the route that runs is the one that was asked about', () => {
  test.each<[string, ExpressTable, (app: Express, ran: (name: string) => RequestHandler) => void, string]>([
    [
      'a route in other letters',
      { 'GET /orders/:id': row('read') },
      (app, ran) => app.get('/Orders/:id', ran('other')),
      '/orders/o1',
    ],
    [
      'a parameter in front of the literal route of the row',
      { 'GET /orders/new': row('draft') },
      (app, ran) => app.get('/orders/:id', ran('other')).get('/orders/new', ran('own')),
      '/orders/new',
    ],
    [
      'a literal route in front of the parameter of the row',
      { 'GET /orders/:id': row('read') },
      (app, ran) => app.get('/orders/all', ran('other')).get('/orders/:id', ran('own')),
      '/orders/all',
    ],
    [
      'a wildcard',
      { 'GET /orders/:id': row('read') },
      (app, ran) => app.get('/*rest', ran('other')),
      '/orders/o1',
    ],
    [
      'a pattern',
      { 'GET /orders/:id': row('read') },
      (app, ran) => app.get(/^\/orders/u, ran('other')),
      '/orders/o1',
    ],
    [
      'an optional part',
      { 'GET /orders/:id': row('read') },
      (app, ran) => app.get('/orders{/:id}', ran('other')),
      '/orders/o1',
    ],
    [
      'a parameter of another name',
      { 'GET /orders/:id': row('read') },
      (app, ran) => app.get('/orders/:order', ran('other')),
      '/orders/o1',
    ],
    [
      'a router under other letters',
      { 'GET /api/orders/:id': row('read') },
      (app, ran) => app.use('/API', Router().get('/Orders/:id', ran('other'))),
      '/api/orders/o1',
    ],
    [
      'a router under a parameter',
      { 'GET /api/orders/:id': row('read') },
      (app, ran) => app.use('/:tenant', Router().get('/:kind/:id', ran('other'))),
      '/api/orders/o1',
    ],
    [
      "a router under a literal, where the row's mount is a parameter",
      { 'GET /:tenant/orders/:id': row('read') },
      (app, ran) => app.use('/admin', Router().get('/orders/:id', ran('other'))),
      '/admin/orders/o1',
    ],
    [
      "a router under a parameter, where the row's mount is literal",
      { 'GET /admin/orders/:id': row('read') },
      (app, ran) => app.use('/:tenant', Router().get('/orders/:id', ran('other'))),
      '/admin/orders/o1',
    ],
    [
      'an app that is mounted',
      { 'GET /api/orders/:id': row('read') },
      (app, ran) => app.use('/api', createExpress().get('/orders/:other', ran('other'))),
      '/api/orders/o1',
    ],
    [
      'a URL that is rewritten behind the guard',
      { 'GET /orders/:id': row('read') },
      (app, ran) => {
        app.use((request, _, next) => {
          request.url = '/orders/o2';
          next();
        });
        app.get('/orders/:id', ran('other'));
      },
      '/orders/o1',
    ],
    [
      'a URL that is rewritten to another mount',
      { 'GET /api/orders/:id': row('read') },
      (app, ran) => {
        app.use((request, _, next) => {
          request.url = '/admin/orders/o1';
          next();
        });
        app.use('/admin', Router().get('/orders/:id', ran('other')));
      },
      '/api/orders/o1',
    ],
    [
      "a URL that is rewritten to another's mount",
      { 'GET /:tenant/orders/:id': row('read') },
      (app, ran) => {
        app.use((request, _, next) => {
          request.url = '/evil/orders/o1';
          next();
        });
        app.use('/:tenant', Router().get('/orders/:id', ran('other')));
      },
      '/acme/orders/o1',
    ],
    [
      'a method that is rewritten behind the guard',
      { 'GET /orders/:id': row('read') },
      (app, ran) => {
        app.use((request, _, next) => {
          request.method = 'DELETE';
          next();
        });
        app.delete('/orders/:id', ran('other'));
      },
      '/orders/o1',
    ],
    [
      'the next route that a handler passes on to',
      { 'GET /orders/:id': row('read') },
      (app, ran) => {
        app.get('/orders/:id', (_request, _response, next) => next('route'));
        app.get('/orders/*rest', ran('other'));
      },
      '/orders/o1',
    ],
    [
      'a route behind a router that it leaves',
      { 'GET /orders/:id': row('read') },
      (app, ran) => {
        app.use(
          '/orders',
          Router().get('/:id', (_request, _response, next) => next('router')),
        );
        app.get('/orders/*rest', ran('other'));
      },
      '/orders/o1',
    ],
    [
      'a route behind a hundred middlewares, where Express catches nothing',
      { 'GET /orders/:id': row('read') },
      (app, ran) => {
        for (let count = 0; count < 250; count += 1) app.use((_request, _response, next) => next());
        app.get('/orders/:other', ran('other'));
      },
      '/orders/o1',
    ],
  ])('%s does not', async (_, table, build, path) => {
    const { send, ran } = await site(table, build);
    const answer = await send('GET', path);
    expect([answer.status, answer.code]).toEqual([403, 'route_unmapped']);
    expect(ran).toEqual([]);
  });

  test.each<[string, ExpressTable, (app: Express, ran: (name: string) => RequestHandler) => void, string]>([
    [
      'one of several patterns',
      { 'GET /orders/:id': row('read') },
      (app, ran) => app.get(['/old/:id', '/orders/:id'], ran('own')),
      '/orders/o1',
    ],
    [
      'a router under a parameter that the row names',
      { 'GET /:tenant/orders/:id': row('read') },
      (app, ran) => app.use('/:tenant', Router().get('/orders/:id', ran('own'))),
      '/acme/orders/o1',
    ],
    [
      'routers in routers that others before them passed on',
      { 'GET /:tenant/shop/orders/:id': row('read') },
      (app, ran) => {
        const shop = Router({ mergeParams: true }).get('/orders/:id', ran('own'));
        app
          .use('/acme', Router(), Router().use('/:any', Router()))
          .use('/:tenant', Router().use('/shop', shop));
      },
      '/acme/shop/orders/o1',
    ],
    [
      'the root of a router',
      { 'GET /orders': row('list') },
      (app, ran) => app.use('/orders', Router().get('/', ran('own'))),
      '/orders',
    ],
    ['the root of the app', { 'GET /': row('list') }, (app, ran) => app.get('/', ran('own')), '/'],
    [
      'an app in an app',
      { 'GET /api/orders/:id': row('read') },
      (app, ran) => app.use('/api', createExpress().get('/orders/:id', ran('own'))),
      '/api/orders/o1',
    ],
    [
      'a route for all methods, of which the row names one',
      { 'GET /orders/:id': row('read') },
      (app, ran) => app.all('/orders/:id', ran('own')),
      '/orders/o1',
    ],
  ])('%s does', async (_, table, build, path) => {
    const { send, ran } = await site(table, build);
    expect((await send('GET', path)).status).toBe(200);
    expect(ran).toEqual(['own']);
    expect((await send('DELETE', path)).status).toBe(405);
  });

  test('a handler that answers and passes on all the same leads to no other', async () => {
    const { send, ran } = await site({ 'GET /orders/:id': row('read') }, (app, other) => {
      app.get('/orders/:id', (_request, response, next) => {
        response.send('answered');
        setImmediate(next, 'route');
      });
      app.get('/orders/*rest', other('other'));
    });
    expect((await send('GET', '/orders/o1')).text).toBe('answered');
    expect(ran).toEqual([]);
  });

  test('HEAD runs a GET route by a row of its own, and GET does not', async () => {
    const { send, ran } = await site({ 'HEAD /orders/:id': row('read') }, (app, own) =>
      app.get('/orders/:id', own('own')),
    );
    expect((await send('HEAD', '/orders/o1')).status).toBe(200);
    expect((await send('GET', '/orders/o1')).code).toBe('route_method_unmapped');
    expect(ran).toEqual(['own']);
  });
});

describe('what stands before the guard fails every request', () => {
  const table = { 'GET /orders/:id': row('read') };
  test.each<[string, (app: Express) => void]>([
    ['a body parser', (app) => app.use(createExpress.json())],
    ['a route', (app) => app.get('/early', (_, response) => response.send('ran'))],
    ['a router', (app) => app.use(Router())],
    ['an app', (app) => app.use('/admin', createExpress())],
    [
      'a handler that cannot pass on',
      (app) => app.use((_: unknown, response: { end(): void }) => response.end()),
    ],
    [
      'a rewritten URL',
      (app) =>
        app.use((request, _, next) => {
          request.url = '/orders/o2';
          next();
        }),
    ],
  ])('%s', async (name, before) => {
    const { send, ran, onError } = await site(
      table,
      (app, own) => app.get('/orders/:id', own('own')),
      before,
    );
    if (name === 'a handler that cannot pass on')
      return expect((await send('GET', '/orders/o1')).text).toBe('');
    for (const _ of [1, 2]) expect((await send('GET', '/orders/o1')).code).toBe('internal_error');
    expect(ran).toEqual([]);
    expect(onError).toHaveBeenCalledWith(expect.any(TypeError));
    return undefined;
  });

  test('a parser by another name, which takes the content away', async () => {
    const { send, ran, onError } = await site(
      { 'POST /orders': row('create') },
      (app, own) => app.post('/orders', own('own')),
      (app) => app.use((request, _, next) => void request.on('data', () => undefined).on('end', next)),
    );
    expect((await send('POST', '/orders', '{}')).code).toBe('internal_error');
    expect(ran).toEqual([]);
    expect(onError).toHaveBeenCalledOnce();
  });

  test.each<[string, (app: Express, middleware: RequestHandler) => void]>([
    ['a guard under a path', (app, middleware) => app.use('/orders', middleware)],
    ['a guard in a router', (app, middleware) => app.use(Router().use(middleware))],
  ])('%s', async (_, register) => {
    const onError = vi.fn();
    const ran = vi.fn();
    const { verifier } = world();
    const { send } = await site(
      { 'GET /never': 'public' },
      () => undefined,
      (app) => {
        register(app, guard(verifier, table, { onError }));
        app.get('/orders/:id', ran);
      },
    );
    expect((await send('GET', '/orders/o1')).code).toBe('internal_error');
    expect(onError).toHaveBeenCalledWith(
      new TypeError('guard: must be registered on the app itself, for all paths'),
    );
    expect(ran).not.toHaveBeenCalled();
  });
});

describe('the content that a handler gets', () => {
  const table: ExpressTable = { 'POST /orders': row('create'), 'POST /hook': 'public' };
  const build = (app: Express, ran: (name: string) => RequestHandler): void => {
    app.use(createExpress.json(), createExpress.urlencoded(), createExpress.text(), createExpress.raw());
    app.post('/orders', ran('own')).post('/hook', ran('hook'));
  };

  test.each([
    ['parsed JSON', '{"a":[1,2.5]}', 'application/json; charset=utf-8', { a: [1, 2.5] }],
    ['parsed JSON of a suffix', '{"a":1}', 'application/vnd.x+json', { a: 1 }],
    ['the bytes of a form', 'a=1&a=2', 'application/x-www-form-urlencoded', { type: 'Buffer' }],
    ['the bytes of a text', 'text', 'text/plain', { type: 'Buffer' }],
    ['the bytes of what only looks like JSON', '{"a":1}', 'text/jsonx', { type: 'Buffer' }],
  ])('is %s, whatever parsers stand behind the guard', async (_, body, type, expected) => {
    const { send } = await site(table, build);
    expect(JSON.parse((await send('POST', '/orders', body, type)).text)).toMatchObject({ body: expected });
  });

  test('of a public row is the same', async () => {
    const { send } = await site(table, build);
    expect(JSON.parse((await send('POST', '/hook', '{"a":1}')).text)).toMatchObject({ body: { a: 1 } });
  });

  test('has no grant on a public row', async () => {
    const { send } = await site({ 'GET /open': 'public' }, (app) =>
      app.get('/open', (request, response) => {
        expect(() => granted(request)).toThrow(TypeError);
        response.send('open');
      }),
    );
    expect((await send('GET', '/open')).text).toBe('open');
  });
});
