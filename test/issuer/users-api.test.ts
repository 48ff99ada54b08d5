import { afterEach, expect, test } from 'vitest';
import { testDomain } from '../kit/log.ts';
import { type UsersApiOptions, UsersApiWorld } from '../kit/users-api.ts';

let api: UsersApiWorld;
afterEach(async () => api.remove());

async function start(options: UsersApiOptions = {}): Promise<string> {
  api = await UsersApiWorld.create(options);
  return api.token();
}

const status = (id: string) => api.world.hosted.log.read(`principal/${id}`)?.status;

test('a partner lists people and agents, and looks at each', async () => {
  const token = await start();
  const { alice, agent } = api.world;
  const users = await api.call('GET /users', token);
  expect(users.body).toMatchObject({
    items: [{ id: alice.id, status: 'active', groups: ['staff'] }],
    next: null,
  });
  expect((await api.call(`GET /users/${alice.id}`, token)).body).toEqual(
    (users.body['items'] as object[])[0],
  );
  const agents = await api.call(`GET /agents?owner=${alice.id}`, token);
  expect(agents.body).toMatchObject({ items: [{ id: agent.id, owner: alice.id, live: true }] });
  expect((await api.call(`GET /agents/${agent.id}`, token)).body).toMatchObject({ status: 'active' });
});

test('a suspended person is out everywhere, agents and envelopes with them, and comes back without them', async () => {
  const token = await start();
  const { alice, agent } = api.world;
  expect((await api.world.token()).status).toBe(200);
  const suspended = await api.call(`POST /users/${alice.id}/suspend`, token);
  expect(suspended.body).toMatchObject({
    changed: true,
    dryRun: false,
    user: { status: 'suspended', suspensions: [`delegate/${api.key.signer.publicKey.thumbprint}`] },
  });
  expect(suspended.body['entry']).toBe(api.world.hosted.log.world.size - 1);
  expect(await (await api.world.token()).json()).toMatchObject({ code: 'client_inactive' });
  const again = await api.call(`POST /users/${alice.id}/suspend`, token);
  expect(again.body).toMatchObject({ changed: false, entry: null });
  const back = await api.call(`POST /users/${alice.id}/reactivate`, token);
  expect(back.body).toMatchObject({ changed: true, user: { status: 'active', suspensions: [] } });
  expect((await api.call(`GET /agents/${agent.id}`, token)).body).toMatchObject({ live: false });
  const resurrected = await api.call(`POST /agents/${agent.id}/reactivate`, token);
  expect(resurrected).toMatchObject({ status: 403, body: { code: 'rule_rank_too_low' } });
});

test('an agent is suspended alone and taken back', async () => {
  const token = await start();
  const { agent } = api.world;
  const suspended = await api.call(`POST /agents/${agent.id}/suspend`, token);
  expect(suspended.body).toMatchObject({ changed: true, agent: { status: 'suspended', live: false } });
  expect(await (await api.world.token()).json()).toMatchObject({ code: 'client_inactive' });
  const back = await api.call(`POST /agents/${agent.id}/reactivate`, token);
  expect(back.body).toMatchObject({ changed: true, agent: { status: 'active', live: true } });
  expect((await api.world.token()).status).toBe(200);
});

test('a key is revoked for ever', async () => {
  const token = await start();
  const { thumbprint } = api.world.agent.signer.publicKey;
  const revoked = await api.call(`POST /keys/${thumbprint}/revoke`, token);
  expect(revoked.body).toMatchObject({
    changed: true,
    key: { subject: `agent/${api.world.agent.id}`, status: 'revoked' },
  });
  expect((await api.call(`POST /keys/${thumbprint}/revoke`, token)).body).toMatchObject({ changed: false });
  expect(await (await api.world.token()).json()).toMatchObject({ code: 'client_unauthenticated' });
});

test('a dry run says what would fall and writes nothing', async () => {
  const token = await start();
  const { alice, agent, hosted } = api.world;
  const size = hosted.log.world.size;
  const dry = await api.call(`POST /users/${alice.id}/suspend?dry_run=true`, token);
  expect(dry.body).toMatchObject({
    changed: true,
    dryRun: true,
    entry: null,
    user: { status: 'suspended' },
    leaving: { agents: [{ id: agent.id }], keys: [alice.signer.publicKey.thumbprint], groups: ['staff'] },
  });
  expect([hosted.log.world.size, status(alice.id)]).toEqual([size, 'active']);
});

test('what an admin suspended, the API cannot take back, dry or not', async () => {
  const token = await start();
  const { alice, ledger } = api.world;
  ledger.do({ type: 'principal.suspend', principal: alice.id });
  await api.world.appended(ledger.lastLeaf);
  for (const query of ['', '?dry_run=true']) {
    const answer = await api.call(`POST /users/${alice.id}/reactivate${query}`, token);
    expect(answer).toMatchObject({ status: 403, body: { code: 'rule_rank_too_low' } });
  }
  expect((await api.call(`POST /users/${alice.id}/suspend`, token)).status).toBe(200);
  const half = await api.call(`POST /users/${alice.id}/reactivate`, token);
  expect(half.body).toMatchObject({ changed: true, user: { status: 'suspended', suspensions: ['admin'] } });
});

test('what the lease does not list, no scope allows', async () => {
  const token = await start({ lease: { operations: ['principal.suspend'] } });
  const { alice, agent } = api.world;
  const refused = await api.call(`POST /agents/${agent.id}/suspend`, token);
  expect(refused).toMatchObject({ status: 403, body: { code: 'rule_operation_unlisted' } });
  expect((await api.call(`POST /users/${alice.id}/suspend`, token)).status).toBe(200);
});

test('pages of a list neither skip nor repeat, whoever comes meanwhile', async () => {
  const token = await start();
  const { ledger, alice } = api.world;
  const ids = [alice.id];
  for (let count = 0; count < 4; count += 1) {
    ids.push(ledger.person({ pending: count % 2 === 0 }).id);
    for (const leaf of ledger.leaves.slice(-(count % 2 === 0 ? 1 : 2))) await api.world.appended(leaf);
  }
  const seen: string[] = [];
  let cursor: string | null = null;
  do {
    const page = await api.call(`GET /users?limit=2${cursor === null ? '' : `&cursor=${cursor}`}`, token);
    seen.push(...(page.body['items'] as { id: string }[]).map(({ id }) => id));
    cursor = page.body['next'] as string | null;
  } while (cursor !== null);
  expect(seen).toEqual(ids);
  const active = await api.call('GET /users?status=active&limit=1', token);
  const other = await api.call(`GET /users?status=pending&cursor=${String(active.body['next'])}`, token);
  expect(other).toMatchObject({ status: 400, body: { code: 'cursor_invalid' } });
});

test('people of a connection are found by name, external id or address, by who may see names', async () => {
  const token = await start({ connection: {} });
  const { hosted, okta } = api.world;
  const userName = `Dana@${testDomain}`;
  const body = { userName, displayName: 'Dana', emails: [{ value: userName, primary: true }] };
  const { id } = await hosted.people.provision(okta, { userName, externalId: 'idp-7', body });
  const profile = { userName, displayName: 'Dana', emails: [userName] };
  const address = encodeURIComponent(userName.toLowerCase());
  for (const query of [`user_name=${address}`, 'external_id=idp-7', `email=${address}&external_id=idp-7`]) {
    const { body: page } = await api.call(`GET /users?${query}`, token);
    expect(page).toMatchObject({
      items: [{ id, status: 'pending', connection: 'okta', profile }],
      next: null,
    });
  }
  expect((await api.call(`GET /users?email=${address}&external_id=idp-8`, token)).body['items']).toEqual([]);
  const blind = await api.token('partner', 'users:read');
  expect((await api.call('GET /users?external_id=idp-7', blind)).body['code']).toBe('scope_insufficient');
  expect(JSON.stringify((await api.call('GET /audit', token)).body).toLowerCase()).not.toContain('dana');
});
