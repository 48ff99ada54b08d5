/*
 * The suite that every adapter passes, over real sockets; conformance-content.test.ts has its part on content.
 */

import { once } from 'node:events';
import { memoryReplay } from '@bulla/verifier';
import { refuseUpgrade } from '@bulla/verifier/node';
import { describe, expect, test, vi } from 'vitest';
import { now } from '../../kit/deciding.ts';
import { dial, parseAnswer, type RawAnswer } from '../../kit/raw-http.ts';
import { openShop } from './shop.ts';
import { type Adapter, adapters } from './shops.ts';

const json = { type: 'application/json' };
const first = (lines: readonly string[], line: string): string[] => [line, ...lines.slice(1)];

describe.each(adapters)('$name', (adapter) => {
  describe('what is allowed', () => allowed(adapter));
  describe('what has no row', () => unmapped(adapter));
  describe('what has two readings', () => twoReadings(adapter));
  describe('what fails', () => failures(adapter));
  describe('what the guard answers itself', () => ownAnswers(adapter));
});

function allowed(adapter: Adapter): void {
  test('runs the handler of the row, with grant and parameters', async () => {
    const { proven, send, ran } = await openShop(adapter);
    const answer = await send(proven('GET', '/orders/o1'));
    expect(JSON.parse(answer.text)).toMatchObject({
      grant: { action: 'read', resource: 'o1' },
      params: { id: 'o1' },
    });
    expect(ran).toEqual(['GET /orders/:id']);
  });

  test('prefers the literal route, for row and handler alike', async () => {
    const { proven, send, ran } = await openShop(adapter);
    const answer = await send(proven('GET', '/orders/new'));
    expect(JSON.parse(answer.text)).toMatchObject({ grant: { action: 'draft', resource: 'new' } });
    expect(ran).toEqual(['GET /orders/new']);
  });

  test('finds the row of a route under mounted routers', async () => {
    const { proven, send, ran } = await openShop(adapter);
    const answer = await send(proven('GET', '/api/v1/things/t1'));
    expect(JSON.parse(answer.text)).toMatchObject({ grant: { resource: 't1' }, params: { id: 't1' } });
    expect(ran).toEqual(['GET /api/v1/things/:id']);
  });

  test('decodes parameters once, as the handler does', async () => {
    const { proven, send } = await openShop(adapter);
    const answer = await send(proven('GET', '/orders/%C3%BC%2525'));
    expect(JSON.parse(answer.text)).toMatchObject({ grant: { resource: 'ü%25' }, params: { id: 'ü%25' } });
  });

  test('serves a public row to anyone', async () => {
    const { host, send, world } = await openShop(adapter);
    expect((await send(['GET /health HTTP/1.1', `Host: ${host}`])).text).toBe('well');
    expect(world.decided).toEqual([]);
  });

  test('takes a bound field, and a prefix that a proxy removed', async () => {
    const { proven, send } = await openShop(adapter, { publicPathPrefix: '/shop' });
    const answer = await send(proven('GET', '/tenant', { bound: { 'x-tenant': 't1' } }));
    expect(JSON.parse(answer.text)).toMatchObject({ grant: { resource: 't1' } });
  });

  test('keeps requests that run at once apart', async () => {
    const { proven, send } = await openShop(adapter);
    const ids = Array.from({ length: 20 }, (_, index) => `o${String(index)}`);
    const answers = await Promise.all(ids.map((id) => send(proven('GET', `/orders/${id}`))));
    expect(
      answers.map(({ text }) => (JSON.parse(text) as { grant: { resource: string } }).grant.resource),
    ).toEqual(ids);
  });
}

function unmapped(adapter: Adapter): void {
  const { asksRouter } = adapter;
  test.each<[string, string, string | string[], number | number[]]>([
    ['GET', '/nowhere', 'route_unknown', 404],
    ['GET', '/', 'route_unknown', 404],
    ['GET', '/orders/o1/', 'route_unknown', 404],
    ['GET', '/orders/', 'route_unknown', 404],
    ['GET', '/Orders/o1', 'route_unknown', 404],
    ['GET', '/api/v1/things', 'route_unknown', 404],
    ['GET', '/API/v1/things/t1', 'route_unknown', 404],
    ['GET', '/api/v1/forgotten', asksRouter ? 'route_unmapped' : 'route_unknown', asksRouter ? 403 : 404],
    ['HEAD', '/orders/o1', '', 405],
    ['HEAD', '/health', '', 405],
    ['OPTIONS', '/orders/o1', asksRouter ? 'route_unknown' : 'route_method_unmapped', asksRouter ? 404 : 405],
    ['DELETE', '/orders/o1', asksRouter ? 'route_unknown' : 'route_method_unmapped', asksRouter ? 404 : 405],
    [
      'PROPFIND',
      '/orders/o1',
      asksRouter ? 'route_unknown' : 'route_method_unmapped',
      asksRouter ? 404 : 405,
    ],
    ['POST', '/health', asksRouter ? 'route_unknown' : 'route_method_unmapped', asksRouter ? 404 : 405],
  ])('%s %s is refused before any handler', async (method, target, code, status) => {
    const { proven, send, ran, world } = await openShop(adapter);
    const answer = await send(proven(method, target));
    expect([answer.code, answer.status]).toEqual([code, status]);
    expect(ran).toEqual([]);
    expect(world.decided).toEqual([]);
  });

  test.each(['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override'])(
    '%s changes nothing',
    async (name) => {
      const { proven, send, ran } = await openShop(adapter);
      expect((await send([...proven('GET', '/orders/o1'), `${name}: DELETE`])).code).toBe(
        'request_method_refused',
      );
      expect(ran).toEqual([]);
    },
  );

  test('OPTIONS * is refused', async () => {
    const { proven, send, ran } = await openShop(adapter);
    const answer = await send(first(proven('OPTIONS', '/orders/o1'), 'OPTIONS * HTTP/1.1'));
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(ran).toEqual([]);
  });

  test.each([
    ['without a listener for it', false],
    ['with `refuseUpgrade`', true],
  ])('a WebSocket is refused, %s', async (_, listens) => {
    const { proven, host, server, ran } = await openShop(adapter);
    if (listens) server.on('upgrade', refuseUpgrade);
    const socket = dial(host);
    const fields = [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: AA==',
    ];
    socket.write(`${[...proven('GET', '/orders/o1'), ...fields].join('\r\n')}\r\n\r\n`);
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    const answer = parseAnswer(bytes.toString('latin1'));
    expect([answer.status, answer.code]).toEqual([400, 'request_field_refused']);
    expect(ran).toEqual([]);
  });

  test('an upgrade of a public row is refused too', async () => {
    const { host, send, ran } = await openShop(adapter);
    const answer = await send(['GET /health HTTP/1.1', `Host: ${host}`, 'Upgrade: h2c']);
    expect(answer.code).toBe('request_field_refused');
    expect(ran).toEqual([]);
  });
}

function twoReadings(adapter: Adapter): void {
  const { seesWire } = adapter;
  const wire = (code: string): string => (seesWire ? code : '');
  test.each<[string, (lines: string[], host: string) => string[], string]>([
    [
      'a second Authorization',
      (l) => [...l, 'Authorization: DPoP root~other'],
      wire('request_field_repeated'),
    ],
    [
      'a second Authorization in front',
      (l) => [l[0] ?? '', 'Authorization: Basic eDp5', ...l.slice(1)],
      wire('request_field_repeated'),
    ],
    ['a second DPoP', (l) => [...l, l[3] ?? ''], 'request_field_repeated'],
    ['two proofs in one field', (l) => [...l.slice(0, 3), `${l[3] ?? ''}, x.y.z`], 'request_field_repeated'],
    [
      'a Host of another site',
      (l) => [l[0] ?? '', 'Host: evil.example', ...l.slice(2)],
      'request_host_wrong',
    ],
    ['a second Host', (l) => [...l, 'Host: evil.example'], ''],
    ['another query', (l) => first(l, 'GET /orders/o1?x=1 HTTP/1.1'), 'proof_query_mismatch'],
    ['another path', (l) => first(l, 'GET /orders/o2 HTTP/1.1'), 'proof_target_mismatch'],
    ['another proof than of this method', (l) => first(l, 'PUT /files/o1 HTTP/1.1'), 'proof_method_mismatch'],
    ['no Authorization', (l) => [...l.slice(0, 2), ...l.slice(3)], 'envelope_missing'],
    ['no proof', (l) => l.slice(0, 3), 'proof_missing'],
  ])('%s is refused', async (_, change, code) => {
    const { proven, send, ran, host } = await openShop(adapter);
    const answer = await send(change(proven('GET', '/orders/o1'), host));
    expect(answer.status).toBeGreaterThanOrEqual(400);
    if (code !== '') expect(answer.code).toBe(code);
    expect(ran).toEqual([]);
  });

  // A Fetch `Request` has a normalised URL, the only one its handlers can see.
  if (seesWire)
    test.each<[string, (host: string) => string]>([
      ['absolute-form', (host) => `http://${host}/orders/o1`],
      ['absolute-form of another site', () => 'http://evil.example/orders/o1'],
      ['dot segments', () => '/orders/x/../o1'],
      ['encoded dot segments', () => '/x/%2e%2e/orders/o1'],
      ['two slashes in front', () => '//orders/o1'],
      ['a fragment', () => '/orders/o1#x'],
      ['an encoded slash', () => '/orders/o1%2Fx'],
      ['an encoded slash in the public row', () => '/health%2f'],
      ['an encoded letter', () => '/orders/%6F1'],
      ['an encoded letter in the public row', () => '/%68ealth'],
      ['an encoded zero', () => '/orders/o1%00'],
      ['an encoded backslash', () => '/orders/o1%5cx'],
    ])('%s is refused for its form, whatever the route', async (_, target) => {
      const { proven, send, ran, host } = await openShop(adapter);
      const answer = await send(first(proven('GET', '/orders/o1'), `GET ${target(host)} HTTP/1.1`));
      expect(answer.code).toBe('request_target_invalid');
      expect(ran).toEqual([]);
    });

  test.each(['/orders\\o1', '/orders/o%zz', '/orders/%FF'])(
    'the broken path %s is refused',
    async (target) => {
      const { proven, send, ran } = await openShop(adapter);
      const answer = await send(first(proven('GET', '/orders/o1'), `GET ${target} HTTP/1.1`));
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(ran).toEqual([]);
    },
  );

  test.each([
    '?id=mine&id=theirs',
    'id=mine&id=theirs',
    '%69d=mine&id=theirs',
    'id=theirs&%69d=mine',
    '&&id=mine&id=theirs',
    'id&id=theirs',
    'id[]=mine&id=theirs',
    'id[x]=mine',
    'x=?id=mine&id=theirs',
    'id=a+b%2Bc',
    'id=%C3%BC',
    `${'a&'.repeat(1200)}id=mine`,
    '__proto__=x&id=mine',
  ])('row and handler read one query: %s', async (query) => {
    const { proven, send } = await openShop(adapter);
    const answer = await send(proven('GET', `/search?${query}`));
    const read = JSON.parse(answer.text) as { grant: { resource: string }; query: string };
    expect(answer.status).toBe(200);
    expect(read.query).toBe(read.grant.resource);
  });

  test.each(['id=%FF', 'id=%E0%A4%A', 'id=%C3%28x'])('the query %s is refused', async (query) => {
    const { proven, send, ran } = await openShop(adapter);
    expect((await send(proven('GET', `/search?${query}`))).code).toBe('route_input_invalid');
    expect(ran).toEqual([]);
  });
}

function failures(adapter: Adapter): void {
  test('the order of refusals: form, route, content, decision, resource', async () => {
    const { send, host, proven } = await openShop(adapter, { maxBodyBytes: 10 });
    const bare = (line: string, ...fields: string[]): string[] => [line, `Host: ${host}`, ...fields];
    const codes = [
      bare('GET /nowhere HTTP/1.1', 'Upgrade: h2c', 'Content-Length: 99'),
      bare('GET /nowhere HTTP/1.1', 'Content-Length: 99'),
      bare('POST /orders HTTP/1.1', 'Content-Length: 99', 'X-HTTP-Method: PUT'),
      bare('POST /orders HTTP/1.1', 'Content-Length: 0', 'X-HTTP-Method: PUT'),
      bare('POST /orders HTTP/1.1', 'Content-Length: 0'),
      [...proven('POST', '/orders'), 'Content-Length: 0'],
    ];
    const answers = [];
    for (const lines of codes) answers.push((await send(lines)).code);
    expect(answers).toEqual([
      'request_field_refused',
      'route_unknown',
      'content_too_large',
      'request_method_refused',
      'envelope_missing',
      'route_input_invalid',
    ]);
  });

  test('a replay is refused', async () => {
    const { proven, send, ran } = await openShop(adapter);
    const lines = proven('GET', '/orders/o1');
    expect((await send(lines)).status).toBe(200);
    expect((await send(lines)).code).toBe('proof_replayed');
    expect(ran).toHaveLength(1);
  });

  test('of two equal requests at once one runs', async () => {
    const { proven, send, ran } = await openShop(adapter);
    const lines = proven('GET', '/orders/o1');
    const answers = await Promise.all([send(lines), send(lines)]);
    expect(answers.map(({ status }) => status)).toEqual(expect.arrayContaining([200, 401]));
    expect(ran).toHaveLength(1);
  });

  test('a denial is a problem with layer and reason', async () => {
    const { proven, send, ran } = await openShop(adapter);
    const answer = await send(proven('GET', '/orders/forbidden'));
    expect(answer.headers).toMatchObject({
      'content-type': expect.stringMatching(/^application\/problem\+json/u),
      'cache-control': 'no-store',
    });
    expect(JSON.parse(answer.text)).toMatchObject({
      status: 403,
      code: 'policy_denied',
      layer: 'admin',
      detail: 'not yours',
    });
    expect(ran).toEqual([]);
  });

  test('a mapper that throws is an error without detail, told to the host', async () => {
    const onError = vi.fn(() => {
      throw new Error('the log is full of hunter2');
    });
    const { proven, send, ran } = await openShop(adapter, { onError });
    const answer = await send(proven('GET', '/lost'));
    expect([answer.status, answer.code]).toEqual([500, 'internal_error']);
    expect(answer.text).not.toContain('hunter2');
    expect(onError).toHaveBeenCalledOnce();
    expect(ran).toEqual([]);
  });

  test('a handler that throws is answered without detail, once', async () => {
    const onError = vi.fn();
    const { proven, send } = await openShop(adapter, { onError });
    const answer = await send(proven('GET', '/boom'));
    expect(answer.status).toBe(500);
    expect(answer.code).toBe(adapter.catchesHandlers ? 'internal_error' : '');
    expect(answer.text).not.toContain('hunter2');
    expect(onError).toHaveBeenCalledTimes(adapter.catchesHandlers ? 1 : 0);
  });

  test('content that a row cannot read is refused', async () => {
    const { proven, send, ran } = await openShop(adapter);
    const body = 'no json';
    const answer = await send([...proven('POST', '/orders', { body, ...json }), 'Content-Length: 7'], body);
    expect([answer.status, answer.code]).toEqual([400, 'route_input_invalid']);
    expect(ran).toEqual([]);
  });
}

function ownAnswers(adapter: Adapter): void {
  test('a request without envelope is challenged without an error (RFC 6750)', async () => {
    const { host, send } = await openShop(adapter);
    const answer = await send(['GET /orders/o1 HTTP/1.1', `Host: ${host}`]);
    expect(answer.status).toBe(401);
    expect(answer.headers['www-authenticate']).toBe('DPoP algs="EdDSA Ed25519 ES256"');
  });

  test('a young process asks for its nonce and takes the proof that carries it', async () => {
    const replay = memoryReplay({ processes: 1, startedAt: now });
    const { proven, send } = await openShop(adapter, {}, { replay });
    const refused = await send(proven('GET', '/orders/o1'));
    expect(refused.status).toBe(401);
    expect(refused.headers['www-authenticate']).toContain('error="use_dpop_nonce"');
    const nonce = refused.headers['dpop-nonce'] ?? '';
    expect((await send(proven('GET', '/orders/o1', { nonce }))).status).toBe(200);
  });

  test('metadata is public and named in the challenge', async () => {
    const resource = 'https://api.example/v1';
    const protectedResource = { resource, authorization_servers: ['https://issuer.example'] };
    const { host, send } = await openShop(adapter, { protectedResource });
    const path = '/.well-known/oauth-protected-resource/v1';
    const answer = await send([`GET ${path} HTTP/1.1`, `Host: ${host}`]);
    expect(answer.headers['content-type']).toMatch(/^application\/json/u);
    expect(JSON.parse(answer.text)).toMatchObject({
      ...protectedResource,
      dpop_bound_access_tokens_required: true,
    });
    const refused = await send(['GET /orders/o1 HTTP/1.1', `Host: ${host}`]);
    expect(refused.headers['www-authenticate']).toContain(`resource_metadata="https://api.example${path}"`);
    expect((await send([`HEAD ${path} HTTP/1.1`, `Host: ${host}`])).status).toBe(404);
  });

  test('the stop path takes a leaf without envelope and hands it over', async () => {
    const accept = vi.fn();
    const { host, send } = await openShop(adapter, { stop: { path: '/bulla/stop', accept } });
    const stop = (text: string): Promise<RawAnswer> =>
      send(['POST /bulla/stop HTTP/1.1', `Host: ${host}`, `Content-Length: ${String(text.length)}`], text);
    expect((await stop('{"leaf":"a.b.c"}')).status).toBe(204);
    expect(accept).toHaveBeenCalledWith('a.b.c');
    expect((await stop('{"leaf":1}')).code).toBe('route_input_invalid');
    expect((await stop('{"leaf":"a.b.c","then":"x"}')).code).toBe('route_input_invalid');
    expect((await stop(`{"leaf":"${'a'.repeat(70_000)}"}`)).code).toBe('content_too_large');
    expect(accept).toHaveBeenCalledOnce();
  });
}
