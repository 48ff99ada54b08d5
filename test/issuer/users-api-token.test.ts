import { createSigner, generatePrivateJwk } from '@bulla/verifier';
import { signJws } from '@bulla/verifier/envelope';
import * as jose from 'jose';
import * as oauth from 'oauth4webapi';
import { afterEach, describe, expect, test } from 'vitest';
import { partnerSecret, sha256, UsersApiWorld } from '../kit/users-api.ts';

let api: UsersApiWorld;
afterEach(async () => api.remove());

const refusal = async (response: Response) => {
  const { error, code } = (await response.json()) as { error: string; code: string };
  return [response.status, error, code];
};

const basic = (id: string, secret: string) => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
});

describe('a client gets an access token', () => {
  test('with its secret in the field or in the form, with the scopes it asks for', async () => {
    api = await UsersApiWorld.create();
    const posted = await api.tokenAnswer({ client_id: 'partner', client_secret: partnerSecret });
    expect(posted.headers.get('cache-control')).toBe('no-store');
    const sent = await api.tokenAnswer({ scope: 'users:read' }, basic('partner', partnerSecret));
    expect(await sent.json()).toMatchObject({ token_type: 'Bearer', expires_in: 600, scope: 'users:read' });
  });

  test('as a stock OAuth client finds the way from the metadata', async () => {
    api = await UsersApiWorld.create();
    const { issuerId, issuer } = api.world;
    const customFetch = {
      [oauth.customFetch]: async (url: string, init?: RequestInit) => issuer.app.request(url, init),
    };
    const identifier = new URL(`${issuerId}/api`);
    const discovered = await oauth.discoveryRequest(identifier, {
      algorithm: 'oauth2',
      ...customFetch,
    } as never);
    const server = await oauth.processDiscoveryResponse(identifier, discovered);
    const client = { client_id: 'partner' };
    const response = await oauth.clientCredentialsGrantRequest(
      server,
      client,
      oauth.ClientSecretBasic(partnerSecret),
      { scope: 'users:read' },
      customFetch,
    );
    const { access_token: token } = await oauth.processClientCredentialsResponse(server, client, response);
    expect((await api.call('GET /users', token)).status).toBe(200);
  });

  test('with an assertion by its key, once', async () => {
    const { publicKey, privateKey } = await jose.generateKeyPair('ES256', { extractable: true });
    const jwk = { ...(await jose.exportJWK(publicKey)), kid: 'one', key_ops: ['verify'] } as never;
    api = await UsersApiWorld.create({ clients: [{ id: 'partner', secrets: [], jwks: { keys: [jwk] } }] });
    const assertion = await new jose.SignJWT({ jti: 'only' })
      .setProtectedHeader({ alg: 'ES256', kid: 'one' })
      .setIssuer('partner')
      .setSubject('partner')
      .setAudience(`${api.world.issuerId}/api`)
      .setIssuedAt()
      .setExpirationTime('1 min')
      .sign(privateKey);
    const form = {
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
    };
    expect((await api.tokenAnswer(form)).status).toBe(200);
    expect(await refusal(await api.tokenAnswer(form))).toEqual([
      401,
      'invalid_client',
      'client_unauthenticated',
    ]);
  });
});

describe('no access token', () => {
  test('for a wrong, foreign or expired secret, an unknown client, all alike', async () => {
    const now = Math.floor(Date.now() / 1000);
    api = await UsersApiWorld.create({
      clients: [
        { id: 'partner' },
        { id: 'other', secrets: [{ sha256: sha256('secret-of-another-partner') }] },
        { id: 'late', secrets: [{ sha256: sha256('secret-that-has-expired'), notAfter: now - 1 }] },
      ],
    });
    const bodies = await Promise.all(
      [
        ['partner', 'wrong'],
        ['other', partnerSecret],
        ['late', 'secret-that-has-expired'],
        ['nobody', partnerSecret],
      ].map(async ([id = '', secret = '']) => {
        const answer = await api.tokenAnswer({}, basic(id, secret));
        expect(answer.headers.get('www-authenticate')).toContain('Basic');
        return [answer.status, await answer.text()];
      }),
    );
    expect(new Set(bodies.map((body) => JSON.stringify(body))).size).toBe(1);
    expect(bodies[0]).toEqual([401, expect.stringContaining('client_unauthenticated')]);
  });

  test('for an assertion by another key, for another endpoint, or by an agent', async () => {
    const signer = createSigner(generatePrivateJwk());
    const { jwk } = signer.publicKey;
    api = await UsersApiWorld.create({ clients: [{ id: 'partner', secrets: [], jwks: { keys: [jwk] } }] });
    const { world } = api;
    const aud = `${world.issuerId}/api`;
    const tried = async (claims: object, by = signer) =>
      refusal(
        await api.tokenAnswer({
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: signJws('JWT', {}, { ...world.assertionClaims('partner'), aud, ...claims }, by),
        }),
      );
    const no = [401, 'invalid_client', 'client_unauthenticated'];
    expect(await tried({}, world.agent.signer)).toEqual(no);
    expect(await tried({ aud: world.issuerId })).toEqual(no);
    expect(await tried({ sub: 'nobody', iss: 'nobody' })).toEqual(no);
    expect(await tried({ ...world.assertionClaims(world.agent.id), aud }, world.agent.signer)).toEqual(no);
  });

  test('for scopes that the client does not have, nor for another grant', async () => {
    api = await UsersApiWorld.create({ clients: [{ id: 'partner', scopes: ['users:read'] }] });
    const form = { client_id: 'partner', client_secret: partnerSecret };
    const wide = await api.tokenAnswer({ ...form, scope: 'users:read users:suspend' });
    expect(await refusal(wide)).toEqual([400, 'invalid_scope', 'scope_refused']);
    const other = await api.tokenAnswer({ ...form, grant_type: 'password' });
    expect(await refusal(other)).toEqual([400, 'unsupported_grant_type', 'grant_type_unsupported']);
  });
});

describe('an access token is void', () => {
  test('when it has expired, and when it is not one', async () => {
    api = await UsersApiWorld.create();
    const token = await api.token();
    for (const bad of ['x'.repeat(43), `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`, '']) {
      expect((await api.call('GET /users', bad)).body['code']).toBe('api_token_wrong');
    }
    api.world.ahead = 599;
    expect((await api.call('GET /users', token)).status).toBe(200);
    api.world.ahead = 601;
    expect(await api.call('GET /users', token)).toMatchObject({
      status: 401,
      body: { code: 'api_token_wrong' },
    });
  });

  test('in the query or as the read token of the log', async () => {
    api = await UsersApiWorld.create();
    const token = await api.token();
    const { app } = api.world.issuer;
    expect((await app.request(`${api.world.base}/api/v1/users?access_token=${token}`)).status).toBe(401);
    expect((await api.world.get('/log/entries?from=0', token)).status).toBe(401);
  });

  test('as far as the configuration took scopes or the client away since', async () => {
    api = await UsersApiWorld.create({ clients: [{ id: 'partner' }, { id: 'gone' }] });
    const [token, gone] = [await api.token(), await api.token('gone')];
    const { usersApi } = api.world.config.accounts[0] ?? {};
    const [partner] = usersApi?.clients ?? [];
    Object.assign(usersApi ?? {}, { clients: [{ ...partner, scopes: ['agents:read'] }] });
    await api.world.restart();
    expect((await api.call('GET /agents', token)).status).toBe(200);
    expect((await api.call('GET /users', token)).body['code']).toBe('scope_insufficient');
    expect((await api.call('GET /agents', gone)).body['code']).toBe('api_token_wrong');
  });
});
