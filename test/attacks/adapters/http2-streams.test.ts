import { once } from 'node:events';
import { connect, createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { guard } from '@bulla/verifier/fastify';
import { guardNode } from '@bulla/verifier/node';
import createFastify from 'fastify';
import { expect, test } from 'vitest';
import { createProofWorld } from '../../kit/deciding.ts';

// Over HTTP/2 a refused request has no connection to close. A stream that the client never ends must not stay.

const options = { maxBodyBytes: 1000, contentSeconds: 0.05 };

type Listen = () => Promise<{ readonly port: number; close: () => unknown }>;
const listeners: readonly (readonly [string, Listen])[] = [
  [
    'node',
    async () => {
      const routes = { 'POST /open': { public: true as const, handler: () => undefined } };
      const server = createHttp2Server(guardNode(createProofWorld().verifier, routes, options) as never);
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      return { port: (server.address() as AddressInfo).port, close: () => server.close() };
    },
  ],
  [
    'Fastify',
    async () => {
      const app = createFastify({ http2: true });
      await app.register(guard(createProofWorld().verifier, { 'POST /open': 'public' }, options));
      app.post('/open', () => 'ran');
      await app.listen({ port: 0, host: '127.0.0.1' });
      return { port: (app.server.address() as AddressInfo).port, close: () => app.close() };
    },
  ],
];

test.each(
  listeners.flatMap(([name, listen]) => [
    [name, 'is too large', 2000, 413, listen] as const,
    [name, 'does not come', 10, 408, listen] as const,
  ]),
)('%s ends a stream whose content %s', async (_, __, bytes, status, listen) => {
  const { port, close } = await listen();
  const client = connect(`http://127.0.0.1:${String(port)}`);
  const stream = client.request({ ':method': 'POST', ':path': '/open' }, { endStream: false });
  stream.write('a'.repeat(bytes));
  stream.resume();
  const ended = once(stream, 'close');
  const [headers] = (await once(stream, 'response')) as [{ ':status': number }];
  expect(headers[':status']).toBe(status);
  await ended;
  expect(stream.rstCode).toBe(0);
  client.close();
  await close();
});
