import { type FetchRoutes, guardFetch } from '@bulla/verifier/fetch';
import { describe, expect, test } from 'vitest';
import {
  createProofWorld,
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
});

describe('a process that has just started', () => {
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
