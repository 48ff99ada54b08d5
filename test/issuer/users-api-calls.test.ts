import { createIssuer } from '@bulla/issuer';
import { afterEach, describe, expect, test } from 'vitest';
import { type UsersApiOptions, UsersApiWorld } from '../kit/users-api.ts';

let api: UsersApiWorld;
afterEach(async () => api.remove());

async function start(options: UsersApiOptions = {}): Promise<string> {
  api = await UsersApiWorld.create(options);
  return api.token();
}

const size = () => api.world.hosted.log.world.size;
const key = (name: string) => ({ 'idempotency-key': name });

describe('an idempotency key', () => {
  test('gives the second call the answer of the first, also after a restart and whatever came since', async () => {
    const token = await start();
    const { alice } = api.world;
    const first = await api.call(`POST /users/${alice.id}/suspend`, token, key('one'));
    expect(first.headers.get('idempotency-replayed')).toBe(null);
    await api.call(`POST /users/${alice.id}/reactivate`, token, key('two'));
    const before = size();
    await api.world.restart();
    const again = await api.call(`POST /users/${alice.id}/suspend`, token, key('one'));
    expect([again.body, again.headers.get('idempotency-replayed')]).toEqual([first.body, 'true']);
    expect(size()).toBe(before);
    expect((await api.call(`GET /users/${alice.id}`, token)).body['status']).toBe('active');
  });

  test('makes one entry of many calls at once', async () => {
    const token = await start();
    const { alice } = api.world;
    const before = size();
    const answers = await Promise.all(
      Array.from({ length: 8 }, async () =>
        api.call(`POST /users/${alice.id}/suspend`, token, key('at once'.replace(' ', '-'))),
      ),
    );
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    expect(answers.filter(({ headers }) => headers.get('idempotency-replayed') === 'true')).toHaveLength(7);
    expect(size()).toBe(before + 1);
  });

  test('makes one entry of calls at two processes on one database', async () => {
    const token = await start();
    const { alice, config, ports, issuer } = api.world;
    const second = await createIssuer(config, ports);
    const path = `${api.world.base}/api/v1/users/${alice.id}/suspend`;
    const headers = { authorization: `Bearer ${token}`, ...key('two-doors') };
    const before = size();
    const answers = await Promise.all(
      [issuer, second, issuer, second].map(async ({ app }) => {
        const response = await app.request(path, { method: 'POST', headers });
        return response.text();
      }),
    );
    await second.close();
    expect(new Set(answers).size).toBe(1);
    expect((await api.world.hosted.store.size()) - before).toBe(1);
  });

  test('is refused for another call, whether of another person, endpoint or client', async () => {
    api = await UsersApiWorld.create({ clients: [{ id: 'partner' }, { id: 'other' }] });
    const token = await api.token();
    const { alice, agent } = api.world;
    await api.call(`POST /users/${alice.id}/suspend`, token, key('same'));
    for (const call of [`POST /agents/${agent.id}/suspend`, `POST /users/${alice.id}/reactivate`]) {
      expect(await api.call(call, token, key('same'))).toMatchObject({
        status: 422,
        body: { code: 'idempotency_key_reused' },
      });
    }
    const foreign = await api.call(`POST /users/${alice.id}/suspend`, await api.token('other'), key('same'));
    expect(foreign.headers.get('idempotency-replayed')).toBe(null);
  });

  test('is free again after a refusal, and after a day', async () => {
    const token = await start();
    const { alice } = api.world;
    const refused = await api.call(`POST /users/prn_${'0'.repeat(32)}/suspend`, token, key('free'));
    expect(refused.body['code']).toBe('target_unknown');
    expect((await api.call(`POST /users/${alice.id}/suspend`, token, key('free'))).status).toBe(200);
    api.world.ahead = 86_000;
    const later = await api.token();
    const replayed = await api.call(`POST /users/${alice.id}/suspend`, later, key('free'));
    expect(replayed.headers.get('idempotency-replayed')).toBe('true');
    api.world.ahead = 86_401;
    const stale = await api.call(`POST /users/${alice.id}/suspend`, await api.token(), key('free'));
    expect([stale.body['changed'], stale.headers.get('idempotency-replayed')]).toEqual([false, null]);
  });

  test.each(['', ' ', 'x'.repeat(129), 'ä'])('of an odd form is refused: `%s`', async (odd) => {
    const token = await start();
    const call = api.call(`POST /users/${api.world.alice.id}/suspend`, token, key(odd));
    expect((await call).body['code']).toBe('idempotency_key_invalid');
  });
});

describe('rates', () => {
  test('are told, and each client has its own', async () => {
    api = await UsersApiWorld.create({
      clients: [{ id: 'partner', perMinute: 8 }, { id: 'other' }],
      now: 1_800_000_000,
    });
    const token = await api.token();
    const first = await api.call('GET /users', token);
    expect(first.headers.get('ratelimit-policy')).toBe('"client";q=4;w=30');
    expect(first.headers.get('ratelimit')).toBe('"client";r=2;t=15');
    await api.call('GET /users', token);
    await api.call('GET /users', token);
    const refused = await api.call('GET /users', token);
    expect(refused).toMatchObject({ status: 429, body: { code: 'rate_limited' } });
    expect(Number(refused.headers.get('retry-after'))).toBe(8);
    expect((await api.call('GET /users', await api.token('other'))).status).toBe(200);
    api.world.ahead = 8;
    expect((await api.call('GET /users', token)).status).toBe(200);
  });
});

describe('the audit', () => {
  test('says who called what, about whom, with which outcome', async () => {
    api = await UsersApiWorld.create({
      clients: [{ id: 'partner' }, { id: 'reader', scopes: ['users:read'] }],
    });
    const token = await api.token();
    const { alice } = api.world;
    const suspended = await api.call(`POST /users/${alice.id}/suspend`, token);
    await api.call(`POST /users/${alice.id}/suspend?dry_run=true`, token);
    await api.call(`POST /users/${alice.id}/suspend`, await api.token('reader'));
    const { body } = await api.call('GET /audit', token);
    const target = `principal/${alice.id}`;
    expect(body['items']).toMatchObject([
      {
        client: 'reader',
        operation: 'suspendUser',
        target,
        status: 403,
        code: 'scope_insufficient',
        entry: null,
      },
      { client: 'reader', operation: 'issueToken', status: 200 },
      { client: 'partner', operation: 'suspendUser', target, dryRun: true, status: 200, entry: null },
      {
        client: 'partner',
        operation: 'suspendUser',
        target,
        dryRun: false,
        status: 200,
        entry: suspended.body['entry'],
      },
      { client: 'partner', operation: 'issueToken', target: null, status: 200, code: null },
    ]);
    const mine = await api.call(`GET /audit?client=reader&limit=1`, token);
    expect(mine.body['items']).toMatchObject([{ client: 'reader', operation: 'suspendUser' }]);
    const next = await api.call(
      `GET /audit?client=reader&limit=1&cursor=${String(mine.body['next'])}`,
      token,
    );
    expect(next.body).toMatchObject({ items: [{ operation: 'issueToken' }], next: null });
  });

  test('remembers a refusal of the log, and lookups', async () => {
    const token = await start({ lease: { operations: [] as string[], maxEntries: 1 } });
    const { alice } = api.world;
    await api.call(`GET /users/${alice.id}`, token);
    await api.call(`POST /users/${alice.id}/suspend`, token);
    const { body } = await api.call(`GET /audit?target=principal/${alice.id}`, token);
    expect(body['items']).toMatchObject([
      { operation: 'suspendUser', status: 403, code: 'rule_operation_unlisted' },
      { operation: 'getUser', status: 200 },
    ]);
  });

  test('forgets what is older than the configuration says', async () => {
    const token = await start({
      usersApi: { auditDays: 1 },
      clients: [{ id: 'partner', perMinute: 60_000 }],
    });
    await api.call('GET /users', token);
    api.world.ahead = 2 * 86_400;
    const later = await api.token();
    for (let calls = 0; calls < 128; calls += 1) await api.call(`GET /users?limit=1`, later);
    const { body } = await api.call('GET /audit?limit=200', later);
    expect((body['items'] as object[]).length).toBeLessThanOrEqual(130);
    expect(
      (body['items'] as { time: string }[]).every(
        ({ time }) => Date.parse(time) / 1000 > api.world.ports.now() - 86_400,
      ),
    ).toBe(true);
  });
});
