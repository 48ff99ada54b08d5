// Shows the same API as one `(request) => Response`, for any server that speaks Fetch; each row has its handler.
// Run:   node --import=tsx --conditions=@bulla/source examples/fetch-api.ts  (after admin.ts, instead of api.ts)
// Prints `api on <url>`, then `<outcome> <method> <path>` for each request.
import { createVerifier, memoryReplay } from '@bulla/verifier';
import { guardFetch } from '@bulla/verifier/fetch';
import { createFollower } from '@bulla/verifier/log';
import { serve } from '@hono/node-server';
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
const api = guardFetch(verifier, {
  'GET /orders/:id': {
    action: 'order.read',
    resource: ({ params: { id = '' } }) => ({ type: 'Order', id, attributes: { team: teams[id] ?? 'none' } }),
    handler: (_, { grant, request }) => Response.json({ id: request.param('id'), readBy: grant.subject }),
  },
  'GET /healthz': { public: true, handler: () => new Response('ok') },
});

const { hostname, port } = new URL(audience);
const server = serve({ fetch: api, hostname, port: Number(port) }, () => console.log(`api on ${audience}`));
process.once('SIGTERM', () => {
  server.close();
  void follower.close();
});
