import { createHash, randomBytes } from 'node:crypto';
import { bindingOf } from '@bulla/verifier/envelope';
import * as oauth from 'oauth4webapi';
import * as client from 'openid-client';
import { afterEach, expect, test } from 'vitest';
import { exchangeGrant, tokenType } from '../kit/exchange.ts';
import { githubClaims, OutsideIssuer } from '../kit/federation.ts';
import { type Idp, startIdp } from '../kit/idp.ts';
import { audience, newKey } from '../kit/issuer.ts';
import { type Live, startLive } from '../kit/live.ts';
import { OutsideServer } from '../kit/outside-server.ts';
import { importPair } from '../kit/web-keys.ts';

// Agents that hold what they hold today, a stock OAuth client, and a key that no log knows.

const secret = randomBytes(32).toString('base64url');
const insecure = { [oauth.allowInsecureRequests]: true } as const;
const actions = [{ type: 'bulla', actions: ['read'] }];

let closing: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const part of closing.toReversed()) await part.close();
  closing = [];
});

function opened<T extends { close(): Promise<void> }>(part: T): T {
  closing.push(part);
  return part;
}

async function startAll(): Promise<Live> {
  return opened(
    await startLive({
      account: (world) => ({
        clientSecrets: [
          { agent: world.agent.id, sha256: createHash('sha256').update(secret).digest('base64url') },
        ],
        federations: ['idp', 'build'].map((name) => ({ name, dangerouslyAllowPrivateAddresses: true })),
      }),
    }),
  );
}

/** An admin trusts the IdP for alice's agent, and lists `read` for it. */
async function trustIdp(live: Live, idp: Idp): Promise<void> {
  const { world } = live;
  world.ledger.do({
    type: 'federation.trust',
    name: 'idp',
    profile: 'oidc',
    issuer: idp.issuer,
    keys: [idp.thumbprint],
    audience: world.issuerId,
    claims: { azp: 'reports-agent', agent_type: 'autonomous' },
    agent: world.agent.id,
  });
  await live.append();
  world.ledger.do({ type: 'agent.vouch', agent: world.agent.id, actions: ['read'] });
  await live.append();
}

async function asStockClient({ world, apiOrigin }: Live, authentication?: client.ClientAuth) {
  const pair = await importPair(newKey('P-256').jwk);
  const config = await client.discovery(
    new URL(world.issuerId),
    world.agent.id,
    undefined,
    authentication ?? client.None(),
    { execute: [client.allowInsecureRequests], algorithm: 'oauth2' },
  );
  const DPoP = client.getDPoPHandle(config, pair);
  const call = async (token: string, method: string, path: string): Promise<number> => {
    const url = new URL(`${apiOrigin}${path}`);
    return client
      .fetchProtectedResource(config, token, url, method, undefined, undefined, { DPoP })
      .then(({ status }) => status)
      .catch((error: client.WWWAuthenticateChallengeError) => error.status);
  };
  return { config, DPoP, call };
}

test('openid-client gets a token from oidc-provider, exchanges it, and reads what it was vouched for', async () => {
  const [live, idp] = [await startAll(), opened(await startIdp())];
  await trustIdp(live, idp);
  const atIdp = await client.discovery(
    new URL(idp.issuer),
    'reports-agent',
    undefined,
    client.ClientSecretBasic(idp.secretOf('reports-agent')),
    { execute: [client.allowInsecureRequests] },
  );
  const { access_token: held } = await client.clientCredentialsGrant(atIdp, {
    resource: live.world.issuerId,
    scope: 'read',
  });

  const { config, DPoP, call } = await asStockClient(live);
  const subject = { subject_token: held, subject_token_type: `${tokenType}access_token` };
  const answer = await client.genericGrantRequest(
    config,
    exchangeGrant,
    { ...subject, resource: audience },
    { DPoP },
  );
  expect(answer).toMatchObject({
    token_type: 'dpop',
    issued_token_type: `${tokenType}access_token`,
    scope: 'read',
  });
  expect(await call(answer.access_token, 'GET', '/notes/7')).toBe(200);
  expect(await call(answer.access_token, 'PUT', '/plain/7')).toBe(403);

  const bad = { ...subject, subject_token: `${held.slice(0, -4)}AAAA`, resource: audience };
  const refused: unknown = await client
    .genericGrantRequest(config, exchangeGrant, bad, { DPoP })
    .catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(client.ResponseBodyError);
  expect((refused as client.ResponseBodyError).error).toBe('invalid_request');
});

test.each([
  ['basic', client.ClientSecretBasic],
  ['post', client.ClientSecretPost],
])('openid-client exchanges a client secret that it sends by %s', async (_, authentication) => {
  const live = await startAll();
  live.world.ledger.do({ type: 'agent.vouch', agent: live.world.agent.id, actions: ['read'] });
  await live.append();
  const { config, DPoP, call } = await asStockClient(live, authentication(secret));
  const answer = await client.clientCredentialsGrant(config, { resource: audience }, { DPoP });
  expect(await call(answer.access_token, 'GET', '/notes/7')).toBe(200);
  expect(await call(answer.access_token, 'PUT', '/plain/7')).toBe(403);
});

test('oauth4webapi exchanges a token of CI bound to its key, then that envelope for a narrower one', async () => {
  const outside = new OutsideIssuer('RS256');
  const [live, server] = [await startAll(), opened(await OutsideServer.start([outside]))];
  const { world, apiOrigin } = live;
  world.ledger.do({
    type: 'federation.trust',
    name: 'build',
    profile: 'github',
    issuer: server.url,
    keys: [outside.thumbprint],
    claims: { repository: 'octo-org/octo-repo' },
    agent: world.agent.id,
  });
  await live.append();

  const key = newKey('P-256');
  const issuer = new URL(world.issuerId);
  const discovery = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
  const as = await oauth.processDiscoveryResponse(issuer, discovery);
  const self: oauth.Client = { client_id: world.agent.id };
  const DPoP = oauth.DPoP(self, await importPair(key.jwk));
  const exchange = async (token: string, type: string, details?: unknown) => {
    const response = await oauth.genericTokenEndpointRequest(
      as,
      self,
      oauth.None(),
      exchangeGrant,
      {
        subject_token: token,
        subject_token_type: `${tokenType}${type}`,
        resource: audience,
        ...(details !== undefined && { authorization_details: JSON.stringify(details) }),
      },
      { DPoP, ...insecure },
    );
    return oauth.processGenericTokenEndpointResponse(as, self, response);
  };
  const statusOf = async (token: string, method: string): Promise<number> =>
    oauth
      .protectedResourceRequest(token, method, new URL(`${apiOrigin}/plain/7`), undefined, undefined, {
        DPoP,
        ...insecure,
      })
      .then(({ status }) => status)
      .catch((error: oauth.WWWAuthenticateChallengeError) => error.status);

  const binding = bindingOf(world.ledger.account, key.signer.publicKey.thumbprint);
  const now = Math.floor(Date.now() / 1000);
  const job = outside.token(githubClaims(binding, now, { iss: server.url }));
  const wide = await exchange(job, 'jwt');
  expect([await statusOf(wide.access_token, 'GET'), await statusOf(wide.access_token, 'PUT')]).toEqual([
    200, 200,
  ]);
  const narrow = await exchange(wide.access_token, 'access_token', actions);
  expect([await statusOf(narrow.access_token, 'GET'), await statusOf(narrow.access_token, 'PUT')]).toEqual([
    200, 403,
  ]);

  const thief = outside.token(githubClaims('bulla:another', now, { iss: server.url }));
  const refused: unknown = await exchange(thief, 'jwt').catch((error: unknown) => error);
  expect((refused as oauth.ResponseBodyError).cause).toMatchObject({ code: 'federation_not_bound' });
});
