import { type FetchRoutes, guardFetch } from '@bulla/verifier/fetch';
import { type GuardEnv, guard, type MappedRequest } from '@bulla/verifier/hono';
import { Hono } from 'hono';
import { describe, expect, test } from 'vitest';
import { createProofWorld, origin, provenHeaders, type TestGrant } from '../../kit/deciding.ts';

// The row asks about the resource that it reads from the query, the handler acts on the one that it reads: were there a
// query of which they read two different ones, a holder could ask for the one and get the other.

const row = {
  action: 'read',
  resource: (request: MappedRequest) => ({ type: 'Order', id: request.query.get('id') ?? 'none' }),
};

interface Readings {
  readonly row: string;
  readonly handler: string;
}

async function throughHono(query: string): Promise<Readings | number> {
  const world = createProofWorld();
  const app = new Hono<GuardEnv<TestGrant>>();
  app.use(guard(world.verifier, { 'GET /orders': row }));
  app.get('/orders', (c) => c.json({ row: c.get('grant').resource, handler: c.req.query('id') ?? 'none' }));
  const url = `${origin}/orders?${query}`;
  return readings(await app.request(url, { headers: provenHeaders(world.alice, { url }) }));
}

async function throughFetch(query: string): Promise<Readings | number> {
  const world = createProofWorld();
  const routes: FetchRoutes<TestGrant> = {
    'GET /orders': {
      ...row,
      handler: (request, { grant }) =>
        Response.json({
          row: grant.resource,
          handler: new URL(request.url).searchParams.get('id') ?? 'none',
        }),
    },
  };
  const url = `${origin}/orders?${query}`;
  const answer = guardFetch(world.verifier, routes);
  return readings(await answer(new Request(url, { headers: provenHeaders(world.alice, { url }) })));
}

async function readings(response: Response): Promise<Readings | number> {
  return response.status === 200 ? ((await response.json()) as Readings) : response.status;
}

describe.each([
  ['Hono', throughHono],
  ['fetch', throughFetch],
])('%s: row and handler read one query', (_, send) => {
  test.each([
    '?id=mine&id=theirs',
    '?id=theirs',
    'id=mine&id=theirs',
    '%69d=mine&id=theirs',
    'id=theirs&%69d=mine',
    '&&id=mine&id=theirs',
    'id&id=theirs',
    'x=?id=mine&id=theirs',
    'id=a+b%2Bc',
    'id=%C3%BC',
  ])('%s', async (query) => {
    const read = await send(query);
    expect(read).toEqual({ row: expect.any(String), handler: expect.any(String) });
    expect((read as Readings).row).toBe((read as Readings).handler);
  });

  test.each(['id=%FF', 'id=%E0%A4%A', 'id=%C3%28x'])('%s is refused', async (query) => {
    expect(await send(query)).toBe(400);
  });
});
