import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { createProof } from '@bulla/verifier/envelope';
import { type GuardEnv, guard } from '@bulla/verifier/hono';
import { type ServerType, serve } from '@hono/node-server';
import { Hono } from 'hono';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createProofWorld, envelope, now, type ProofWorld, type TestGrant } from '../../kit/deciding.ts';

let server: ServerType;
let world: ProofWorld;
let host: string;
const ran: string[] = [];

beforeAll(async () => {
  const app = new Hono<GuardEnv<TestGrant>>();
  // The port is known after listening; the guard asks for the verifier's answer only when a request arrives.
  app.use(
    guard<TestGrant>(
      { decide: (...request) => world.verifier.decide(...request) },
      {
        'GET /orders/:id': { action: 'read', resource: (r) => ({ type: 'Order', id: r.param('id') }) },
        'POST /orders': { action: 'create', resource: () => ({ type: 'Order', id: 'new' }) },
      },
      { maxBodyBytes: 1000 },
    ),
  );
  app.get('/orders/:id', (c) => {
    ran.push(c.req.param('id'));
    return c.text(`order ${c.req.param('id')}`);
  });
  app.post('/orders', async (c) => {
    const text = await c.req.text();
    ran.push(text);
    return c.text(text);
  });
  server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' });
  await once(server, 'listening');
  host = `127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  world = createProofWorld({ origins: [`http://${host}`] });
});

afterAll(() => {
  server.close();
});

/** Sends bytes as they are and gives the answer's status and `code`. */
async function send(
  lines: readonly string[],
  body = '',
): Promise<{ status: number; code: string; text: string }> {
  const [name, port] = host.split(':');
  const socket = connect(Number(port), name);
  socket.write(`${[...lines, 'Connection: close'].join('\r\n')}\r\n\r\n${body}`, 'latin1');
  let answer = '';
  for await (const chunk of socket) answer += String(chunk);
  const text = answer.slice(answer.indexOf('\r\n\r\n') + 4);
  return {
    status: Number(answer.split(' ')[1]),
    code: /"code":"([a-z_]+)"/u.exec(text)?.[1] ?? '',
    text,
  };
}

function proven(method: string, target: string, body = '', contentType?: string): string[] {
  const headers: Record<string, string> = contentType === undefined ? {} : { 'content-type': contentType };
  const url = `http://${host}${target}`;
  const proof = createProof({ method, url, body, headers, envelope, signer: world.alice, now });
  return [
    `${method} ${target} HTTP/1.1`,
    `Host: ${host}`,
    `Authorization: DPoP ${envelope}`,
    `DPoP: ${proof}`,
    ...(contentType === undefined ? [] : [`Content-Type: ${contentType}`]),
  ];
}

const first = (lines: readonly string[], line: string): string[] => [line, ...lines.slice(1)];

describe('over a real socket', () => {
  test('an honest request passes', async () => {
    expect(await send(proven('GET', '/orders/o1'))).toMatchObject({ status: 200 });
    expect(ran.pop()).toBe('o1');
  });

  test.each<[string, (lines: string[]) => string[], string]>([
    [
      'a second Authorization, which node drops',
      (l) => [...l, 'Authorization: DPoP root~other'],
      'request_field_repeated',
    ],
    [
      'a second Authorization in front',
      (l) => [l[0] ?? '', 'Authorization: Basic eDp5', ...l.slice(1)],
      'request_field_repeated',
    ],
    ['a second DPoP, which node joins', (l) => [...l, l[3] ?? ''], 'request_field_repeated'],
    ['two proofs in one field', (l) => [...l.slice(0, 3), `${l[3] ?? ''}, x.y.z`], 'request_field_repeated'],
    [
      'a Host of another site',
      (l) => [l[0] ?? '', 'Host: evil.example', ...l.slice(2)],
      'request_host_wrong',
    ],
    ['absolute-form', (l) => first(l, `GET http://${host}/orders/o1 HTTP/1.1`), 'request_target_invalid'],
    [
      'absolute-form of another site',
      (l) => first(l, 'GET http://evil.example/orders/o1 HTTP/1.1'),
      'request_target_invalid',
    ],
    ['dot segments', (l) => first(l, 'GET /orders/x/../o1 HTTP/1.1'), 'request_target_invalid'],
    ['encoded dot segments', (l) => first(l, 'GET /x/%2e%2e/orders/o1 HTTP/1.1'), 'request_target_invalid'],
    ['a backslash, which the server itself turns away', (l) => first(l, 'GET /orders\\o1 HTTP/1.1'), ''],
    ['a fragment', (l) => first(l, 'GET /orders/o1#x HTTP/1.1'), 'request_target_invalid'],
    ['an encoded slash', (l) => first(l, 'GET /orders/o1%2Fx HTTP/1.1'), 'request_target_invalid'],
    ['an encoded letter', (l) => first(l, 'GET /orders/%6F1 HTTP/1.1'), 'request_target_invalid'],
    ['an encoded zero', (l) => first(l, 'GET /orders/o1%00 HTTP/1.1'), 'request_target_invalid'],
    ['a method override', (l) => [...l, 'X-HTTP-Method-Override: DELETE'], 'request_method_refused'],
    ['an upgrade', (l) => [...l, 'Upgrade: h2c'], 'request_field_refused'],
    ['content on GET', (l) => [...l, 'Content-Length: 1'], 'content_refused'],
    ['content on GET, chunked', (l) => [...l, 'Transfer-Encoding: chunked'], 'content_refused'],
    ['another query', (l) => first(l, 'GET /orders/o1?x=1 HTTP/1.1'), 'proof_query_mismatch'],
  ])('%s is refused before the handler', async (_, change, code) => {
    const answer = await send(change(proven('GET', '/orders/o1')));
    expect(ran).toEqual([]);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.code).toBe(code);
  });

  test('HEAD does not get in by the GET row', async () => {
    expect((await send(proven('HEAD', '/orders/o1'))).status).toBe(405);
    expect(ran).toEqual([]);
  });

  test('replayed bytes are refused', async () => {
    const lines = proven('GET', '/orders/o1');
    expect((await send(lines)).status).toBe(200);
    expect(ran.pop()).toBe('o1');
    expect((await send(lines)).code).toBe('proof_replayed');
  });
});

describe('content over a real socket', () => {
  const body = '{"amount":100}';
  const chunked = (text: string, trailers = ''): string =>
    `${text.length.toString(16)}\r\n${text}\r\n0\r\n${trailers}\r\n`;

  test.each([
    ['with a length', () => [`Content-Length: ${String(body.length)}`], body],
    ['in chunks', () => ['Transfer-Encoding: chunked'], chunked(body)],
  ])('%s reaches the handler byte for byte', async (_, fields, sent) => {
    const lines = [...proven('POST', '/orders', body, 'application/json'), ...fields()];
    expect(await send(lines, sent)).toMatchObject({ status: 200 });
    expect(ran.pop()).toBe(body);
  });

  test.each([
    ['other content', ['Content-Length: 14'], '{"amount":999}', 'proof_content_mismatch'],
    [
      'other content in chunks',
      ['Transfer-Encoding: chunked'],
      chunked('{"amount":999}'),
      'proof_content_mismatch',
    ],
    ['no content', ['Content-Length: 0'], '', 'proof_content_mismatch'],
    ['announced too large', ['Content-Length: 1001'], 'a'.repeat(1001), 'content_too_large'],
    ['too large in chunks', ['Transfer-Encoding: chunked'], chunked('a'.repeat(1001)), 'content_too_large'],
    ['with trailers', ['Transfer-Encoding: chunked'], chunked(body, 'X-Amount: 1\r\n'), 'content_refused'],
    [
      'with announced trailers',
      ['Transfer-Encoding: chunked', 'Trailer: X-Amount'],
      chunked(body),
      'request_field_refused',
    ],
    ['called encoded', ['Content-Length: 14', 'Content-Encoding: gzip'], body, 'request_encoding_refused'],
    [
      'with a second content type',
      ['Content-Length: 14', 'Content-Type: text/plain'],
      body,
      'request_field_repeated',
    ],
  ])('%s is refused', async (_, fields, sent, code) => {
    const answer = await send([...proven('POST', '/orders', body, 'application/json'), ...fields], sent);
    expect(answer.code).toBe(code);
    expect(ran).toEqual([]);
  });
});
