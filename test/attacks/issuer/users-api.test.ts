import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { newSigner } from '../../kit/log.ts';
import { allScopes, UsersApiWorld } from '../../kit/users-api.ts';

let api: UsersApiWorld;
afterEach(async () => api.remove());

const writeCursor = (text: string) => Buffer.from(text).toString('base64url');

describe('a client of the Users API', () => {
  test('ends no key of admins, delegates or the log', async () => {
    api = await UsersApiWorld.create();
    const token = await api.token();
    const { ledger, log, mint, delegate } = api.world;
    for (const { publicKey } of [ledger.admin, log.signer, mint.signer, delegate.signer, api.key.signer]) {
      const refused = await api.call(`POST /keys/${publicKey.thumbprint}/revoke`, token);
      expect(refused).toMatchObject({ status: 404, body: { code: 'target_unknown' } });
    }
  });

  test('gets no more scopes by asking twice, in another case, or with a scope of the log', async () => {
    api = await UsersApiWorld.create({ clients: [{ id: 'partner', scopes: ['users:read'] }] });
    for (const scope of ['USERS:SUSPEND', 'users:read users:suspend', 'principal.suspend', '*', 'users:*']) {
      const answer = await api.tokenAnswer({ client_id: 'partner', client_secret: 'x', scope });
      expect(answer.status).toBe(401);
      await expect(api.token('partner', scope)).rejects.toThrow('400');
    }
    const token = await api.token('partner', 'users:read users:read');
    expect((await api.call(`POST /users/${api.world.alice.id}/suspend`, token)).status).toBe(403);
  });

  test('does not see names without the scope for them', async () => {
    api = await UsersApiWorld.create();
    const without = await api.token(
      'partner',
      allScopes.filter((scope) => scope !== 'profiles:read').join(' '),
    );
    const { id } = api.world.alice;
    for (const call of [`GET /users/${id}`, `POST /users/${id}/suspend?dry_run=true`, 'GET /users']) {
      expect(JSON.stringify((await api.call(call, without)).body)).not.toContain('profile');
    }
    expect((await api.call(`GET /users/${id}`, await api.token())).body).toMatchObject({ profile: null });
  });

  test('does nothing with a made-up cursor, nor with that of another client or list', async () => {
    api = await UsersApiWorld.create({ clients: [{ id: 'partner' }, { id: 'other' }] });
    const { ledger } = api.world;
    ledger.person({ pending: true });
    await api.world.appended(ledger.lastLeaf);
    const [token, other] = [await api.token(), await api.token('other')];
    const { next } = (await api.call('GET /users?limit=1', token)).body as { next: string };
    const [bound = ''] = Buffer.from(next, 'base64url').toString().split('.');
    const bad = [
      writeCursor(`${bound}.-1`),
      writeCursor(`${bound}.1' OR 1=1`),
      writeCursor(`${'A'.repeat(22)}.1`),
      `${next}=`,
      'x',
      writeCursor(createHash('sha256').update('').digest('base64url')),
    ];
    for (const cursor of bad) {
      const answer = await api.call(`GET /users?limit=1&cursor=${encodeURIComponent(cursor)}`, token);
      expect(answer).toMatchObject({ status: 400, body: { code: 'cursor_invalid' } });
    }
    expect((await api.call(`GET /users?limit=1&cursor=${next}`, other)).body['code']).toBe('cursor_invalid');
    expect((await api.call(`GET /agents?limit=1&cursor=${next}`, token)).body['code']).toBe('cursor_invalid');
    const past = await api.call(
      `GET /users?limit=1&cursor=${writeCursor(`${bound}.999999999999999`)}`,
      token,
    );
    expect(past.body).toEqual({ items: [], next: null });
  });

  test.each([
    'limit=0',
    'limit=201',
    'limit=1&limit=2',
    'limit=1e400',
    'status=active&status=pending',
    'status[$ne]=x',
    '__proto__=x',
    'constructor=x',
    'unknown=1',
    `group=${'g'.repeat(65)}`,
  ])('has odd queries refused: %s', async (query) => {
    api = await UsersApiWorld.create();
    const answer = await api.call(`GET /users?${query}`, await api.token());
    expect(answer).toMatchObject({ status: 400, body: { code: 'parameter_invalid' } });
  });

  test.each(["prn_' OR 1=1 --", '..%2f..%2foperator', 'prn_0', '%00', 'PRN_0', '__proto__', 'account'])(
    'finds nothing under a hostile id: %s',
    async (id) => {
      api = await UsersApiWorld.create();
      const answer = await api.call(`GET /users/${encodeURIComponent(id)}`, await api.token());
      expect(answer).toMatchObject({ status: 404, body: { code: 'target_unknown' } });
      const audit = await api.call('GET /audit', await api.token());
      expect(JSON.stringify(audit.body)).not.toContain(id);
    },
  );

  test('sends no body, small or large', async () => {
    api = await UsersApiWorld.create();
    const token = await api.token();
    const path = `${api.world.base}/api/v1/users/${api.world.alice.id}/suspend`;
    const post = async (body: string) => {
      const init = { method: 'POST', headers: { authorization: `Bearer ${token}` }, body };
      return (await api.world.issuer.app.request(path, init)).json();
    };
    expect(await post('{"principal":"prn_x"}')).toMatchObject({ code: 'body_invalid' });
    expect(await post('x'.repeat(2000))).toMatchObject({ code: 'body_too_large' });
    expect(await post('{}')).toMatchObject({ changed: true });
  });

  test('whose secret is stolen suspends as many as its lease counts', async () => {
    const caps = { provisions: 1, provisionsPerHour: 1, removals: 2, removalsPerHour: 2 };
    api = await UsersApiWorld.create({ lease: { caps } });
    const token = await api.token();
    const { alice, agent } = api.world;
    await api.call(`POST /agents/${agent.id}/suspend`, token);
    await api.call(`POST /users/${alice.id}/suspend`, token);
    await api.call(`POST /users/${alice.id}/reactivate`, token);
    for (const query of ['', '?dry_run=true']) {
      const third = await api.call(`POST /users/${alice.id}/suspend${query}`, token);
      expect(third.body['code']).toBe('rule_cap_removals');
    }
  });
});

test('an agent that fell with the recovery of its owner does not come back through the API', async () => {
  api = await UsersApiWorld.create();
  const token = await api.token();
  const { ledger, alice, agent } = api.world;
  await api.call(`POST /agents/${agent.id}/suspend`, token);
  await api.catchUp();
  const fresh = newSigner();
  ledger.do({ type: 'key.recover', principal: alice.id, key: fresh.publicKey.jwk }, [fresh]);
  await api.world.appended(ledger.lastLeaf);
  const answer = await api.call(`POST /agents/${agent.id}/reactivate`, token);
  expect(answer.body).toMatchObject({ changed: true, agent: { suspensions: [], live: false, keys: [] } });
  expect(await (await api.world.token()).json()).toMatchObject({ code: 'client_inactive' });
});
