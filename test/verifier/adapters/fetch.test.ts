import { memoryReplay } from '@bulla/verifier';
import { type FetchRoutes, guardFetch } from '@bulla/verifier/fetch';
import { describe, expect, test, vi } from 'vitest';
import {
  createProofWorld,
  now,
  origin,
  type ProvenRequest,
  provenHeaders,
  type TestGrant,
} from '../../kit/deciding.ts';

const routes: FetchRoutes<TestGrant> = {
  'GET /orders/:id': {
    action: 'read',
    resource: (request) => ({ type: 'Order', id: request.param('id') }),
    handler: (_request, { grant, request }) => Response.json({ ...grant, params: request.params }),
  },
  'GET /orders/new': {
    action: 'draft',
    resource: () => ({ type: 'Order', id: 'new' }),
    handler: (_request, { grant }) => Response.json(grant),
  },
  'POST /orders': {
    action: 'create',
    resource: (request) => ({ type: 'Order', id: (request.json() as { id: string }).id }),
    handler: async (request) => new Response(await request.text()),
  },
  'GET /health': { public: true, handler: () => new Response('well') },
};

function shop(options = {}, world = createProofWorld()) {
  const handle = guardFetch(world.verifier, routes, options);
  const call = (request: ProvenRequest) =>
    handle(
      new Request(request.url, {
        method: request.method ?? 'GET',
        headers: provenHeaders(world.alice, request),
        ...(request.body === undefined ? {} : { body: request.body }),
      }),
    );
  return { ...world, handle, call };
}

const codeIn = async (response: Response): Promise<unknown> =>
  ((await response.json()) as { code: unknown }).code;

describe('a Fetch app', () => {
  test('runs the handler of the row that was checked', async () => {
    const { call } = shop();
    expect(await (await call({ url: `${origin}/orders/o1` })).json()).toEqual({
      action: 'read',
      resource: 'o1',
      params: { id: 'o1' },
    });
    expect(await (await call({ url: `${origin}/orders/new` })).json()).toMatchObject({ action: 'draft' });
  });

  test('hands on the very bytes that were verified', async () => {
    const body = '{ "id":"o2", "x": "ü" }';
    expect(await (await shop().call({ method: 'POST', url: `${origin}/orders`, body })).text()).toBe(body);
  });

  test('decodes parameters once', async () => {
    const response = await shop().call({ url: `${origin}/orders/%C3%BC%2525` });
    expect(await response.json()).toMatchObject({ resource: 'ü%25' });
  });

  test.each([
    ['HEAD', '/orders/o1', 'route_method_unmapped', 405],
    ['OPTIONS', '/orders/o1', 'route_method_unmapped', 405],
    ['DELETE', '/orders/o1', 'route_method_unmapped', 405],
    ['GET', '/orders/o1/', 'route_unknown', 404],
    ['GET', '/orders/', 'route_unknown', 404],
    ['GET', '/Orders/o1', 'route_unknown', 404],
    ['GET', '/', 'route_unknown', 404],
  ])('%s %s is refused', async (method, path, code, status) => {
    const { call, decided } = shop();
    const response = await call({ method, url: origin + path });
    expect(response.status).toBe(status);
    expect(await codeIn(response)).toBe(code);
    expect(decided).toEqual([]);
  });

  test('serves a public row to anyone', async () => {
    expect(await (await shop().handle(new Request(`${origin}/health`))).text()).toBe('well');
  });

  test('refuses content that is too large, whatever its length says', async () => {
    const { call, handle } = shop({ maxBodyBytes: 10 });
    const body = JSON.stringify({ id: 'a long one' });
    expect(await codeIn(await call({ method: 'POST', url: `${origin}/orders`, body }))).toBe(
      'content_too_large',
    );
    const stream = new ReadableStream({
      pull: (controller) => {
        controller.enqueue(new Uint8Array(8));
      },
    });
    const endless = new Request(`${origin}/orders`, {
      method: 'POST',
      body: stream,
      duplex: 'half',
    });
    expect(await codeIn(await handle(endless))).toBe('content_too_large');
  });

  test.each([
    ['a repeated Authorization', 'authorization', 'DPoP root~other', 'authorization_malformed'],
    ['a repeated DPoP', 'dpop', 'x.y.z', 'request_field_repeated'],
    ['a Host of another site', 'host', 'evil.example', 'request_host_wrong'],
  ])('%s is refused though the runtime joined it', async (_, name, value, code) => {
    const { alice, handle } = shop();
    const url = `${origin}/orders/o1`;
    const headers = new Headers(provenHeaders(alice, { url }));
    headers.append(name, value);
    expect(await codeIn(await handle(new Request(url, { headers })))).toBe(code);
  });

  test('a URL of another origin is refused', async () => {
    const { call } = shop();
    expect(await codeIn(await call({ url: 'https://evil.example/orders/o1' }))).toBe('request_host_wrong');
  });

  test('a mapper that refuses the input answers 400', async () => {
    const response = await shop().call({ method: 'POST', url: `${origin}/orders`, body: 'no json' });
    expect(response.status).toBe(400);
    expect(await codeIn(response)).toBe('route_input_invalid');
  });

  test('a prefix that a proxy removed is put back', async () => {
    const { alice, handle } = shop({ publicPathPrefix: '/shop' });
    const headers = provenHeaders(alice, { url: `${origin}/shop/orders/o1` });
    expect((await handle(new Request(`${origin}/orders/o1`, { headers }))).status).toBe(200);
  });

  test('serves metadata and takes a stop', async () => {
    const accept = vi.fn();
    const { handle } = shop({
      stop: { path: '/stop', accept },
      protectedResource: { resource: origin, authorization_servers: [] },
    });
    const metadata = await handle(new Request(`${origin}/.well-known/oauth-protected-resource`));
    expect(await metadata.json()).toMatchObject({ resource: origin, bearer_methods_supported: ['header'] });
    const stop = await handle(new Request(`${origin}/stop`, { method: 'POST', body: '{"leaf":"a.b.c"}' }));
    expect(stop.status).toBe(204);
    expect(accept).toHaveBeenCalledWith('a.b.c');
  });
});

describe('a process that has just started', () => {
  test('asks for its nonce and takes the proof that carries it', async () => {
    const world = createProofWorld({ replay: memoryReplay({ processes: 1, startedAt: now }) });
    const { call } = shop({}, world);
    const refused = await call({ url: `${origin}/orders/o1` });
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toContain('error="use_dpop_nonce"');
    const nonce = refused.headers.get('dpop-nonce') ?? '';
    expect((await call({ url: `${origin}/orders/o1`, nonce })).status).toBe(200);
  });

  test('answers a nonce that is not its own with its own', async () => {
    const { call } = shop();
    const refused = await call({ url: `${origin}/orders/o1`, nonce: 'from-before' });
    expect(refused.headers.get('dpop-nonce')).toMatch(/^[\w-]{30}$/u);
    expect(await codeIn(refused)).toBe('proof_nonce_wrong');
  });
});

describe('configuration', () => {
  const row = routes['GET /health']!;
  test.each([
    [{ '/orders': row }],
    [{ 'get /orders': row }],
    [{ 'GET orders': row }],
    [{ 'GET /files/*': row }],
    [{ 'GET /a:b': row }],
    [{ 'GET /orders?x': row }],
    [{ 'GET /a/:x': row, 'GET /a/:y': row }],
  ])('%j is refused', (rows) => {
    expect(() => guardFetch(createProofWorld().verifier, rows)).toThrow(TypeError);
  });
});
