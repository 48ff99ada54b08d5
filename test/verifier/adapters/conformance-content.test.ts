import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { describe, expect, test, vi } from 'vitest';
import { chunked, dial, parseAnswer, readAll } from '../../kit/raw-http.ts';
import { openShop } from './shop.ts';
import { type Adapter, adapters } from './shops.ts';

const json = { type: 'application/json' };

describe.each(adapters)('$name', (adapter) => {
  describe('content', () => content(adapter));
});

function content(adapter: Adapter): void {
  const body = '{ "id":"o2",  "amount": 1.50, "note": "\\u00fc" }';
  test.each([
    ['with a length', [`Content-Length: ${String(body.length)}`], body],
    ['in chunks', ['Transfer-Encoding: chunked'], chunked(body)],
  ])('%s reaches the handler byte for byte', async (_, fields, sent) => {
    const { proven, send, ran } = await openShop(adapter);
    const answer = await send([...proven('POST', '/orders', { body, ...json }), ...fields], sent);
    expect([answer.status, answer.text]).toEqual([200, body]);
    expect(ran).toEqual(['POST /orders']);
  });

  test('that is no JSON reaches the handler byte for byte', async () => {
    const { proven, send } = await openShop(adapter);
    const bytes = '\u0001\u0002"{';
    const lines = proven('PUT', '/files/f1', { body: bytes, type: 'application/octet-stream' });
    const answer = await send([...lines, `Content-Length: ${String(bytes.length)}`], bytes);
    expect([answer.status, answer.text]).toEqual([200, bytes]);
  });

  const sized = (text: string): string => `Content-Length: ${String(text.length)}`;
  const other = body.replace('o2', 'o3');
  const long = 'a'.repeat(1001);
  test.each<[string, string[], string, string]>([
    ['other content', [sized(other)], other, 'proof_content_mismatch'],
    ['other content in chunks', ['Transfer-Encoding: chunked'], chunked(other), 'proof_content_mismatch'],
    ['no content', ['Content-Length: 0'], '', 'proof_content_mismatch'],
    ['announced too large', [sized(long)], '', 'content_too_large'],
    ['too large in chunks', ['Transfer-Encoding: chunked'], chunked(long), 'content_too_large'],
    [
      'announced trailers',
      ['Transfer-Encoding: chunked', 'Trailer: X-Amount'],
      chunked(body),
      'request_field_refused',
    ],
    ['called encoded', [sized(body), 'Content-Encoding: gzip'], body, 'request_encoding_refused'],
    [
      'a second content type',
      [sized(body), 'Content-Type: text/plain'],
      body,
      adapter.seesWire ? 'request_field_repeated' : '',
    ],
    ['another content type', [sized(body), 'X-Content-Type: text/plain'], body, ''],
  ])('%s is refused', async (name, fields, sent, code) => {
    const { proven, send, ran } = await openShop(adapter, { maxBodyBytes: 1000 });
    const lines = proven('POST', '/orders', { body, ...json });
    const changed =
      name === 'another content type' ? lines.map((l) => l.replace('/json', '/other+json')) : lines;
    const answer = await send([...changed, ...fields], sent);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    if (code !== '') expect(answer.code).toBe(code);
    expect(ran).toEqual([]);
  });

  if (adapter.seesWire)
    test('that ends in trailers is refused', async () => {
      const { proven, send, ran } = await openShop(adapter);
      const lines = [...proven('POST', '/orders', { body, ...json }), 'Transfer-Encoding: chunked'];
      expect((await send(lines, chunked(body, 'X-Amount: 1\r\n'))).code).toBe('content_refused');
      expect(ran).toEqual([]);
    });

  test.each([['Content-Length: 1'], ['Transfer-Encoding: chunked']])(
    'of a GET is refused: %s',
    async (field) => {
      const { proven, send, ran } = await openShop(adapter);
      expect((await send([...proven('GET', '/orders/o1'), field])).code).toBe('content_refused');
      expect(ran).toEqual([]);
    },
  );

  test('without end is cut at the cap', async () => {
    const { proven, host, ran } = await openShop(adapter, { maxBodyBytes: 1000 });
    const socket = dial(host);
    socket.on('error', () => undefined);
    socket.write(
      `${[...proven('POST', '/orders', json), 'Transfer-Encoding: chunked'].join('\r\n')}\r\n\r\n`,
    );
    const endless = (): void => {
      while (socket.writable && socket.write(`400\r\n${'a'.repeat(1024)}\r\n`));
    };
    socket.on('drain', endless);
    endless();
    const answer = parseAnswer(await readAll(socket));
    expect([answer.status, answer.code]).toEqual([413, 'content_too_large']);
    expect(ran).toEqual([]);
  });

  test('that does not come is not waited for', async () => {
    const { proven, host, ran } = await openShop(adapter, { contentSeconds: 0.05 });
    const socket = dial(host);
    socket.write(`${[...proven('POST', '/orders', json), 'Content-Length: 10'].join('\r\n')}\r\n\r\n{`);
    const answer = parseAnswer(await readAll(socket));
    expect([answer.status, answer.code]).toEqual([408, 'content_too_slow']);
    expect(ran).toEqual([]);
  });

  test.each([
    ['Content-Length: 0', ''],
    ['Transfer-Encoding: chunked', '0\r\n\r\n'],
  ])('that is empty is not waited for either: %s', async (field, sent) => {
    const { proven, send, ran } = await openShop(adapter);
    await send([...proven('PUT', '/files/f1', { type: 'text/plain' }), field], sent);
    expect(ran).toEqual(['PUT /files/:id']);
  });

  test('that is broken off runs nothing, and the next request is served', async () => {
    const onError = vi.fn();
    const { proven, host, server, send, ran } = await openShop(adapter, { onError });
    const socket = dial(host);
    socket.write(`${[...proven('POST', '/orders', json), 'Content-Length: 10'].join('\r\n')}\r\n\r\n{`);
    const [request] = (await once(server, 'request')) as [IncomingMessage];
    socket.destroy();
    await new Promise((resolve) => request.once('close', resolve));
    expect((await send(proven('GET', '/orders/o1'))).status).toBe(200);
    expect(ran).toEqual(['GET /orders/:id']);
    expect(onError).not.toHaveBeenCalled();
  });
}
