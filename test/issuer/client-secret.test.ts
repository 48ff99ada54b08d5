import { createHash } from 'node:crypto';
import { inspect } from '@bulla/verifier/envelope';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Answer, ExchangeWorld } from '../kit/exchange.ts';
import { newKey } from '../kit/issuer.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64url');
const secret = 'a secret: of 100% the old kind+';
const old = 'the secret before it';
let world: ExchangeWorld;

beforeEach(async () => {
  world = await ExchangeWorld.create();
  const account = world.issuer.config.accounts[0];
  if (account === undefined) throw new Error('no account');
  const agent = world.agent.id;
  Object.assign(account, {
    clientSecrets: [
      { agent, sha256: sha256(secret) },
      { agent, sha256: sha256(old), notAfter: world.now + 100 },
      { agent: `agt_${'0'.repeat(32)}`, sha256: sha256('of another') },
    ],
  });
  await world.issuer.restart();
});
afterEach(async () => world.close());

const encoded = (text: string): string => new URLSearchParams({ x: text }).toString().slice(2);
const basic = (id: string, text: string): string =>
  `Basic ${Buffer.from(`${encoded(id)}:${encoded(text)}`).toString('base64')}`;
const credentials = { grant_type: ['client_credentials'], subject_token: [], subject_token_type: [] };

async function post(
  given: string,
  change: { readonly id?: string; readonly signer?: typeof world.job } = {},
): Promise<Answer> {
  return world.exchange('', {
    form: { ...credentials, client_id: [change.id ?? world.agent.id], client_secret: [given] },
    ...(change.signer !== undefined && { signer: change.signer }),
  });
}

describe('a client secret', () => {
  test('gives a vouched envelope, good for the actions that an admin listed', async () => {
    await world.vouch('read');
    const answer = await post(secret);
    expect(answer).toMatchObject({ status: 200, token_type: 'DPoP' });
    expect(answer.issued_token_type).toBeUndefined();
    const envelope = answer.access_token ?? '';
    const { root } = inspect(envelope);
    expect(root).toMatchObject({
      key: 'vouched',
      client_id: world.agent.id,
      cnf: { jwk: world.job.publicKey.jwk },
    });
    expect(root.vouched).toBeUndefined();
    expect(await world.decide(envelope, 'read')).toBe('allow');
    expect(await world.decide(envelope, 'write')).toBe('action_not_vouched');
  });

  test('may come in the Authorization field, form-encoded', async () => {
    await world.vouch('read');
    const headers = { authorization: basic(world.agent.id, secret) };
    expect((await world.exchange('', { form: credentials, headers })).status).toBe(200);
  });

  test('is challenged for where it came in the Authorization field, and nowhere else', async () => {
    const form = { ...credentials, client_assertion: [], client_assertion_type: [] };
    const headers = { authorization: basic(world.agent.id, 'wrong') };
    const challenged = await world.issuer.token({ form, headers, proofSigner: world.job });
    expect(challenged.status).toBe(401);
    expect(challenged.headers.get('www-authenticate')).toBe('Basic realm="bulla"');
    const posted = await world.issuer.token({
      form: { ...form, client_secret: ['wrong'] },
      proofSigner: world.job,
    });
    expect(posted.status).toBe(401);
    expect(posted.headers.get('www-authenticate')).toBeNull();
  });

  test('asks for less by scope, as its client always did', async () => {
    await world.vouch('read', 'write');
    const answer = await world.exchange('', {
      form: { ...credentials, client_id: [world.agent.id], client_secret: [secret], scope: ['read'] },
    });
    expect(answer.scope).toBe('read');
    expect(await world.decide(answer.access_token ?? '', 'write')).toBe('deny');
  });

  test('that is being replaced works until its time', async () => {
    await world.vouch('read');
    expect((await post(old)).status).toBe(200);
    world.issuer.ahead = 101;
    expect(await post(old)).toMatchObject({ error: 'invalid_client', code: 'client_unauthenticated' });
    expect((await post(secret)).status).toBe(200);
  });

  test('is worth nothing while no admin listed an action', async () => {
    expect(await post(secret)).toMatchObject({
      status: 400,
      error: 'unauthorized_client',
      code: 'nothing_vouched',
    });
  });

  const wrong: readonly (readonly [string, () => Promise<Answer>, string, string])[] = [
    ['that is wrong', async () => post('wrong'), 'client_unauthenticated', 'invalid_client'],
    ['of another agent', async () => post('of another'), 'client_unauthenticated', 'invalid_client'],
    [
      'of a client that has none',
      async () => post(secret, { id: world.issuer.alice.id }),
      'client_unauthenticated',
      'invalid_client',
    ],
    ['of nobody', async () => post(secret, { id: 'x' }), 'client_unauthenticated', 'invalid_client'],
    [
      'beside an assertion',
      async () =>
        world.exchange('', {
          form: { ...credentials, client_secret: [secret], client_assertion: ['a.b.c'] },
        }),
      'client_unauthenticated',
      'invalid_client',
    ],
    [
      'in two places',
      async () =>
        world.exchange('', {
          form: { ...credentials, client_secret: [secret] },
          headers: { authorization: basic(world.agent.id, secret) },
        }),
      'client_unauthenticated',
      'invalid_client',
    ],
    [
      'under two names',
      async () =>
        world.exchange('', {
          form: { ...credentials, client_id: ['other'] },
          headers: { authorization: basic(world.agent.id, secret) },
        }),
      'client_unauthenticated',
      'invalid_client',
    ],
    [
      'of another scheme',
      async () => world.exchange('', { form: credentials, headers: { authorization: 'Bearer x' } }),
      'client_unauthenticated',
      'invalid_client',
    ],
    [
      'that is not form-encoded',
      async () =>
        world.exchange('', {
          form: credentials,
          headers: { authorization: `Basic ${Buffer.from(`${world.agent.id}:100%`).toString('base64')}` },
        }),
      'client_unauthenticated',
      'invalid_client',
    ],
    [
      'with a key of the log',
      async () => post(secret, { signer: world.agent.signer }),
      'proof_refused',
      'invalid_dpop_proof',
    ],
    [
      'without proof',
      async () =>
        world.exchange('', {
          form: { ...credentials, client_id: [world.agent.id], client_secret: [secret] },
          proof: '',
        }),
      'proof_refused',
      'invalid_dpop_proof',
    ],
  ];
  test.each(wrong)('%s is refused', async (_, run, code, error) => {
    await world.vouch('read');
    const answer = await run();
    expect({ code: answer.code, error: answer.error }).toEqual({ code, error });
    expect(answer.error_description).toMatch(/^[\u0020\u0021\u0023-\u005b\u005d-\u007e]+$/u);
  });

  test('is never said again, by an answer or a log line', async () => {
    const texts = [await post('wrong guess of a secret'), await post(secret)].map((answer) =>
      JSON.stringify(answer),
    );
    for (const text of [...texts, JSON.stringify(world.issuer.lines)]) {
      for (const said of ['wrong guess', secret, sha256(secret)]) expect(text).not.toContain(said);
    }
  });
});

describe('guessing', () => {
  const guess = async (times: number, signer = newKey().signer): Promise<void> => {
    for (let count = 0; count < times; count += 1) await post(`guess ${count}`, { signer });
  };
  const { signer: other } = newKey();

  test('locks a client after ten failures, for a time that the answer says', async () => {
    await world.vouch('read');
    await guess(10);
    const response = await world.issuer.token({
      form: {
        grant_type: ['client_credentials'],
        client_secret: [secret],
        client_assertion: [],
        client_assertion_type: [],
      },
      proofSigner: world.job,
    });
    expect(response.status).toBe(429);
    expect(response.headers.get('retry-after')).toBe('60');
    expect(await response.json()).toMatchObject({ error: 'temporarily_unavailable', code: 'client_locked' });
    world.issuer.ahead = 61;
    expect((await post(secret)).status).toBe(200);
  });

  test('does not tell a right guess from a wrong one while locked', async () => {
    await guess(10);
    expect((await post(secret)).code).toBe('client_locked');
    expect((await post('wrong')).code).toBe('client_locked');
  });

  test('by a stranger does not lock out the agent that is at work', async () => {
    await world.vouch('read');
    expect((await post(secret)).status).toBe(200);
    await guess(30);
    expect((await post(secret, { signer: other })).code).toBe('client_locked');
    expect((await post(secret)).status).toBe(200);
  });

  test('is slowed down more and more, and never for ever', async () => {
    await world.vouch('read');
    for (const seconds of [60, 120, 240, 480, 900, 900]) {
      await guess(10);
      world.issuer.ahead += seconds - 1;
      expect((await post(secret, { signer: other })).code).toBe('client_locked');
      world.issuer.ahead += 2;
    }
    expect((await post(secret, { signer: other })).status).toBe(200);
  });

  test('is forgiven after an hour without: the next lock is a short one again', async () => {
    await world.vouch('read');
    await guess(10);
    world.issuer.ahead += 61;
    await guess(10);
    world.issuer.ahead += 120 + 3601;
    await guess(10);
    world.issuer.ahead += 59;
    expect((await post(secret)).code).toBe('client_locked');
    world.issuer.ahead += 2;
    expect((await post(secret)).status).toBe(200);
  });

  test('with the key of the agent at work counts against that key', async () => {
    await world.vouch('read');
    expect((await post(secret)).status).toBe(200);
    await guess(10, world.job);
    expect((await post(secret)).code).toBe('client_locked');
    expect((await post(secret, { signer: other })).status).toBe(200);
  });

  test('an expired secret is no guess, and clients without secret are not locked', async () => {
    world.issuer.ahead = 101;
    for (let count = 0; count < 12; count += 1) {
      expect((await post(old)).code).toBe('client_unauthenticated');
      expect((await post('x', { id: `agt_${'f'.repeat(32)}` })).code).toBe('client_unauthenticated');
    }
  });
});
