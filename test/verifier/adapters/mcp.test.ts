import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Verifier } from '@bulla/verifier';
import { createProof } from '@bulla/verifier/envelope';
import { grantOf, guardMcp, type McpCall, type McpTable, textOf } from '@bulla/verifier/mcp';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { ApiWorld } from '../../kit/api.ts';
import { type RawAnswer, sendRaw } from '../../kit/raw-http.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

const note = ({ id, folder }: Readonly<Record<string, unknown>>) => ({
  type: 'Note',
  id: typeof id === 'string' ? id : '-',
  ancestors: [{ type: 'Folder', id: typeof folder === 'string' ? folder : 'open' }],
});

const table: McpTable = {
  tools: {
    read_note: { action: 'read', resource: note },
    write_note: { action: 'write', resource: note, typedOutput: true },
    lose_note: {
      action: 'read',
      resource: () => {
        throw new Error('database password is hunter2');
      },
    },
    show_note: { action: 'read', resource: (args) => note({ id: textOf(args, 'id') }) },
    time: 'public',
  },
  methods: {
    initialize: 'public',
    'notifications/initialized': 'public',
    ping: 'public',
    'tools/list': { action: 'read', resource: () => ({ type: 'Note', id: 'list' }) },
  },
};

interface Tools {
  readonly seen: { tool: string; args: unknown; subject: string }[];
}

function notesServer({ seen }: Tools): McpServer {
  const server = new McpServer({ name: 'notes', version: '1.0.0' });
  const inputSchema = { id: z.string(), folder: z.string().optional(), weight: z.number().optional() };
  const tool = (name: string, outputSchema?: { done: z.ZodBoolean }) =>
    server.registerTool(name, { inputSchema, ...(outputSchema && { outputSchema }) }, (args, extra) => {
      seen.push({ tool: name, args, subject: grantOf(extra).subject });
      return {
        content: [{ type: 'text', text: `note ${args.id}` }],
        ...(outputSchema && { structuredContent: { done: true } }),
      };
    });
  tool('read_note');
  tool('write_note', { done: z.boolean() });
  tool('lose_note');
  tool('forgotten');
  server.registerTool('time', {}, (extra) => {
    expect(() => grantOf(extra)).toThrow(TypeError);
    return { content: [{ type: 'text', text: 'late' }] };
  });
  return server;
}

async function serveNotes(change: Partial<McpTable> = {}) {
  const world = new ApiWorld();
  const tools: Tools = { seen: [] };
  const calls: McpCall[] = [];
  const onError = vi.fn();
  // The port, hence the origin, is known after listening.
  let verifier: Verifier = world.verifier;
  const listener = guardMcp(
    { decide: (...request) => verifier.decide(...request) },
    { ...table, ...change },
    async (call, response) => {
      calls.push(call);
      const server = notesServer(tools);
      const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true });
      response.on('close', () => void server.close());
      await server.connect(transport);
      return transport;
    },
    { onError },
  );
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  const local = `127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  const origin = `http://${local}`;
  verifier = world.verifierWith({ publicOrigins: [origin] });
  const envelope = world.envelope();
  const prove = (method: string, path: string, body = ''): Record<string, string> => {
    const headers = body === '' ? {} : { 'content-type': 'application/json' };
    const { signer } = world.agent;
    const proof = createProof({
      method,
      url: origin + path,
      headers,
      body,
      envelope,
      signer,
      now: world.now,
    });
    return { ...headers, authorization: `DPoP ${envelope}`, dpop: proof };
  };
  const raw = (
    method: string,
    path: string,
    body = '',
    fields: Record<string, string> = prove(method, path, body),
  ): Promise<RawAnswer> =>
    sendRaw(
      local,
      [
        `${method} ${path} HTTP/1.1`,
        `Host: ${local}`,
        'Accept: application/json, text/event-stream',
        ...(body === '' ? [] : [`Content-Length: ${String(Buffer.byteLength(body))}`]),
        ...Object.entries(fields).map(([name, value]) => `${name}: ${value}`),
      ],
      body,
    );
  const call = (name: string, args: unknown, id: unknown = 7): string =>
    JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } });
  return { world, tools, calls, onError, origin, prove, raw, call };
}

type Notes = Awaited<ReturnType<typeof serveNotes>>;

/** The SDK's own client; its `fetch` proves each request, as that of an agent does. */
async function connect({ origin, prove }: Notes): Promise<Client> {
  const fetch = (async (url: string | URL, init: RequestInit = {}) => {
    const { pathname } = new URL(url);
    const headers = new Headers(init.headers);
    const body = typeof init.body === 'string' ? init.body : '';
    for (const [name, value] of Object.entries(prove(init.method ?? 'GET', pathname, body)))
      headers.set(name, value);
    return globalThis.fetch(url, { ...init, headers });
  }) as typeof globalThis.fetch;
  const client = new Client({ name: 'agent', version: '1.0.0' });
  const transport = new StreamableHTTPClientTransport(new URL('/mcp', origin), { fetch });
  closers.push(() => client.close());
  await client.connect(transport);
  return client;
}

describe('the client of the MCP SDK', () => {
  test('calls a tool, which gets the verified arguments and the grant', async () => {
    const notes = await serveNotes();
    const client = await connect(notes);
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('read_note');
    const args = { id: '1', weight: 1.5 };
    const result = await client.callTool({ name: 'read_note', arguments: args });
    expect(result).toMatchObject({ content: [{ type: 'text', text: 'note 1' }] });
    expect(notes.tools.seen).toEqual([{ tool: 'read_note', args, subject: notes.world.alice.id }]);
  });

  test("hears a policy's no as a result that says so", async () => {
    const notes = await serveNotes();
    const client = await connect(notes);
    const result = await client.callTool({ name: 'read_note', arguments: { id: '1', folder: 'secret' } });
    const problem = { code: 'policy_denied', layer: 'admin', detail: 'this folder is closed', status: 403 };
    expect(result).toMatchObject({ isError: true, structuredContent: problem });
    expect(JSON.parse((result.content as { text: string }[])[0]?.text ?? '')).toMatchObject(problem);
    expect(notes.tools.seen).toEqual([]);
  });

  test('takes a denial of a tool with an output schema', async () => {
    const notes = await serveNotes();
    const client = await connect(notes);
    await client.listTools();
    const result = await client.callTool({ name: 'write_note', arguments: { id: '1', folder: 'secret' } });
    expect(result.isError).toBe(true);
    expect(result).not.toHaveProperty('structuredContent');
    expect(await client.callTool({ name: 'write_note', arguments: { id: '1' } })).toMatchObject({
      structuredContent: { done: true },
    });
  });

  test('calls a public tool without a grant', async () => {
    const notes = await serveNotes();
    expect(await (await connect(notes)).callTool({ name: 'time' })).toMatchObject({
      content: [{ text: 'late' }],
    });
    expect(notes.calls.at(-1)?.grant).toBeUndefined();
  });

  test('is told what was refused, as an error of the transport', async () => {
    const notes = await serveNotes();
    const client = await connect(notes);
    await expect(client.callTool({ name: 'forgotten', arguments: { id: '1' } })).rejects.toThrow(
      'route_unmapped',
    );
    expect(notes.tools.seen).toEqual([]);
  });
});

describe('what has no row is refused before the transport', () => {
  const message = (method: string, more: object = { id: 1 }): string =>
    JSON.stringify({ jsonrpc: '2.0', method, ...more });
  test.each<[string, string, string]>([
    ['an unknown tool', message('tools/call', { id: 1, params: { name: 'forgotten' } }), 'route_unmapped'],
    [
      'a tool named as a property',
      message('tools/call', { id: 1, params: { name: 'toString' } }),
      'route_unmapped',
    ],
    ['an unknown method', message('resources/list'), 'route_unmapped'],
    ['a method named as a property', message('constructor'), 'route_unmapped'],
    ['a notification without a row', message('notifications/cancelled', {}), 'route_unmapped'],
    ['an answer', JSON.stringify({ jsonrpc: '2.0', id: 1, result: {} }), 'route_unmapped'],
    ['a batch', `[${message('ping')}]`, 'route_input_invalid'],
    ['an empty batch', '[]', 'route_input_invalid'],
    ['no JSON', 'ping', 'route_input_invalid'],
    ['no JSON-RPC', '{"method":"ping","id":1}', 'route_input_invalid'],
    ['two methods', '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}', 'route_input_invalid'],
    [
      'two names',
      message('tools/call').replace('}', ',"params":{"name":"time","name":"read_note"}}'),
      'route_input_invalid',
    ],
    ['a call that is an answer too', message('ping', { id: 1, result: {} }), 'route_input_invalid'],
    ['an answer that is both', '{"jsonrpc":"2.0","id":1,"result":{},"error":{}}', 'route_input_invalid'],
    [
      'a tool call nobody waits for',
      message('tools/call', { params: { name: 'time' } }),
      'route_input_invalid',
    ],
    [
      'arguments in a list',
      message('tools/call', { id: 1, params: { name: 'time', arguments: [] } }),
      'route_input_invalid',
    ],
    [
      'a number that no float holds',
      message('ping').replace('"id":1', '"id":9007199254740993'),
      'route_input_invalid',
    ],
    ['an id of another type', message('ping', { id: [1] }), 'route_input_invalid'],
    ...['__proto__', String.raw`\u005f_proto__`].map((name): [string, string, string] => [
      `arguments with ${name}`,
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"time","arguments":{"${name}":{"id":"1"}}}}`,
      'route_input_invalid',
    ]),
  ])('%s', async (_, body, code) => {
    const { raw, calls } = await serveNotes();
    const answer = await raw('POST', '/mcp', body);
    expect(answer.code).toBe(code);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(calls).toEqual([]);
  });

  test.each([
    ['GET', '/mcp', 'route_method_unmapped', 405],
    ['DELETE', '/mcp', 'route_method_unmapped', 405],
    ['OPTIONS', '/mcp', 'route_method_unmapped', 405],
    ['PUT', '/mcp', 'route_method_unmapped', 405],
    ['POST', '/mcp/', 'route_unknown', 404],
    ['POST', '/MCP', 'route_unknown', 404],
    ['POST', '/%6dcp', 'request_target_invalid', 400],
  ])('%s %s', async (method, path, code, status) => {
    const { raw, calls } = await serveNotes();
    const answer = await raw(method, path, '', {});
    expect([answer.code, answer.status]).toEqual([code, status]);
    expect(calls).toEqual([]);
  });

  test('GET and DELETE are decided where they have rows', async () => {
    const row = { action: 'read', resource: () => note({ id: 'stream' }) };
    const { raw, calls, world } = await serveNotes({ stream: row, end: row });
    expect((await raw('DELETE', '/mcp', '', {})).code).toBe('envelope_missing');
    expect((await raw('GET', '/mcp', '', {})).code).toBe('envelope_missing');
    await raw('DELETE', '/mcp');
    expect(calls).toMatchObject([{ grant: { subject: world.alice.id } }]);
  });

  test('`tools/call` cannot be mapped past the tools', () => {
    const methods = { 'tools/call': 'public' } as const;
    expect(() => guardMcp(new ApiWorld().verifier, { tools: {}, methods }, () => expect.fail())).toThrow(
      TypeError,
    );
  });
});

describe('a tool call is one decision', () => {
  test('about the very arguments that were proven', async () => {
    const { raw, call, prove, tools } = await serveNotes();
    const proven = call('read_note', { id: '1' });
    const sent = call('read_note', { id: '2' });
    const answer = await raw('POST', '/mcp', sent, prove('POST', '/mcp', proven));
    expect(answer.code).toBe('proof_content_mismatch');
    expect(tools.seen).toEqual([]);
  });

  test('once: a replay is refused, with a challenge', async () => {
    const { raw, call, prove, tools } = await serveNotes();
    const body = call('read_note', { id: '1' });
    const fields = prove('POST', '/mcp', body);
    expect((await raw('POST', '/mcp', body, fields)).status).toBe(200);
    const again = await raw('POST', '/mcp', body, fields);
    expect([again.status, again.code]).toEqual([401, 'proof_replayed']);
    expect(again.headers['www-authenticate']).toMatch(/^DPoP /u);
    expect(tools.seen).toHaveLength(1);
  });

  test.each([{}, { id: 1 }, { id: ['1'] }, { id: null }, JSON.parse('{"__proto__":{"id":"1"}}')])(
    'that names its resource in text: %j is refused',
    async (args: unknown) => {
      const { raw, call } = await serveNotes();
      expect((await raw('POST', '/mcp', call('show_note', args))).code).toBe('route_input_invalid');
    },
  );

  test('that fails without detail where the row throws', async () => {
    const { raw, call, onError, tools } = await serveNotes();
    const answer = await raw('POST', '/mcp', call('lose_note', { id: '1' }));
    expect([answer.status, answer.code]).toEqual([500, 'internal_error']);
    expect(answer.text).not.toContain('hunter2');
    expect(onError).toHaveBeenCalledOnce();
    expect(tools.seen).toEqual([]);
  });

  test('without an envelope it is challenged', async () => {
    const { raw, call } = await serveNotes();
    const answer = await raw('POST', '/mcp', call('read_note', { id: '1' }), {
      'content-type': 'application/json',
    });
    expect([answer.status, answer.code]).toEqual([401, 'envelope_missing']);
    expect(answer.headers['www-authenticate']).toMatch(/^DPoP algs=/u);
  });

  test('twice as many sessions in one request are refused', async () => {
    const { raw, call, prove, calls } = await serveNotes();
    const body = call('read_note', { id: '1' });
    const fields = { ...prove('POST', '/mcp', body), 'Mcp-Session-Id': 'a', 'mcp-session-id': 'b' };
    expect((await raw('POST', '/mcp', body, fields)).code).toBe('request_field_repeated');
    expect(calls).toEqual([]);
  });
});
