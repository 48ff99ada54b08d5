import { mapRequest } from '@bulla/verifier/adapter';
import { createProof } from '@bulla/verifier/envelope';
import { guardFetch } from '@bulla/verifier/fetch';
import { type GuardEnv, type GuardTable, guard } from '@bulla/verifier/hono';
import { Hono } from 'hono';
import { describe, expect, test } from 'vitest';
import { ApiWorld, audience } from '../../kit/api.ts';

const note = (action: string) => ({
  action,
  resource: (request: { param(name: string): string; query: URLSearchParams }) => ({
    type: 'Note',
    id: request.param('id'),
    ancestors: [{ type: 'Folder', id: request.query.get('folder') ?? 'open' }],
  }),
});

const table: GuardTable = { 'GET /notes/:id': note('read'), 'PUT /notes/:id': note('write') };

type Send = (request: Request) => Response | Promise<Response>;

const apps: [string, (world: ApiWorld) => Send][] = [
  [
    'hono',
    (world) => {
      const app = new Hono<GuardEnv>();
      app.use(guard(world.verifier, table, { app }));
      app.get('/notes/:id', (c) => c.text(c.get('grant').subject));
      app.put('/notes/:id', async (c) => c.text(await c.req.text()));
      return (request) => app.fetch(request);
    },
  ],
  [
    'fetch',
    (world) =>
      guardFetch(world.verifier, {
        'GET /notes/:id': { ...note('read'), handler: (_request, { grant }) => new Response(grant.subject) },
        'PUT /notes/:id': {
          ...note('write'),
          handler: async (request) => new Response(await request.text()),
        },
      }),
  ],
];

describe.each(apps)('the whole decision behind %s', (_, createApp) => {
  const setUp = () => {
    const world = new ApiWorld();
    const send = createApp(world);
    const envelope = world.envelope();
    const prove = (method: string, path: string, body?: string) => {
      const headers: Record<string, string> = body === undefined ? {} : { 'content-type': 'text/plain' };
      const url = audience + path;
      const proof = createProof({
        method,
        url,
        headers,
        envelope,
        signer: world.agent.signer,
        now: world.now,
        body: body ?? '',
      });
      return new Request(url, {
        method,
        headers: { ...headers, authorization: `DPoP ${envelope}`, dpop: proof },
        ...(body === undefined ? {} : { body }),
      });
    };
    return { world, send, prove };
  };
  const problem = async (response: Response) => (await response.json()) as Record<string, unknown>;

  test('allows, and the handler knows for whom', async () => {
    const { world, send, prove } = setUp();
    expect(await (await send(prove('GET', '/notes/1'))).text()).toBe(world.alice.id);
    expect(await (await send(prove('PUT', '/notes/1', 'text'))).text()).toBe('text');
  });

  test("denies with the admins' reason", async () => {
    const { send, prove } = setUp();
    const response = await send(prove('GET', '/notes/1?folder=secret'));
    expect(response.status).toBe(403);
    expect(await problem(response)).toMatchObject({
      code: 'policy_denied',
      layer: 'admin',
      detail: 'this folder is closed',
    });
  });

  test('refuses a replay, and a suspended agent', async () => {
    const { world, send, prove } = setUp();
    const request = prove('GET', '/notes/1');
    expect((await send(request.clone())).status).toBe(200);
    expect(await problem(await send(request))).toMatchObject({ code: 'proof_replayed' });
    world.ledger.do({ type: 'agent.suspend', agent: world.agent.id });
    expect((await send(prove('GET', '/notes/1'))).status).toBe(401);
  });

  test('answers stale knowledge with 503, not with a decision', async () => {
    const { world, send, prove } = setUp();
    world.age = 61;
    const response = await send(prove('GET', '/notes/1'));
    expect(response.status).toBe(503);
    expect(await problem(response)).toMatchObject({ code: 'trust_stale', layer: 'verifier' });
  });
});

test.each(['{"a":[{"__proto__":{"folder":"secret"}}]}', String.raw`{"_\u005fproto__":{"folder":"secret"}}`])(
  'content with a member that assignment makes a prototype is not read: %s',
  (content) => {
    const wire = { method: 'POST', target: '/', headers: [], body: Buffer.from(content) };
    expect(() => mapRequest(wire, {}).json()).toThrow(
      expect.objectContaining({ code: 'route_input_invalid' }),
    );
  },
);
