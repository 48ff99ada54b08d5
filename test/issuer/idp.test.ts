import { inspect } from '@bulla/verifier/envelope';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ExchangeWorld } from '../kit/exchange.ts';
import { type Idp, type IdpClient, startIdp } from '../kit/idp.ts';
import { newKey } from '../kit/issuer.ts';

const resource = 'https://issuer.example';
const owned: IdpClient = {
  id: 'reports',
  claims: {
    owner: 'alice@corp.example',
    agent_type: 'autonomous',
    azp: 'reports',
    gty: 'client-credentials',
  },
};
let world: ExchangeWorld;
let idp: Idp;

beforeEach(async () => {
  world = await ExchangeWorld.create();
  idp = await startIdp({
    clients: [
      owned,
      { id: 'stranger', claims: { azp: 'stranger', agent_type: 'autonomous' } },
      { id: 'sat-at', claims: { ...owned.claims, agent_type: 'interactive' } },
      { id: 'of-bob', claims: { ...owned.claims, owner: 'prn_00000000000000000000000000000000' } },
      { id: 'of-a-login', claims: { ...owned.claims, gty: 'password' } },
    ],
  });
});
afterEach(async () => {
  await idp.close();
  await world.close();
});

const access = { type: 'access_token' } as const;
const trust = async (change: Parameters<ExchangeWorld['trust']>[0] = {}): Promise<void> =>
  world.trust({
    name: 'idp',
    profile: 'oidc',
    issuer: idp.issuer,
    keys: [idp.thumbprint],
    audience: resource,
    claims: { azp: 'reports', owner: 'alice@corp.example' },
    ...change,
  });

describe('an access token that oidc-provider gave for client credentials', () => {
  test('gives a vouched envelope, held to the scopes and to what admins listed', async () => {
    await trust();
    await world.vouch('read');
    const answer = await world.exchange(await idp.accessToken('reports', { scope: 'read write' }), access);
    expect(answer).toMatchObject({ status: 200, scope: 'read write', token_type: 'DPoP' });
    const envelope = answer.access_token ?? '';
    const { root } = inspect(envelope);
    expect(root).toMatchObject({ key: 'vouched', client_id: world.agent.id, vouched: { trust: 'idp' } });
    expect(root.narrow).toHaveLength(1);
    expect(await world.decide(envelope, 'read')).toBe('allow');
    expect(await world.decide(envelope, 'write')).toBe('action_not_vouched');
  });

  test('narrows to the scopes that it has, and to fewer where fewer are asked for', async () => {
    await trust();
    await world.vouch('read', 'write');
    const { access_token: narrow = '', scope } = await world.exchange(
      await idp.accessToken('reports', { scope: 'read' }),
      access,
    );
    expect(scope).toBe('read');
    expect(await world.decide(narrow, 'read')).toBe('allow');
    expect(await world.decide(narrow, 'write')).toBe('deny');
    const both = await idp.accessToken('reports', { scope: 'read write' });
    const form = { scope: ['write'] };
    const { access_token: write = '' } = await world.exchange(both, { ...access, form });
    expect(await world.decide(write, 'read')).toBe('deny');
    expect(await world.decide(write, 'write')).toBe('allow');
    const read = await idp.accessToken('reports', { scope: 'read' });
    expect((await world.exchange(read, { ...access, form })).code).toBe('scope_refused');
  });

  test('never outlives the token', async () => {
    await trust();
    await world.vouch('read');
    const token = await idp.accessToken('reports');
    world.issuer.ahead = 500;
    expect((await world.exchange(token, access)).expires_in).toBeLessThanOrEqual(100);
    world.issuer.ahead = 601;
    expect((await world.exchange(token, access)).code).toBe('federation_time');
  });

  test.each([
    ['of another client', 'stranger', 'federation_claims_mismatch'],
    ['at which a person sits', 'sat-at', 'subject_token_refused'],
    ['of another owner in the log', 'of-bob', 'subject_token_refused'],
    ['that a person logged in for', 'of-a-login', 'subject_token_refused'],
  ])('%s is refused', async (_, client, code) => {
    await trust(client === 'of-bob' ? { claims: { azp: 'reports' } } : {});
    await world.vouch('read');
    const answer = await world.exchange(await idp.accessToken(client), access);
    expect({ code: answer.code, error: answer.error }).toEqual({ code, error: 'invalid_request' });
  });

  test('for another API, or sent as a bound token, is refused', async () => {
    await trust();
    await world.vouch('read');
    const elsewhere = await idp.accessToken('reports', { resource: 'https://other.example' });
    expect((await world.exchange(elsewhere, access)).code).toBe('federation_claims_mismatch');
    expect((await world.exchange(await idp.accessToken('reports'))).code).toBe('federation_not_bound');
  });

  test('is worth nothing while no admin listed an action, or once that list is empty', async () => {
    await trust();
    const token = await idp.accessToken('reports');
    expect(await world.exchange(token, access)).toMatchObject({
      error: 'unauthorized_client',
      code: 'nothing_vouched',
    });
    await world.vouch('read');
    const { access_token: envelope = '' } = await world.exchange(token, access);
    await world.vouch();
    expect((await world.exchange(token, access)).code).toBe('nothing_vouched');
    expect(await world.decide(envelope, 'read')).toBe('action_not_vouched');
  });

  test('bound by its resource to the key gives a federated envelope instead', async () => {
    await trust();
    const token = await idp.accessToken('reports', { resource: `urn:${world.binding()}` });
    expect((await world.exchange(token)).code).toBe('federation_not_bound');
    const bound = await idp.accessToken('reports', { resource: world.binding() });
    const { access_token: envelope = '' } = await world.exchange(bound);
    expect(inspect(envelope).root.key).toBe('federated');
    expect(await world.decide(envelope, 'write')).toBe('allow');
    expect((await world.exchange(bound, { signer: newKey().signer })).code).toBe('federation_not_bound');
  });
});
