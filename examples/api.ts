// Shows a guarded API: it follows the trust log, decides each request from memory, and writes a receipt for each.
// Run:   node --import=tsx --conditions=@bulla/source examples/api.ts        (after admin.ts)
// Prints `api on <url>`, then one receipt a line (JSON).
import { createVerifier, memoryReplay } from '@bulla/verifier';
import { type GuardEnv, type GuardTable, guard } from '@bulla/verifier/hono';
import { createFollower } from '@bulla/verifier/log';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { readSettings } from './settings.ts';

const { account, issuer, readToken, lock, audience } = readSettings();
const app = new Hono<GuardEnv>();

/** The API's own data. */
const teams: Readonly<Record<string, string>> = { '1': 'blue', '2': 'red' };
const order = (id: string) => ({ type: 'Order', id, attributes: { team: teams[id] ?? 'none' } });
const newOrder = (body: unknown) => body as { readonly team: string; readonly amount: number };

// readme:start
const follower = createFollower({ account, url: issuer, readToken, lock, onAlarm: console.error });
follower.start();
await follower.ready;
const verifier = createVerifier({
  account,
  audience,
  publicOrigins: [audience],
  trust: follower.trust,
  replay: memoryReplay({ processes: 1 }),
  onReceipt: (receipt) => console.log(JSON.stringify(receipt)),
});
const table: GuardTable = {
  'GET /orders/:id': { action: 'order.read', resource: (request) => order(request.param('id')) },
  'POST /orders': {
    action: 'order.create',
    resource: (request) => ({
      type: 'Order',
      id: 'new',
      attributes: { team: newOrder(request.json()).team },
    }),
    context: (request) => ({ amount: newOrder(request.json()).amount }),
  },
  'GET /healthz': 'public',
};
const stop = { path: '/.bulla/stop', accept: (leaf: string) => follower.stop(leaf) };
app.use(guard(verifier, table, { app, stop, onError: console.error }));
// readme:end

app.get('/orders/:id', (c) => c.json({ id: c.req.param('id'), readBy: c.get('grant').subject }));
app.post('/orders', async (c) => c.json(await c.req.json(), 201));
app.get('/healthz', (c) => c.text('ok'));

const { hostname, port } = new URL(audience);
const server = serve({ fetch: app.fetch, hostname, port: Number(port) }, () =>
  console.log(`api on ${audience}`),
);
process.once('SIGTERM', () => {
  server.close();
  void follower.close();
});
