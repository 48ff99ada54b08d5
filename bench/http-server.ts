import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createVerifier, memoryReplay, type PrivateJwk } from '@bulla/verifier';
import { type GuardEnv, guard } from '@bulla/verifier/hono';
import { serve } from '@hono/node-server';
import { Hono, type MiddlewareHandler } from 'hono';
import { importJWK, jwtVerify } from 'jose';
import { askedAction, documentWith, policySet } from './policies.ts';
import { World } from './world.ts';

/** What the process is asked to guard its one route with; `bare` with nothing. */
export type HttpKind = 'bare' | 'jose' | 'bulla';

/** From the server process to the one that measures. Keys are made for one run, and travel over a pipe. */
export type FromServer =
  | { readonly type: 'ready'; readonly url: string; readonly agent: PrivateJwk; readonly token: string }
  | { readonly type: 'cpu'; readonly micros: number };

async function main(kind: HttpKind): Promise<void> {
  const app = new Hono<GuardEnv>();
  const listening = serve({ fetch: (...all) => app.fetch(...all), hostname: '127.0.0.1', port: 0 });
  await once(listening, 'listening');
  const audience = `http://127.0.0.1:${String((listening.address() as AddressInfo).port)}`;
  const now = Math.floor(Date.now() / 1000);
  const world = new World({ policy: policySet({ policies: 10, entities: 1 }), audience, time: now - 100 });
  const protect = await middleware(kind, world);
  if (protect !== undefined) app.use(protect);
  app.get('/documents/:id', (c) => c.json({ id: c.req.param('id') }));
  const token = world.envelope({ exp: now + 3600 });
  send({ type: 'ready', url: audience, agent: world.agentJwk, token });
  process.on('message', (message) => {
    if (message === 'cpu') {
      const { user, system } = process.cpuUsage();
      send({ type: 'cpu', micros: user + system });
    } else listening.close(() => process.exit(0));
  });
  process.once('disconnect', () => process.exit(0));
}

/** `jose` verifies the very same token's root: one signature, issuer, audience, times. */
async function middleware(kind: HttpKind, world: World): Promise<MiddlewareHandler<GuardEnv> | undefined> {
  if (kind === 'bare') return undefined;
  const { audience } = world;
  if (kind === 'bulla') {
    const startedAt = Date.now() / 1000 - 3600;
    const verifier = createVerifier({
      account: world.ledger.account,
      audience,
      publicOrigins: [audience],
      trust: world.trust,
      replay: memoryReplay({ processes: 1, startedAt }),
      onReceipt: () => undefined,
    });
    return guard(verifier, {
      'GET /documents/:id': {
        action: askedAction,
        resource: (request) => documentWith(1, undefined, request.param('id')),
      },
    });
  }
  const { d: _, ...publicJwk } = world.mintJwk;
  const key = await importJWK({ ...publicJwk }, 'EdDSA');
  const issuer = `https://issuer.example/a/${world.ledger.account}`;
  return async (c, next) => {
    const presented = /^DPoP (\S+)$/u.exec(c.req.header('authorization') ?? '')?.[1] ?? '';
    try {
      await jwtVerify(presented, key, { issuer, audience, typ: 'bulla+jwt' });
    } catch {
      return c.text('unauthorized', 401);
    }
    await next();
    return undefined;
  };
}

function send(message: FromServer): void {
  process.send?.(message);
}

await main(process.argv[2] as HttpKind);
