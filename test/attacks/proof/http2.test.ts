import { once } from 'node:events';
import { connect, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createProof } from '@bulla/verifier/envelope';
import { guard } from '@bulla/verifier/hono';
import { type ServerType, serve } from '@hono/node-server';
import { Hono } from 'hono';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createProofWorld, envelope, now, type ProofWorld, type TestGrant } from '../../kit/deciding.ts';

let server: ServerType;
let world: ProofWorld;
let host: string;

beforeAll(async () => {
  const app = new Hono();
  app.use(
    guard<TestGrant>(
      { decide: (...request) => world.verifier.decide(...request) },
      { 'POST /orders': { action: 'create', resource: () => ({ type: 'Order', id: 'new' }) } },
    ),
  );
  app.post('/orders', async (c) => c.text(await c.req.text()));
  server = serve({ fetch: app.fetch, createServer, port: 0, hostname: '127.0.0.1' });
  await once(server, 'listening');
  host = `127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  world = createProofWorld({ origins: [`http://${host}`] });
});

afterAll(() => {
  server.close();
});

async function send(change: Readonly<Record<string, string>>, sent = '{"amount":100}'): Promise<string> {
  const headers = { 'content-type': 'application/json' };
  const url = `http://${host}/orders`;
  const proof = createProof({
    method: 'POST',
    url,
    body: '{"amount":100}',
    headers,
    envelope,
    signer: world.alice,
    now,
  });
  const session = connect(`http://${host}`);
  const stream = session.request({
    ':method': 'POST',
    ':path': '/orders',
    authorization: `DPoP ${envelope}`,
    dpop: proof,
    ...headers,
    ...change,
  });
  stream.end(sent);
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  session.close();
  return /"code":"([a-z_]+)"/u.exec(text)?.[1] ?? text;
}

describe('over HTTP/2', () => {
  test('an honest request passes, byte for byte', async () => {
    expect(await send({})).toBe('{"amount":100}');
  });
  test('`:authority` counts as Host', async () => {
    expect(await send({ ':authority': 'evil.example' })).toBe('request_host_wrong');
  });
  test('a Host that says the same is fine, another one is refused', async () => {
    expect(await send({ ':authority': host, host })).toBe('{"amount":100}');
    expect(await send({ ':authority': host, host: 'evil.example' })).toBe('request_field_repeated');
  });
  test('other content than proven is refused', async () => {
    expect(await send({}, '{"amount":999}')).toBe('proof_content_mismatch');
  });
});
