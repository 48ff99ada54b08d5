import * as oauth from 'oauth4webapi';
import { afterEach, describe, expect, test } from 'vitest';
import { audience, newKey } from '../kit/issuer.ts';
import { type Live, startLive } from '../kit/live.ts';
import { importPair } from '../kit/web-keys.ts';

const insecure = { [oauth.allowInsecureRequests]: true } as const;

let live: Live | undefined;
afterEach(async () => {
  await live?.close();
  live = undefined;
});

/** Someone with nothing but oauth4webapi, a key in the log, and the issuer's address. */
async function enter(curve: 'Ed25519' | 'P-256', requireDpopNonce = false) {
  const key = newKey(curve);
  live = await startLive({ requireDpopNonce, agentKey: key.signer });
  const { world, apiOrigin } = live;
  const pair = await importPair(key.jwk);
  const issuer = new URL(world.issuerId);
  const discovery = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
  const server = await oauth.processDiscoveryResponse(issuer, discovery);
  const client: oauth.Client = { client_id: world.agent.id };
  const DPoP = oauth.DPoP(client, pair);
  const ask = async (parameters: Readonly<Record<string, string>> = {}) => {
    const response = await oauth.clientCredentialsGrantRequest(
      server,
      client,
      oauth.PrivateKeyJwt(pair.privateKey),
      { resource: audience, ...parameters },
      { DPoP, ...insecure },
    );
    return oauth.processClientCredentialsResponse(server, client, response);
  };
  const call = async (
    token: string,
    method: string,
    path: string,
    body?: string | Uint8Array<ArrayBuffer>,
  ) => {
    const url = new URL(`${apiOrigin}${path}`);
    return oauth.protectedResourceRequest(token, method, url, undefined, body, { DPoP, ...insecure });
  };
  return { server, client, DPoP, pair, ask, call };
}

describe.each(['Ed25519', 'P-256'] as const)('unmodified oauth4webapi with %s', (curve) => {
  test('reads the metadata, gets a capability, and calls what has neither query nor content', async () => {
    const { server, ask, call } = await enter(curve);
    expect(server.grant_types_supported).toContain('client_credentials');
    const token = await ask();
    expect(token).toMatchObject({ token_type: 'dpop', expires_in: 300 });
    expect(await (await call(token.access_token, 'GET', '/notes/7')).json()).toEqual({ note: '7' });
  });

  test('is told to use a nonce, and gets its capability with it', async () => {
    const { ask } = await enter(curve, true);
    const refused: unknown = await ask().catch((error: unknown) => error);
    expect(oauth.isDPoPNonceError(refused)).toBe(true);
    expect((await ask()).token_type).toBe('dpop');
  });

  test('reads from the challenge why a query or content that it cannot bind is refused', async () => {
    const { ask, call } = await enter(curve);
    const { access_token: token } = await ask();
    const challengeOf = async (answer: Promise<Response>): Promise<unknown> => {
      const error: unknown = await answer.then(
        () => 'allowed',
        (reason: unknown) => reason,
      );
      if (!(error instanceof oauth.WWWAuthenticateChallengeError)) return error;
      const { code } = (await error.response.json()) as { readonly code: string };
      return { scheme: error.cause[0]?.scheme, error: error.cause[0]?.parameters['error'], code };
    };
    const refusal = { scheme: 'dpop', error: 'invalid_dpop_proof' };
    expect(await challengeOf(call(token, 'GET', '/notes/7?page=2'))).toEqual({
      ...refusal,
      code: 'proof_query_mismatch',
    });
    expect(await challengeOf(call(token, 'PUT', '/notes/7', 'milk'))).toEqual({
      ...refusal,
      code: 'proof_header_unbound',
    });
    expect(await challengeOf(call(token, 'PUT', '/notes/7', Buffer.from('milk')))).toEqual({
      ...refusal,
      code: 'proof_content_mismatch',
    });
  });

  test('sends both to a route that opted down to plain RFC 9449', async () => {
    const { ask, call } = await enter(curve);
    const { access_token: token } = await ask();
    expect((await call(token, 'GET', '/plain/7?page=2')).status).toBe(200);
    expect(await (await call(token, 'PUT', '/plain/7', 'milk')).text()).toBe('milk');
  });

  test('is narrowed by the authorization_details that it asked for', async () => {
    const { ask, call } = await enter(curve);
    const details = [{ type: 'bulla', actions: ['read'] }];
    const token = await ask({ authorization_details: JSON.stringify(details) });
    expect(token['authorization_details']).toEqual(details);
    expect((await call(token.access_token, 'GET', '/notes/7')).status).toBe(200);
    const denied = await call(token.access_token, 'PUT', '/plain/7', 'milk').then(
      ({ status }) => status,
      (error: unknown) => (error as oauth.WWWAuthenticateChallengeError).status,
    );
    expect(denied).toBe(403);
  });

  test.each([
    ['a resource that nobody registered', { resource: 'https://other.example' }, 'invalid_target'],
    ['details that are no JSON', { authorization_details: '{' }, 'invalid_authorization_details'],
    [
      'a type of details that is not ours',
      { authorization_details: '[{"type":"x"}]' },
      'invalid_authorization_details',
    ],
  ])('gets an OAuth error for %s', async (_, parameters, error) => {
    const { ask } = await enter(curve);
    const refused: unknown = await ask(parameters).catch((reason: unknown) => reason);
    expect(refused).toBeInstanceOf(oauth.ResponseBodyError);
    const { error: code, error_description } = refused as oauth.ResponseBodyError;
    expect(code).toBe(error);
    expect(error_description).toMatch(/^`(?:resource|authorization_details)`.{10,}/u);
  });
});
