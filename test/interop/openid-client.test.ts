import { createServer } from 'node:net';
import { type RunningIssuer, serveIssuer } from '@bulla/issuer';
import { createVerifier, memoryReplay, type PrivateJwk, type PublicJwk } from '@bulla/verifier';
import { guard } from '@bulla/verifier/hono';
import { createFollower, type Follower } from '@bulla/verifier/log';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import * as client from 'openid-client';
import { afterEach, describe, expect, test } from 'vitest';
import { audience, IssuerWorld, newKey, readToken } from '../kit/issuer.ts';

const freePort = async (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });

const importPair = async (
  algorithm: 'Ed25519' | 'ES256',
  jwk: PrivateJwk,
): Promise<Parameters<typeof client.getDPoPHandle>[1]> => {
  const parameters = algorithm === 'Ed25519' ? { name: 'Ed25519' } : { name: 'ECDSA', namedCurve: 'P-256' };
  const { d: _, ...publicJwk }: PrivateJwk | (PublicJwk & { d?: string }) = jwk;
  return {
    privateKey: await crypto.subtle.importKey('jwk', jwk, parameters, false, ['sign']),
    publicKey: await crypto.subtle.importKey('jwk', publicJwk, parameters, true, ['verify']),
  };
};

interface Running {
  readonly world: IssuerWorld;
  readonly issuer: RunningIssuer;
  readonly follower: Follower;
  readonly apiOrigin: string;
  readonly closeApi: () => void;
}
let running: Running | undefined;

/** A real issuer and a real API that follows its log, both on loopback. */
async function start(world: IssuerWorld, apiPort: number): Promise<Running> {
  await world.issuer.close();
  const issuer = await serveIssuer(world.config, world.ports);
  const follower = createFollower({ account: world.ledger.account, url: issuer.url, readToken });
  follower.start();
  await follower.ready;
  const apiOrigin = `http://127.0.0.1:${apiPort}`;
  const verifier = createVerifier({
    account: world.ledger.account,
    audience,
    publicOrigins: [apiOrigin],
    trust: follower.trust,
    replay: memoryReplay({ processes: 1, startedAt: Date.now() / 1000 - 3600 }),
  });
  const app = new Hono();
  app.use(
    guard(verifier, {
      'GET /notes/:id': {
        action: 'read',
        resource: (request) => ({
          type: 'Note',
          id: request.param('id'),
          ancestors: [{ type: 'Folder', id: 'plans' }],
        }),
      },
      'DELETE /notes/:id': {
        action: 'write',
        resource: (request) => ({
          type: 'Note',
          id: request.param('id'),
          ancestors: [{ type: 'Folder', id: 'secret' }],
        }),
      },
    }),
  );
  app.get('/notes/:id', (c) => c.json({ note: c.req.param('id') }));
  app.delete('/notes/:id', (c) => c.body(null, 204));
  const server = serve({ fetch: app.fetch, port: apiPort, hostname: '127.0.0.1' });
  await expect.poll(() => server.listening).toBe(true);
  return { world, issuer, follower, apiOrigin, closeApi: () => server.close() };
}

afterEach(async () => {
  await running?.follower.close();
  running?.closeApi();
  await running?.issuer.close();
  await running?.world.start();
  await running?.world.remove();
  running = undefined;
});

describe.each([
  ['Ed25519', 'Ed25519', false],
  ['ES256', 'P-256', false],
  ['ES256', 'P-256', true],
] as const)('unmodified openid-client with %s', (algorithm, curve, requireDpopNonce) => {
  test(`gets a capability (nonce demanded: ${requireDpopNonce}) and calls the API with it`, async () => {
    const [issuerPort, apiPort] = [await freePort(), await freePort()];
    const key = newKey(curve);
    const world = await IssuerWorld.create({
      publicUrl: `http://127.0.0.1:${issuerPort}`,
      config: { port: issuerPort },
      account: { requireDpopNonce },
      agentKey: key.signer,
    });
    running = await start(world, apiPort);
    const { apiOrigin } = running;
    const pair = await importPair(algorithm, key.jwk);

    const config = await client.discovery(
      new URL(world.issuerId),
      world.agent.id,
      undefined,
      client.PrivateKeyJwt(pair.privateKey),
      { execute: [client.allowInsecureRequests], algorithm: requireDpopNonce ? 'oidc' : 'oauth2' },
    );
    const DPoP = client.getDPoPHandle(config, pair);
    const details = [{ type: 'bulla', actions: ['read', 'write'] }];
    const tokens = await client.clientCredentialsGrant(
      config,
      { resource: audience, authorization_details: JSON.stringify(details) },
      { DPoP },
    );
    expect(tokens.token_type).toBe('dpop');
    expect(tokens.expires_in).toBe(300);
    expect(tokens.authorization_details).toEqual(details);

    const call = async (method: string) =>
      client.fetchProtectedResource(
        config,
        tokens.access_token,
        new URL(`${apiOrigin}/notes/7`),
        method,
        undefined,
        undefined,
        { DPoP },
      );
    const allowed = await call('GET');
    expect(await allowed.json()).toEqual({ note: '7' });
    const denied = await call('DELETE').catch((error: unknown) => error);
    expect((denied as Response).status ?? (denied as { status: number }).status).toBe(403);
  });
});
