import { inspect } from '@bulla/verifier/envelope';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ExchangeWorld } from '../../kit/exchange.ts';
import { newKey } from '../../kit/issuer.ts';

const access = { type: 'access_token' } as const;
const mallory = newKey().signer;
let world: ExchangeWorld;

beforeEach(async () => {
  world = await ExchangeWorld.create();
});
afterEach(async () => world.close());

const trustIdp = async (): Promise<void> => {
  await world.trust({
    name: 'idp',
    profile: 'oidc',
    audience: 'https://issuer.example',
    claims: { azp: 'reports' },
  });
  await world.vouch('read');
};

describe('a stolen token', () => {
  test('that is bound to a key is worth nothing with another', async () => {
    await world.trust();
    expect((await world.exchange(world.github(), { signer: mallory })).code).toBe('federation_not_bound');
  });

  test('that is bound to a key is not got loose by calling it an access token', async () => {
    await trustIdp();
    const audience = 'https://issuer.example';
    for (const claims of [{ nonce: world.binding() }, { aud: [world.binding(), audience] }]) {
      const token = world.machine({ ...claims, gty: undefined, iat: world.now - 5 });
      const stolen = await world.exchange(token, { ...access, signer: mallory });
      expect(stolen.code).toBe('federation_not_bound');
      expect((await world.exchange(token, { type: 'id_token' })).status).toBe(200);
    }
  });

  test('does not come back with an agent that was suspended on its account', async () => {
    await trustIdp();
    await world.trust();
    const [machine, job] = [world.machine(), world.github()];
    expect((await world.exchange(machine, { ...access, signer: mallory })).status).toBe(200);
    await world.admin({ type: 'agent.suspend', agent: world.agent.id });
    await world.admin({ type: 'agent.resume', agent: world.agent.id, keys: [] });
    expect((await world.exchange(machine, { ...access, signer: mallory })).code).toBe('federation_time');
    expect((await world.exchange(job)).code).toBe('federation_time');
    const anew = { iat: world.now };
    expect((await world.exchange(world.machine(anew), access)).status).toBe(200);
    expect((await world.exchange(world.github(anew))).status).toBe(200);
  });

  test('that is bound to none belongs to the key that came first, until it expires', async () => {
    await trustIdp();
    const token = world.machine();
    expect((await world.exchange(token, access)).status).toBe(200);
    expect(await world.exchange(token, { ...access, signer: mallory })).toMatchObject({
      status: 400,
      error: 'invalid_request',
      code: 'subject_token_taken',
    });
    expect((await world.exchange(token, access)).status).toBe(200);
    await world.issuer.restart();
    expect((await world.exchange(token, { ...access, signer: mallory })).code).toBe('subject_token_taken');
    world.issuer.ahead = 3400;
    expect((await world.exchange(token, { ...access, signer: mallory })).code).toBe('subject_token_taken');
    world.issuer.ahead = 3700;
    expect((await world.exchange(token, { ...access, signer: mallory })).code).toBe('federation_time');
  });

  test('and its owner race: one of the two keys gets envelopes', async () => {
    await trustIdp();
    const token = world.machine();
    const keys = Array.from({ length: 12 }, (_, index) => (index % 2 === 0 ? world.job : mallory));
    const answers = await Promise.all(
      keys.map(async (signer) => ({ signer, ...(await world.exchange(token, { ...access, signer })) })),
    );
    const given = answers.filter(({ status }) => status === 200);
    expect(given).toHaveLength(6);
    expect(new Set(given.map(({ signer }) => signer)).size).toBe(1);
    const refused = answers.filter(({ status }) => status !== 200);
    expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(['subject_token_taken']));
  });

  test('with a second signature over the same claims is the same token', async () => {
    await world.close();
    world = await ExchangeWorld.create({}, 'ES256');
    await trustIdp();
    const claims = JSON.parse(Buffer.from(world.machine().split('.')[1] ?? '', 'base64url').toString());
    const [first, second] = [world.outside.token(claims), world.outside.token(claims)];
    expect(first).not.toBe(second);
    expect((await world.exchange(first, access)).status).toBe(200);
    expect((await world.exchange(second, { ...access, signer: mallory })).code).toBe('subject_token_taken');
  });

  test('that its identity provider bound to a key is refused with another', async () => {
    await trustIdp();
    const bound = world.machine({ cnf: { jkt: world.job.publicKey.thumbprint } });
    expect((await world.exchange(bound, { ...access, signer: mallory })).code).toBe('subject_token_refused');
    expect((await world.exchange(bound, access)).status).toBe(200);
    const tls = world.machine({ cnf: { 'x5t#S256': 'x' } });
    expect((await world.exchange(tls, access)).code).toBe('subject_token_refused');
  });

  test('together with a proof that was seen gives nothing twice', async () => {
    await world.trust();
    const token = world.github();
    const proof = world.issuer.proof(world.job);
    expect((await world.exchange(token, { proof })).status).toBe(200);
    expect((await world.exchange(token, { proof })).code).toBe('proof_refused');
  });
});

describe('a token of a user, who logged in at the client that the trust names', () => {
  const user = { gty: undefined, sub: 'auth0|alice' };

  test.each([
    ['Auth0 writes it', {}],
    ['others name the client', { client_id: 'reports', sub: '5c0a2f1e' }],
    ['Entra ID does', { sub: 'reports', idtyp: 'user' }],
    ['a session without a subject', { sub: undefined, sid: 'one' }],
    ['a client that leaves itself out', { azp: ['reports'], sub: 'reports' }],
    ['with a client id that is empty', { client_id: '', sub: '' }],
  ])('is refused, as %s', async (_, change) => {
    await trustIdp();
    const answer = await world.exchange(world.machine({ ...user, ...change }), access);
    expect(answer.code).toBe('subject_token_refused');
  });

  test.each([
    ['by its own id', { sub: 'reports' }],
    ['as Auth0 spells it', { sub: 'reports@clients' }],
    ['by another claim', { client_id: 'service-7', sub: 'service-7' }],
    ['as an application of Entra ID', { sub: '5c0a2f1e', idtyp: 'app' }],
    ['without a subject', { sub: undefined }],
  ])('is told from one of the client, %s', async (_, change) => {
    await trustIdp();
    const answer = await world.exchange(world.machine({ ...user, ...change }), access);
    expect(answer.status).toBe(200);
  });

  test('is what the trust says where that names the subject', async () => {
    const claims = { azp: 'reports', sub: '5c0a2f1e' };
    await world.trust({ name: 'idp', profile: 'oidc', audience: 'https://issuer.example', claims });
    await world.vouch('read');
    const service = world.machine({ gty: undefined, sub: '5c0a2f1e' });
    expect((await world.exchange(service, access)).status).toBe(200);
    expect((await world.exchange(world.machine(user), access)).code).toBe('federation_claims_mismatch');
  });
});

describe('a compromised identity provider', () => {
  test('gets an agent that it stands for no further than what admins vouched for', async () => {
    await trustIdp();
    const forged = world.machine({
      owner: 'ceo@corp.example',
      scope: 'read write',
      agent_type: 'autonomous',
    });
    const { access_token: envelope = '' } = await world.exchange(forged, { ...access, signer: mallory });
    expect(await world.decide(envelope, 'read', mallory)).toBe('allow');
    expect(await world.decide(envelope, 'write', mallory)).toBe('action_not_vouched');
  });

  test('cannot name another agent or person, nor take one over that has a trust of its own', async () => {
    await trustIdp();
    for (const change of [
      { azp: 'payments' },
      { sub: world.issuer.alice.id, azp: 'payments' },
      { client_id: world.issuer.alice.id, azp: 'payments' },
      { iss: 'https://token.actions.githubusercontent.com' },
    ]) {
      const { code } = await world.exchange(world.machine(change), access);
      expect(code).toMatch(/^federation_(?:claims_mismatch|unknown)$/u);
    }
    const { access_token: envelope = '' } = await world.exchange(
      world.machine({ sub: world.issuer.alice.id, client_id: 'agt_x' }),
      access,
    );
    expect(inspect(envelope).root).toMatchObject({ client_id: world.agent.id, sub: world.issuer.alice.id });
  });

  test('ends when admins distrust it: envelopes that came of it too', async () => {
    await trustIdp();
    await world.trust();
    const { access_token: vouched = '' } = await world.exchange(world.machine(), access);
    const { access_token: federated = '' } = await world.exchange(world.github());
    expect(await world.decide(vouched, 'read')).toBe('allow');
    expect(await world.decide(federated, 'read')).toBe('allow');
    await world.admin({ type: 'federation.distrust', name: 'idp' });
    await world.admin({ type: 'federation.distrust', name: 'build' });
    expect(await world.decide(vouched, 'read')).toBe('federation_not_trusted');
    expect(await world.decide(federated, 'read')).toBe('federation_not_trusted');
    expect((await world.exchange(world.machine(), access)).code).toBe('federation_unknown');
  });

  test('cannot flood: made-up tokens cost a signature each and spend no rate', async () => {
    await world.close();
    world = await ExchangeWorld.create({ account: { tokensPerClientPerMinute: 4, tokensPerMinute: 4 } });
    await world.trust();
    for (let count = 0; count < 20; count += 1) {
      const forged = `${world.github({ jti: `${count}` }).slice(0, -8)}AAAAAAAA`;
      expect((await world.exchange(forged)).code).toBe('federation_token_invalid');
    }
    expect((await world.exchange(world.github())).status).toBe(200);
  });
});

test('no subject token, claim or secret is in an answer or a log line', async () => {
  await world.trust();
  await trustIdp();
  const tokens = [
    world.github({ actor: 'somebody-of-note' }),
    world.github({ actor: 'somebody-of-note' }, mallory),
    world.github({ repository: 'somebody-of-note/x' }),
    world.machine({ owner: 'somebody-of-note' }),
    `${world.machine({ owner: 'somebody-of-note' }).slice(0, -8)}AAAAAAAA`,
  ];
  const answers: string[] = [];
  for (const token of tokens) {
    for (const type of ['jwt', 'id_token', 'access_token'] as const) {
      const { access_token: _given, ...rest } = await world.exchange(token, { type });
      answers.push(JSON.stringify(rest));
    }
  }
  const said = `${answers.join('\n')}\n${JSON.stringify(world.issuer.lines)}`;
  for (const token of tokens) {
    for (const part of token.split('.')) expect(said).not.toContain(part.slice(0, 40));
  }
  expect(said).not.toContain('somebody-of-note');
  expect(said).not.toContain('octo-org');
});
