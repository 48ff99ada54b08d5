import type { ServerResponse } from 'node:http';
import { inspect } from '@bulla/verifier/envelope';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ExchangeChange, ExchangeWorld } from '../kit/exchange.ts';
import { OutsideIssuer } from '../kit/federation.ts';
import { audience, newKey } from '../kit/issuer.ts';
import { published } from '../kit/outside-server.ts';

let world: ExchangeWorld;
beforeEach(async () => {
  world = await ExchangeWorld.create();
});
afterEach(async () => world.close());

const domain = 'spiffe://corp.example';

describe('a token that is bound to the holder key', () => {
  test('of GitHub Actions gives a federated envelope that an API takes', async () => {
    await world.trust();
    const token = world.github();
    const answer = await world.exchange(token);
    expect(answer).toMatchObject({
      status: 200,
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      token_type: 'DPoP',
      expires_in: 300,
    });
    const envelope = answer.access_token ?? '';
    expect(inspect(envelope).root).toMatchObject({
      aud: [audience],
      sub: world.issuer.alice.id,
      client_id: world.agent.id,
      key: 'federated',
      cnf: { jwk: world.job.publicKey.jwk },
      federated: { trust: 'build', token, jwk: world.outside.jwk },
    });
    expect(await world.decide(envelope, 'read')).toBe('allow');
  });

  test('as a JWT-SVID does, found by the trust domain in its subject', async () => {
    await world.trust({
      name: 'mesh',
      profile: 'spiffe',
      issuer: domain,
      claims: { sub: `${domain}/reports` },
    });
    world.server.keys = [published(world.outside, 'k1', 'jwt-svid')];
    const svid = world.outside.token({
      sub: `${domain}/reports`,
      aud: [world.binding()],
      exp: world.now + 300,
    });
    const { access_token: envelope = '' } = await world.exchange(svid);
    expect(await world.decide(envelope, 'write')).toBe('allow');
  });

  test('as an ID token does, bound by its nonce', async () => {
    await world.trust({ name: 'idp', profile: 'oidc', audience: 'bulla', claims: { sub: 'reports' } });
    const token = world.outside.token({
      iss: world.server.url,
      sub: 'reports',
      aud: 'bulla',
      nonce: world.binding(),
      iat: world.now,
      exp: world.now + 300,
    });
    const { access_token: envelope = '' } = await world.exchange(token, { type: 'id_token' });
    expect(await world.decide(envelope, 'read')).toBe('allow');
  });

  test('may be exchanged again by the same key while it is fresh', async () => {
    await world.trust();
    const token = world.github();
    expect((await world.exchange(token)).status).toBe(200);
    expect((await world.exchange(token)).status).toBe(200);
    world.issuer.ahead = 290;
    expect((await world.exchange(token)).status).toBe(200);
    world.issuer.ahead = 300;
    expect((await world.exchange(token)).code).toBe('federation_time');
  });

  test('is held to what was asked: details and scopes narrow, and come back', async () => {
    await world.trust();
    const details = [{ type: 'bulla', actions: ['read', 'write'], resources: [{ type: 'Note', id: '1' }] }];
    const answer = await world.exchange(world.github(), {
      form: { scope: ['read'], authorization_details: [JSON.stringify(details)] },
    });
    expect(answer).toMatchObject({ scope: 'read', authorization_details: details });
    const envelope = answer.access_token ?? '';
    expect(await world.decide(envelope, 'read')).toBe('allow');
    expect(await world.decide(envelope, 'write')).toBe('deny');
  });

  test.each(['PS256', 'ES256', 'ES384', 'EdDSA'] as const)('may be signed with %s', async (kind) => {
    const outside = new OutsideIssuer(kind);
    world.server.keys = [published(outside, 'k1')];
    await world.trust({ keys: [outside.thumbprint] });
    const token = outside.token(
      JSON.parse(Buffer.from(world.github().split('.')[1] ?? '', 'base64url').toString()),
    );
    expect((await world.exchange(token)).status).toBe(200);
  });
});

type Row = readonly [
  name: string,
  run: () => [token: string, change?: ExchangeChange],
  code: string,
  error: string,
];
const invalidRequest = 'invalid_request';
const stranger = newKey().signer;

describe('an exchange is refused for', () => {
  const rows: readonly Row[] = [
    [
      'a token of an unknown issuer',
      () => [world.github({ iss: 'https://other.example' })],
      'federation_unknown',
      invalidRequest,
    ],
    [
      'another repository',
      () => [world.github({ repository: 'octo-org/other' })],
      'federation_claims_mismatch',
      invalidRequest,
    ],
    [
      'a pull request of a stranger',
      () => [world.github({ event_name: 'pull_request_target' })],
      'federation_claims_mismatch',
      invalidRequest,
    ],
    [
      'a token for another holder key',
      () => [world.github({}, stranger)],
      'federation_not_bound',
      invalidRequest,
    ],
    [
      'a token bound to nothing',
      () => [world.github({ aud: 'https://issuer.example' })],
      'federation_not_bound',
      invalidRequest,
    ],
    [
      'a bound token sent as an access token',
      () => [world.github(), { type: 'access_token' }],
      'federation_not_bound',
      invalidRequest,
    ],
    ['an expired token', () => [world.github({ exp: world.now - 1 })], 'federation_time', invalidRequest],
    [
      'a token from long ago',
      () => [world.github({ iat: world.now - 700 })],
      'federation_time',
      invalidRequest,
    ],
    [
      'a token that is no JWT',
      () => ['accVkjcJyb4BWCxGsndESCJQbdFMogUC5PbRDqceLTC'],
      'federation_token_invalid',
      invalidRequest,
    ],
    [
      'a forged signature',
      () => [`${world.github().slice(0, -8)}AAAAAAAA`],
      'federation_token_invalid',
      invalidRequest,
    ],
    [
      'a key that is not published',
      () => [world.outside.token({ iss: world.server.url }, { kid: 'k9' })],
      'subject_token_refused',
      invalidRequest,
    ],
    [
      'a header that brings its own key',
      () => [world.outside.token({ iss: world.server.url }, { jku: world.server.jwksUrl })],
      'federation_token_invalid',
      invalidRequest,
    ],
    [
      'a key of the log',
      () => [world.github({}, world.agent.signer), { signer: world.agent.signer }],
      'proof_refused',
      'invalid_dpop_proof',
    ],
    ['no proof', () => [world.github(), { proof: '' }], 'proof_refused', 'invalid_dpop_proof'],
    [
      'another client_id than the agent',
      () => [world.github(), { form: { client_id: [world.issuer.alice.id] } }],
      'subject_token_refused',
      invalidRequest,
    ],
    [
      'a scope that is no action',
      () => [world.github(), { form: { scope: ['fly'] } }],
      'scope_refused',
      'invalid_scope',
    ],
    [
      'an unregistered resource',
      () => [world.github(), { form: { resource: ['https://other.example'] } }],
      'target_refused',
      'invalid_target',
    ],
    [
      'an unregistered audience',
      () => [world.github(), { form: { audience: ['urn:example:cooperation-context'] } }],
      'target_refused',
      'invalid_target',
    ],
  ];
  test.each(rows)('%s', async (_, run, code, error) => {
    await world.trust();
    const [token, change] = run();
    const answer = await world.exchange(token, change);
    expect({ code: answer.code, error: answer.error }).toEqual({ code, error });
    expect(answer.error_description).toMatch(/^[\u0020\u0021\u0023-\u005b\u005d-\u007e]+$/u);
    expect(answer.access_token).toBeUndefined();
  });
});

describe('which trust of the log a token is under', () => {
  test('the first whose claims fit, in the order of names', async () => {
    await world.trust({ name: 'other', claims: { repository: 'octo-org/other' } });
    await world.trust({ name: 'build' });
    await world.trust({ name: 'idp', claims: { repository: { like: 'octo-org/*' } } });
    const { access_token: envelope = '' } = await world.exchange(world.github());
    expect(inspect(envelope).root.federated?.trust).toBe('build');
  });

  test('none, where two agents would fit', async () => {
    const { ledger, alice } = world.issuer;
    ledger.time = Math.max(ledger.time, world.now);
    const second = ledger.agent(alice);
    await world.issuer.appended(ledger.lastLeaf);
    await world.trust();
    await world.trust({ name: 'other', agent: second.id });
    expect((await world.exchange(world.github())).code).toBe('federation_ambiguous');
  });

  test('none, where admins give it to another agent while keys are fetched', async () => {
    const { ledger, alice } = world.issuer;
    ledger.time = Math.max(ledger.time, world.now);
    const second = ledger.agent(alice);
    await world.issuer.appended(ledger.lastLeaf);
    await world.trust();
    const { url, jwksUrl, keys } = world.server;
    const answer = async (response: ServerResponse): Promise<void> => {
      world.server.answer = undefined;
      await world.trust({ agent: second.id });
      response.end(JSON.stringify({ issuer: url, jwks_uri: jwksUrl, keys }));
    };
    world.server.answer = (_, response) => void answer(response);
    expect((await world.exchange(world.github())).code).toBe('federation_unknown');
    const { access_token: envelope = '' } = await world.exchange(world.github());
    expect(inspect(envelope).root.client_id).toBe(second.id);
  });

  test('none, once admins distrust it or the agent ends', async () => {
    await world.trust();
    await world.trust({ name: 'other' });
    expect((await world.exchange(world.github())).status).toBe(200);
    await world.admin({ type: 'federation.distrust', name: 'build' });
    const { access_token: envelope = '' } = await world.exchange(world.github());
    expect(inspect(envelope).root.federated?.trust).toBe('other');
    await world.admin({ type: 'federation.distrust', name: 'other' });
    expect((await world.exchange(world.github())).code).toBe('federation_unknown');
  });

  test('an agent that was suspended gets nothing, whatever its token says', async () => {
    await world.trust();
    await world.admin({ type: 'agent.suspend', agent: world.agent.id });
    expect(await world.exchange(world.github())).toMatchObject({
      status: 401,
      error: 'invalid_client',
      code: 'client_inactive',
    });
  });
});
