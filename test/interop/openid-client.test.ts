import * as client from 'openid-client';
import { afterEach, describe, expect, test } from 'vitest';
import { audience, newKey } from '../kit/issuer.ts';
import { type Live, startLive } from '../kit/live.ts';
import { importPair } from '../kit/web-keys.ts';

let live: Live | undefined;
afterEach(async () => {
  await live?.close();
  live = undefined;
});

describe.each([
  ['Ed25519', 'Ed25519', false],
  ['ES256', 'P-256', false],
  ['ES256', 'P-256', true],
] as const)('unmodified openid-client with %s', (_algorithm, curve, requireDpopNonce) => {
  test(`gets a capability (nonce demanded: ${requireDpopNonce}) and calls the API with it`, async () => {
    const key = newKey(curve);
    live = await startLive({ requireDpopNonce, agentKey: key.signer });
    const { world, apiOrigin } = live;
    const pair = await importPair(key.jwk);

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

    const url = new URL(`${apiOrigin}/notes/7`);
    const call = async (method: string) =>
      client.fetchProtectedResource(config, tokens.access_token, url, method, undefined, undefined, { DPoP });
    expect(await (await call('GET')).json()).toEqual({ note: '7' });
    const denied = await call('DELETE').catch((error: unknown) => error);
    expect((denied as Response).status).toBe(403);
  });
});
