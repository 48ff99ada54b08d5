/*
 * What the suite of conformance.test.ts asks of every adapter, asked of MCP: it has one path, and rows by tool.
 */

import { once } from 'node:events';
import { createServer } from 'node:http';
import { memoryReplay } from '@bulla/verifier';
import { guardMcp, refuseUpgrade, textOf } from '@bulla/verifier/mcp';
import { describe, expect, test, vi } from 'vitest';
import { now } from '../../kit/deciding.ts';
import { chunked, dial, parseAnswer, readAll } from '../../kit/raw-http.ts';
import { openShop } from './shop.ts';
import { type Adapter, listening } from './shops.ts';

const mcp: Adapter = {
  name: 'MCP',
  seesWire: true,
  asksRouter: false,
  catchesHandlers: true,
  open: async ({ verifier, options, ran }) => {
    const order = {
      action: 'read',
      resource: (input: object) => ({ type: 'Order', id: textOf({ ...input }, 'id') }),
    };
    const listener = guardMcp(
      verifier,
      { tools: { show: order, boom: order }, methods: { ping: 'public' } },
      ({ message }) => ({
        handleRequest: async (_, response) => {
          const { name, arguments: input } = (message?.['params'] ?? {}) as {
            name: string;
            arguments: unknown;
          };
          ran(name);
          if (name === 'boom') throw new Error('tool knows hunter2');
          response.end(JSON.stringify(input));
        },
      }),
      options,
    );
    return listening(createServer(listener));
  },
};

const callOf = (name: string, id = 'o1'): string =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: { id } } });
const body = callOf('show');
const type = 'application/json';
const sized = (text: string): string => `Content-Length: ${String(text.length)}`;

test('a tool gets what was proven, with a length or in chunks', async () => {
  const { proven, send, ran } = await openShop(mcp);
  const lines = (): string[] => proven('POST', '/mcp', { body, type });
  expect((await send([...lines(), sized(body)], body)).text).toBe('{"id":"o1"}');
  expect((await send([...lines(), 'Transfer-Encoding: chunked'], chunked(body))).text).toBe('{"id":"o1"}');
  expect(ran).toEqual(['show', 'show']);
});

describe('is refused before any tool:', () => {
  const first = (line: string) => (lines: string[]) => [line, ...lines.slice(1)];
  test.each<[string, (lines: string[], host: string) => string[], string]>([
    ['X-HTTP-Method-Override', (l) => [...l, 'X-HTTP-Method-Override: GET'], 'request_method_refused'],
    ['X-HTTP-Method', (l) => [...l, 'X-HTTP-Method: GET'], 'request_method_refused'],
    ['X-Method-Override', (l) => [...l, 'X-Method-Override: GET'], 'request_method_refused'],
    ['a second Authorization', (l) => [...l, 'Authorization: DPoP root~other'], 'request_field_repeated'],
    ['a second DPoP', (l) => [...l, l[3] ?? ''], 'request_field_repeated'],
    ['a second content type', (l) => [...l, 'Content-Type: text/plain'], 'request_field_repeated'],
    [
      'a Host of another site',
      (l) => [l[0] ?? '', 'Host: evil.example', ...l.slice(2)],
      'request_host_wrong',
    ],
    ['no Authorization', (l) => [...l.slice(0, 2), ...l.slice(3)], 'envelope_missing'],
    ['no proof', (l) => [...l.slice(0, 3), ...l.slice(4)], 'proof_missing'],
    ['another query', first('POST /mcp?x=1 HTTP/1.1'), 'proof_query_mismatch'],
    ['encoded content', (l) => [...l, 'Content-Encoding: gzip'], 'request_encoding_refused'],
    ['trailers', (l) => [...l, 'Trailer: X-Amount'], 'request_field_refused'],
    ['a dot segment', first('POST /x/../mcp HTTP/1.1'), 'request_target_invalid'],
    ['an encoded slash', first('POST /mcp%2F HTTP/1.1'), 'request_target_invalid'],
    ['two slashes in front', first('POST //mcp HTTP/1.1'), 'request_target_invalid'],
    ['a trailing slash', first('POST /mcp/ HTTP/1.1'), 'route_unknown'],
    ['another path', first('POST /rpc HTTP/1.1'), 'route_unknown'],
    ['PUT', first('PUT /mcp HTTP/1.1'), 'route_method_unmapped'],
    ['OPTIONS', first('OPTIONS /mcp HTTP/1.1'), 'route_method_unmapped'],
    ['absolute-form', (l, host) => first(`POST http://${host}/mcp HTTP/1.1`)(l), 'request_target_invalid'],
  ])('%s', async (_, change, code) => {
    const { proven, send, ran, host } = await openShop(mcp);
    const answer = await send([...change(proven('POST', '/mcp', { body, type }), host), sized(body)], body);
    expect(answer.code).toBe(code);
    expect(ran).toEqual([]);
  });

  test('HEAD', async () => {
    const { proven, send, ran } = await openShop(mcp);
    expect((await send(proven('HEAD', '/mcp'))).status).toBe(405);
    expect(ran).toEqual([]);
  });

  test('a WebSocket', async () => {
    const { proven, host, server, ran } = await openShop(mcp);
    server.on('upgrade', refuseUpgrade);
    const socket = dial(host);
    const fields = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: AA=='];
    socket.write(`${[...proven('GET', '/mcp'), ...fields].join('\r\n')}\r\n\r\n`);
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    expect(parseAnswer(bytes.toString('latin1'))).toMatchObject({
      status: 400,
      code: 'request_field_refused',
    });
    expect(ran).toEqual([]);
  });

  const long = callOf('show', 'a'.repeat(1000));
  test.each<[string, string[], string, string]>([
    ['other content', [sized(body)], body.replace('o1', 'o2'), 'proof_content_mismatch'],
    ['content announced too large', [sized(long)], '', 'content_too_large'],
    ['content too large in chunks', ['Transfer-Encoding: chunked'], chunked(long), 'content_too_large'],
  ])('%s', async (_, fields, sent, code) => {
    const { proven, send, ran } = await openShop(mcp, { maxBodyBytes: 1000 });
    const answer = await send([...proven('POST', '/mcp', { body, type }), ...fields], sent);
    expect(answer.code).toBe(code);
    expect(ran).toEqual([]);
  });

  test('content that ends in trailers', async () => {
    const { proven, send, ran } = await openShop(mcp);
    const lines = [...proven('POST', '/mcp', { body, type }), 'Transfer-Encoding: chunked'];
    expect((await send(lines, chunked(body, 'X-Amount: 1\r\n'))).code).toBe('content_refused');
    expect(ran).toEqual([]);
  });

  test('content that does not come', async () => {
    const { proven, host, ran } = await openShop(mcp, { contentSeconds: 0.05 });
    const socket = dial(host);
    socket.write(`${[...proven('POST', '/mcp', { body, type }), sized(body)].join('\r\n')}\r\n\r\n{`);
    expect(parseAnswer(await readAll(socket)).code).toBe('content_too_slow');
    expect(ran).toEqual([]);
  });
});

test('the order of refusals: form, route, content, decision', async () => {
  const { proven, send, host } = await openShop(mcp, { maxBodyBytes: 10 });
  const bare = (line: string, ...fields: string[]): string[] => [line, `Host: ${host}`, ...fields];
  const codes = [
    bare('POST /nowhere HTTP/1.1', 'Upgrade: h2c', 'Content-Length: 99'),
    bare('POST /nowhere HTTP/1.1', 'Content-Length: 99'),
    bare('POST /mcp HTTP/1.1', 'Content-Length: 99', 'X-HTTP-Method: PUT'),
    [...proven('POST', '/mcp'), 'Content-Length: 0'],
  ];
  const answers = [];
  for (const lines of codes) answers.push((await send(lines)).code);
  expect(answers).toEqual([
    'request_field_refused',
    'route_unknown',
    'content_too_large',
    'route_input_invalid',
  ]);
});

test('of two equal calls at once one runs, and a later one is a replay', async () => {
  const { proven, send, ran } = await openShop(mcp);
  const lines = [...proven('POST', '/mcp', { body, type }), sized(body)];
  const answers = await Promise.all([send(lines, body), send(lines, body)]);
  expect(answers.map(({ status }) => status)).toEqual(expect.arrayContaining([200, 401]));
  expect((await send(lines, body)).code).toBe('proof_replayed');
  expect(ran).toHaveLength(1);
});

test('a tool that throws is answered without detail, once', async () => {
  const onError = vi.fn();
  const { proven, send } = await openShop(mcp, { onError });
  const boom = callOf('boom');
  const answer = await send([...proven('POST', '/mcp', { body: boom, type }), sized(boom)], boom);
  expect([answer.status, answer.code]).toEqual([500, 'internal_error']);
  expect(answer.text).not.toContain('hunter2');
  expect(onError).toHaveBeenCalledOnce();
});

test('a young process asks for its nonce and takes the proof that carries it', async () => {
  const { proven, send } = await openShop(
    mcp,
    {},
    { replay: memoryReplay({ processes: 1, startedAt: now }) },
  );
  const refused = await send([...proven('POST', '/mcp', { body, type }), sized(body)], body);
  expect(refused.headers['www-authenticate']).toContain('error="use_dpop_nonce"');
  const nonce = refused.headers['dpop-nonce'] ?? '';
  const again = await send([...proven('POST', '/mcp', { body, type, nonce }), sized(body)], body);
  expect(again.status).toBe(200);
});

test('the guard serves metadata and takes stops', async () => {
  const accept = vi.fn();
  const protectedResource = {
    resource: 'https://api.example/v1',
    authorization_servers: ['https://issuer.example'],
  };
  const { host, send } = await openShop(mcp, { protectedResource, stop: { path: '/bulla/stop', accept } });
  const path = '/.well-known/oauth-protected-resource/v1';
  expect(JSON.parse((await send([`GET ${path} HTTP/1.1`, `Host: ${host}`])).text)).toMatchObject(
    protectedResource,
  );
  const leaf = '{"leaf":"a.b.c"}';
  expect((await send(['POST /bulla/stop HTTP/1.1', `Host: ${host}`, sized(leaf)], leaf)).status).toBe(204);
  expect(accept).toHaveBeenCalledWith('a.b.c');
});
