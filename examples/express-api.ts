// Shows the same API in Express 5: the guard stands first, routes and routers stay as they are.
// Run:   node --import=tsx --conditions=@bulla/source examples/express-api.ts (after admin.ts, instead of api.ts)
// Prints `api on <url>`, then `<outcome> <method> <path>` for each request.
import { createServer } from 'node:http';
import { createVerifier, memoryReplay } from '@bulla/verifier';
import { type ExpressTable, granted, guard, refuseUpgrade } from '@bulla/verifier/express';
import { createFollower } from '@bulla/verifier/log';
import express from 'express';
import { readSettings } from './settings.ts';

const { account, issuer, readToken, lock, audience } = readSettings();
const follower = createFollower({ account, url: issuer, readToken, lock });
follower.start();
await follower.ready;
const verifier = createVerifier({
  account,
  audience,
  publicOrigins: [audience],
  trust: follower.trust,
  replay: memoryReplay({ processes: 1 }),
  onReceipt: ({ outcome, request }) => console.log(`${outcome} ${request.method} ${request.path ?? ''}`),
});

const teams: Readonly<Record<string, string>> = { '1': 'blue', '2': 'red' };
const order = (id: string, team = teams[id] ?? 'none') => ({ type: 'Order', id, attributes: { team } });
const newOrder = (body: unknown) => body as { readonly team: string; readonly amount: number };
const table: ExpressTable = {
  'GET /orders/:id': { action: 'order.read', resource: (request) => order(request.param('id')) },
  'POST /orders': {
    action: 'order.create',
    resource: (request) => order('new', newOrder(request.json()).team),
    context: (request) => ({ amount: newOrder(request.json()).amount }),
  },
  'GET /healthz': 'public',
};

const orders = express.Router();
orders.get('/:id', (request, response) => {
  response.json({ id: request.params.id, readBy: granted(request).grant.subject });
});
orders.post('/', (request, response) => {
  response.status(201).json(request.body);
});
const app = express();
app.use(guard(verifier, table, { onError: console.error }));
app.use('/orders', orders);
app.get('/healthz', (_, response) => {
  response.send('ok');
});

const { hostname, port } = new URL(audience);
const server = createServer(app).on('upgrade', refuseUpgrade);
server.listen(Number(port), hostname, () => console.log(`api on ${audience}`));
process.once('SIGTERM', () => {
  server.close();
  void follower.close();
});
