import { createVerifier, memoryReplay } from '@bulla/verifier';
import { guard } from '@bulla/verifier/hono';
import { createFollower, type Follower } from '@bulla/verifier/log';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { Desk, freePort, policySets } from './desk.ts';

/** An API of documents on loopback: agents may read them, and change none. It takes stops at `stopUrl`. */
export interface DocumentsApi {
  readonly origin: string;
  readonly stopUrl: string;
  readonly follower: Follower;
  /** A reader of the group `staff`. */
  readonly person: string;
  /** An agent of that person, and the name of its key. */
  readonly agent: string;
  readonly key: string;
  close(): Promise<void>;
}

/** The desk with an issuer that may mint for the API. */
export async function deskWithApi(): Promise<{ readonly desk: Desk; readonly api: DocumentsApi }> {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const desk = await Desk.withIssuer('--audience', `${origin}/`);
  await desk.json('policy', 'publish', `${policySets}/read-only-agent`, '--slot', 'documents');
  await desk.json('admin', 'audience', 'add', `${origin}/`, '--slot', 'documents');
  await desk.json('admin', 'group', 'add', 'staff');
  const { id: person } = await desk.addPerson('--group', 'staff');
  const { id: agent, file: key } = await desk.addAgent(person);
  const follower = createFollower({ ...desk.account(), url: desk.url });
  follower.start();
  await follower.ready;
  const server = serve({ fetch: documents(desk, origin, follower).fetch, hostname: '127.0.0.1', port });
  return {
    desk,
    api: {
      origin,
      stopUrl: `${origin}/.bulla/stop`,
      follower,
      person,
      agent,
      key,
      close: async () => {
        await follower.close();
        server.close();
        if ('closeAllConnections' in server) server.closeAllConnections();
      },
    },
  };
}

function documents(desk: Desk, origin: string, follower: Follower): Hono {
  const verifier = createVerifier({
    account: desk.account().account,
    audience: `${origin}/`,
    publicOrigins: [origin],
    trust: follower.trust,
    replay: memoryReplay({ processes: 1, startedAt: Date.now() / 1000 - 3600 }),
  });
  const resource = (request: { param(name: string): string }) => ({
    type: 'Document',
    id: request.param('id'),
    attributes: { owner: { type: 'User', id: 'prn_of_somebody_else' } },
  });
  const app = new Hono();
  const table = {
    'GET /documents/:id': { action: 'document.read', resource },
    'PUT /documents/:id': { action: 'document.write', resource },
  };
  app.use(guard(verifier, table, { stop: { path: '/.bulla/stop', accept: (leaf) => follower.stop(leaf) } }));
  app.get('/documents/:id', (c) => c.json({ document: c.req.param('id') }));
  app.put('/documents/:id', (c) => c.body(null, 204));
  return app;
}
