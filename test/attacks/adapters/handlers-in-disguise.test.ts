import { type GuardEnv, guard } from '@bulla/verifier/hono';
import { Hono } from 'hono';
import { describe, expect, test } from 'vitest';
import { createProofWorld, origin, type TestGrant } from '../../kit/deciding.ts';

// Hono wraps each handler of a sub-app that has an `onError` of its own in a function that takes `next`, so that it looks
// like a middleware: behind it the row of a wildcard, here a public one, would be asked in its place.

const table = { 'GET /*': 'public' } as const;

function site(): Hono<GuardEnv<TestGrant>> {
  const app = new Hono<GuardEnv<TestGrant>>();
  app.onError((_, c) => c.text('failed', 500));
  return app;
}

function backOffice(depth: number, handle: (app: Hono) => void): Hono {
  const app = new Hono();
  app.onError((_, c) => c.text('failed', 500));
  if (depth === 1) handle(app);
  else app.route('/', backOffice(depth - 1, handle));
  return app;
}

describe.each([1, 2])('a sub-app with an error handler, %s deep', (depth) => {
  test('has no handler for all methods run under the row of a wildcard', async () => {
    const app = site();
    app.use(guard(createProofWorld().verifier, table, { app }));
    app.route(
      '/office',
      backOffice(depth, (sub) => sub.all('/secret', (c) => c.text('secret'))),
    );
    app.get('/*', (c) => c.text('page'));
    const response = await app.request(`${origin}/office/secret`);
    expect(response.status).toBe(403);
    expect(await response.text()).not.toContain('secret');
    expect(await (await app.request(`${origin}/index.html`)).text()).toBe('page');
  });

  test('has no handler stand before the guard unnoticed', async () => {
    const app = site();
    app.route(
      '/office',
      backOffice(depth, (sub) => sub.get('/secret', (c) => c.text('secret'))),
    );
    app.use(guard(createProofWorld().verifier, table, { app }));
    app.get('/*', (c) => c.text('page'));
    expect((await app.request(`${origin}/index.html`)).status).toBe(500);
  });

  test('may still have middleware', async () => {
    const app = site();
    app.use(guard(createProofWorld().verifier, table, { app }));
    app.route(
      '/office',
      backOffice(depth, (sub) => sub.use(async (_, next) => next())),
    );
    app.get('/*', (c) => c.text('page'));
    expect(await (await app.request(`${origin}/office/page`)).text()).toBe('page');
  });
});
