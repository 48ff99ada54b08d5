import { createVerifier, memoryReplay, type Receipt } from '@bulla/verifier';
import { guard } from '@bulla/verifier/hono';
import { createFollower, type Follower } from '@bulla/verifier/log';
import { type ServerType, serve } from '@hono/node-server';
import { Hono } from 'hono';

export interface GuardedApi {
  readonly origin: string;
  readonly follower: Follower;
  /** Every decision so far, newest last. */
  readonly receipts: readonly Receipt[];
  close(): Promise<void>;
}

/** The API of the demo: orders of team `blue`, guarded. It follows the log and calls nobody to decide. */
export async function startApi(options: {
  readonly account: string;
  readonly issuer: string;
  readonly readToken: string;
  readonly audience: string;
  readonly port: number;
}): Promise<GuardedApi> {
  const { account, issuer, readToken, audience, port } = options;
  const follower = createFollower({ account, url: issuer, readToken });
  const receipts: Receipt[] = [];
  const verifier = createVerifier({
    account,
    audience,
    publicOrigins: [audience],
    trust: follower.trust,
    replay: memoryReplay({ processes: 1 }),
    onReceipt: (receipt) => receipts.push(receipt),
  });
  const app = new Hono();
  const order = (id: string): { type: string; id: string; attributes: { team: string } } => ({
    type: 'Order',
    id,
    attributes: { team: 'blue' },
  });
  app.use(
    guard(verifier, {
      'GET /orders/:id': { action: 'order.read', resource: (request) => order(request.param('id')) },
      'POST /orders': {
        action: 'order.create',
        resource: () => order('new'),
        context: (request) => ({ amount: amountOf(request.json()) }),
      },
    }),
  );
  app.get('/orders/:id', (c) => c.json({ order: c.req.param('id'), team: 'blue' }));
  app.post('/orders', async (c) => c.json({ placed: amountOf(await c.req.json()) }, 201));
  follower.start();
  await follower.ready;
  const server = await listen(app, port);
  return {
    origin: audience,
    follower,
    receipts,
    close: async () => {
      await follower.close();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

function amountOf(body: unknown): unknown {
  return (body as { readonly amount?: unknown } | null)?.amount;
}

function listen(app: Hono, port: number): Promise<ServerType> {
  return new Promise((resolve) => {
    const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port }, () => resolve(server));
  });
}
