import { once } from 'node:events';
import { createServer } from 'node:net';
import { type RunningIssuer, serveIssuer } from '@bulla/issuer';
import { createVerifier, memoryReplay, type Signer, type Verifier } from '@bulla/verifier';
import { guard } from '@bulla/verifier/hono';
import { createFollower, type Follower } from '@bulla/verifier/log';
import type { PolicySetDocument } from '@bulla/verifier/policy';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { audience, entryBody, IssuerWorld, readToken } from './issuer.ts';

export interface LiveOptions {
  readonly requireDpopNonce?: boolean;
  readonly agentKey?: Signer;
  /** Settings of the account that name what the log made, such as `clientSecrets`. */
  readonly account?: (world: IssuerWorld) => Partial<IssuerWorld['config']['accounts'][number]>;
  /** The API is called in the log as it is reached, by its origin and a slash, and not `audience`. */
  readonly ownAudience?: boolean;
  /** In place of the API of notes. */
  readonly api?: (verifier: Verifier) => Hono;
}

/** A real issuer, and a real API of notes that follows its log, both on loopback. */
export interface Live {
  readonly world: IssuerWorld;
  readonly issuer: RunningIssuer;
  readonly follower: Follower;
  readonly apiOrigin: string;
  /** Posts a leaf of the ledger with the policy sets it may publish, and waits until the API has seen it. */
  post(leaf: string, documents: readonly PolicySetDocument[]): Promise<void>;
  /** Posts the ledger's last leaf, and waits until the API has seen it. */
  append(): Promise<void>;
  close(): Promise<void>;
}

/** A TCP port of loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

export async function startLive(options: LiveOptions = {}): Promise<Live> {
  const [issuerPort, apiPort] = [await freePort(), await freePort()];
  const world = await IssuerWorld.create({
    publicUrl: `http://127.0.0.1:${issuerPort}`,
    config: { port: issuerPort },
    account: { requireDpopNonce: options.requireDpopNonce ?? false },
    ...(options.ownAudience === true && { audiences: [`http://127.0.0.1:${apiPort}/`] }),
    ...(options.agentKey !== undefined && { agentKey: options.agentKey }),
  });
  await world.issuer.close();
  Object.assign(world.config.accounts[0] ?? {}, options.account?.(world));
  const issuer = await serveIssuer(world.config, world.ports);
  const follower = createFollower({ account: world.ledger.account, url: issuer.url, readToken });
  follower.start();
  await follower.ready;
  const apiOrigin = `http://127.0.0.1:${apiPort}`;
  const server = serve({
    fetch: (options.api ?? notesApi)(
      createVerifier({
        account: world.ledger.account,
        audience: options.ownAudience === true ? `${apiOrigin}/` : audience,
        publicOrigins: [apiOrigin],
        trust: follower.trust,
        replay: memoryReplay({ processes: 1, startedAt: Date.now() / 1000 - 3600 }),
      }),
    ).fetch,
    port: apiPort,
    hostname: '127.0.0.1',
  });
  if (!server.listening) await once(server, 'listening');
  const post = async (leaf: string, documents: readonly PolicySetDocument[] = []): Promise<void> => {
    const response = await fetch(`${issuer.url}${world.base}/log/entries`, {
      method: 'POST',
      headers: { authorization: `Bearer ${readToken}`, 'content-type': 'application/json' },
      body: JSON.stringify(entryBody(leaf, documents)),
    });
    if (response.status !== 201) throw new Error(`entry was refused: ${await response.text()}`);
    await follower.until(({ size }) => size > world.ledger.leaves.indexOf(leaf));
  };
  return {
    world,
    issuer,
    follower,
    apiOrigin,
    post,
    append: () => post(world.ledger.lastLeaf),
    close: async () => {
      await follower.close();
      server.close();
      await issuer.close();
      await world.start();
      await world.remove();
    },
  };
}

/**
 * `/notes/:id`: read with `GET`, written with `PUT`, in the folder `plans`; `DELETE` is in `secret`, which is closed to
 * all. `/plain/:id` likewise, where a plain RFC 9449 proof is enough.
 */
function notesApi(verifier: Verifier): Hono {
  const note = (folder: string) => (request: { param(name: string): string }) => ({
    type: 'Note',
    id: request.param('id'),
    ancestors: [{ type: 'Folder', id: folder }],
  });
  const app = new Hono();
  app.use(
    guard(verifier, {
      'GET /notes/:id': { action: 'read', resource: note('plans') },
      'PUT /notes/:id': { action: 'write', resource: note('plans') },
      'GET /plain/:id': { action: 'read', resource: note('plans'), dangerouslyPlainDpop: true },
      'PUT /plain/:id': { action: 'write', resource: note('plans'), dangerouslyPlainDpop: true },
      'DELETE /notes/:id': { action: 'write', resource: note('secret') },
    }),
  );
  app.get('/notes/:id', (c) => c.json({ note: c.req.param('id') }));
  app.put('/notes/:id', async (c) => c.text(await c.req.text()));
  app.get('/plain/:id', (c) => c.json({ note: c.req.param('id') }));
  app.put('/plain/:id', async (c) => c.text(await c.req.text()));
  app.delete('/notes/:id', (c) => c.body(null, 204));
  return app;
}
