import { createHash } from 'node:crypto';
import { addresses, ConfigError, createIssuer, IssuerRefusal, resources } from '@bulla/issuer';
import { Refusal } from '@bulla/verifier';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { IssuerWorld } from '../kit/issuer.ts';

let world: IssuerWorld;
beforeEach(async () => {
  world = await IssuerWorld.create({ connection: {} });
});
afterEach(async () => world.remove());

const bob = { userName: 'Bob@Corp.example', externalId: '00u1', body: { userName: 'Bob@Corp.example' } };

const codeOf = async (run: Promise<unknown>): Promise<string> => {
  try {
    await run;
  } catch (error) {
    if (error instanceof IssuerRefusal || error instanceof Refusal) return error.code;
    throw error;
  }
  return 'accepted';
};
const statusOf = (id: string): string | undefined => world.hosted.log.read(`principal/${id}`)?.status;

test('a provisioned person is pending in the log and in the directory, under one id', async () => {
  const { people, store } = world.hosted;
  const row = await people.provision(world.okta, bob);
  expect(row.id).toMatch(/^prn_[0-9a-f]{32}$/u);
  expect(statusOf(row.id)).toBe('pending');
  expect(await store.first(resources, { id: row.id })).toEqual(row);
  expect(row).toMatchObject({ connection: 'okta', kind: 'User', name: 'bob@corp.example', version: 1 });
});

test('a user name is taken once in a connection, whatever its case, and then nothing reaches the log', async () => {
  const { people, log } = world.hosted;
  await people.provision(world.okta, bob);
  const { size } = log.world;
  const again = { ...bob, userName: 'bob@corp.EXAMPLE', externalId: '00u2' };
  expect(await codeOf(people.provision(world.okta, again))).toBe('row_taken');
  expect(log.world.size).toBe(size);
});

test('what a rule of the log refuses leaves no row', async () => {
  const { people, store } = world.hosted;
  const stranger = { ...bob, userName: 'bob@evil.example' };
  expect(await codeOf(people.provision(world.okta, stranger))).toBe('rule_domain_unlisted');
  const odd = (userName: string) => people.provision(world.okta, { ...bob, userName });
  expect(await codeOf(odd('bob@localhost'))).toBe('rule_domain_unlisted');
  expect(await codeOf(odd('bob'))).toBe('rule_domain_unlisted');
  expect(await codeOf(odd('bob@corp.example@evil.example'))).toBe('rule_domain_unlisted');
  const other = { ...world.okta, signer: world.mint.signer };
  expect(await codeOf(people.provision(other, bob))).toBe('connection_lease_wrong');
  expect(await store.count(resources, {})).toBe(0);
});

test('people are found by id and user name, in their own connection only', async () => {
  const { people } = world.hosted;
  const row = await people.provision(world.okta, bob);
  const elsewhere = { ...world.okta, config: { ...world.okta.config, name: 'entra' } };
  for (const by of [{ id: row.id }, { userName: 'BOB@corp.example' }]) {
    expect(await people.find(world.okta, by), JSON.stringify(by)).toEqual(row);
    expect(await people.find(elsewhere, by), JSON.stringify(by)).toBeUndefined();
  }
});

test('a person who is deprovisioned by whomever is gone from the directory', async () => {
  const { people, store } = world.hosted;
  const row = await people.provision(world.okta, bob);
  await people.deprovision(world.okta, row.id);
  expect(statusOf(row.id)).toBe('deprovisioned');
  expect(await store.count(resources, {})).toBe(0);
  expect(await codeOf(people.deprovision(world.okta, row.id))).toBe('person_unknown');
});

test('an update replaces the row, moves its version, and is refused on an old one', async () => {
  const { people } = world.hosted;
  const row = await people.provision(world.okta, bob);
  const renamed = { ...bob, userName: 'robert@corp.example' };
  const after = await people.update(world.okta, row.id, renamed, 1);
  expect(after).toMatchObject({ id: row.id, name: 'robert@corp.example', version: 2, created: row.created });
  expect(await people.find(world.okta, { userName: 'robert@corp.example' })).toEqual(after);
  const held = await world.hosted.store.find(addresses, { id: row.id });
  expect(held.map(({ address }) => address)).toEqual(['robert@corp.example']);
  expect(await codeOf(people.update(world.okta, row.id, bob, 1))).toBe('version_moved');
});

test('active says whether the connection suspends: at once, later, and not over an admin', async () => {
  const { people } = world.hosted;
  const suspensions = (id: string) => world.hosted.log.read(`principal/${id}`)?.suspensions;
  const row = await people.provision(world.okta, { ...bob, active: false });
  expect([statusOf(row.id), suspensions(row.id)]).toEqual(['suspended', ['connection/okta']]);
  const before = world.hosted.log.world.size;
  await people.update(world.okta, row.id, { ...bob, active: false });
  expect(world.hosted.log.world.size).toBe(before);
  await people.update(world.okta, row.id, { ...bob, active: true });
  expect(statusOf(row.id)).toBe('pending');

  const { ledger, hosted } = world;
  for (const leaf of await hosted.store.entries(ledger.leaves.length, 100)) ledger.append(leaf);
  ledger.time = Math.floor(world.ports.now());
  ledger.do({ type: 'principal.suspend', principal: row.id });
  await world.appended(ledger.lastLeaf);
  const said = (active: boolean) => people.update(world.okta, row.id, { ...bob, active });
  expect(await codeOf(said(true))).toBe('rule_rank_too_low');
  await said(false);
  await said(true);
  expect([statusOf(row.id), suspensions(row.id)]).toEqual(['suspended', ['admin']]);
});

test('whoever is suspended or resumed has a new version, one per write, and was modified then', async () => {
  const { people } = world.hosted;
  const row = await people.provision(world.okta, bob);
  const version = async () => (await people.find(world.okta, { id: row.id }))?.version;
  await people.update(world.okta, row.id, { ...bob, active: false });
  expect(await version()).toBe(2);
  await people.update(world.okta, row.id, { ...bob, active: true });
  expect(await version()).toBe(3);
  const { ledger, hosted } = world;
  for (const leaf of await hosted.store.entries(ledger.leaves.length, 100)) ledger.append(leaf);
  world.ahead = 60;
  ledger.time = Math.floor(world.ports.now());
  ledger.do({ type: 'principal.suspend', principal: row.id });
  await world.appended(ledger.lastLeaf);
  const modified = new Date(ledger.time * 1000).toISOString();
  expect(await people.find(world.okta, { id: row.id })).toMatchObject({ version: 4, modified });
});

test('mapped attributes and the domain reach the log, nothing else of a person does', async () => {
  await world.remove();
  const department = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department';
  world = await IssuerWorld.create({
    connection: { attributes: { [department]: 'department', roles: 'roles', 'name.givenName': 'given' } },
    connectionLease: { attributes: ['department', 'roles'] },
  });
  const { people, log } = world.hosted;
  const body = {
    ...bob.body,
    ROLES: [{ value: 'buyer' }, { value: 'approver', primary: true }],
    'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User': { Department: 'Sales' },
  };
  const row = await people.provision(world.okta, { ...bob, body });
  const record = () => log.read(`principal/${row.id}`);
  expect(record()).toMatchObject({
    attributes: { department: 'Sales', roles: ['buyer', 'approver'] },
    connection: 'okta',
    domain: 'corp.example',
  });
  const { size } = log.world;
  await people.update(world.okta, row.id, { ...bob, body: { ...body, title: 'Dr' } });
  expect(log.world.size).toBe(size);
  await people.update(world.okta, row.id, { ...bob, body: bob.body });
  expect(record()?.attributes).toEqual({});
  const named = { ...bob, body: { ...body, name: { givenName: 'Robert' } } };
  expect(await codeOf(people.update(world.okta, row.id, named))).toBe('rule_attribute_unlisted');
  const moved = { ...bob, userName: 'bob@evil.example' };
  expect(await codeOf(people.update(world.okta, row.id, moved))).toBe('rule_domain_unlisted');
});

test('a connection without a trusted log-in that it names provisions nobody; with one, the log has a salted hash', async () => {
  await world.remove();
  world = await IssuerWorld.create({ connection: { login: { trust: 'corp', from: 'externalId' } } });
  const { people, log } = world.hosted;
  expect(await codeOf(people.provision(world.okta, bob))).toBe('login_trust_missing');
  const { ledger } = world;
  const issuer = 'https://idp.example';
  const key = world.mint.signer.publicKey.thumbprint;
  ledger.do({ type: 'login.trust', name: 'corp', issuer, keys: [key], audience: 'bulla', claim: 'sub' });
  await world.appended(ledger.lastLeaf);
  const row = await people.provision(world.okta, bob);
  const text = JSON.stringify({ claim: 'sub', issuer, salt: row.salt, value: '00u1' });
  expect(log.read(`principal/${row.id}`)?.login).toEqual({
    trust: 'corp',
    hash: createHash('sha256').update(text).digest('base64url'),
  });
  const other = await people.provision(world.okta, {
    ...bob,
    userName: 'eve@corp.example',
    externalId: null,
  });
  expect([other.salt, log.read(`principal/${other.id}`)?.login]).toEqual([null, null]);
  const after = await people.update(world.okta, row.id, { ...bob, externalId: '00u9' });
  expect(after.salt).toBe(row.salt);
});

test('connections share neither a name, nor a delegate key, nor a group of the log', async () => {
  const [first] = world.config.accounts[0]?.connections ?? [];
  if (first === undefined) throw new Error('there is a connection');
  const refused = (...connections: readonly object[]) => {
    const accounts = world.config.accounts.map((account) => ({ ...account, connections }));
    return createIssuer({ ...world.config, accounts } as typeof world.config, world.ports);
  };
  await expect(refused(first, { ...first, name: 'entra' })).rejects.toBeInstanceOf(ConfigError);
  await expect(refused({ ...first, groups: { A: 'x', B: 'x' } })).rejects.toBeInstanceOf(ConfigError);
});

test('two issuers of one database provision side by side, and one of them gets a name', async () => {
  const second = await createIssuer(world.config, world.ports);
  try {
    const other = second.accounts.get(world.ledger.account);
    if (other === undefined) throw new Error('account is not hosted');
    const names = Array.from({ length: 12 }, (_, index) => `p${Math.floor(index / 2)}@corp.example`);
    const codes = await Promise.all(
      names.map(async (userName, index) => {
        const { people } = index % 2 === 0 ? world.hosted : other;
        return codeOf(people.provision(world.okta, { userName, externalId: null, body: { userName } }));
      }),
    );
    expect(codes.filter((code) => code === 'accepted')).toHaveLength(6);
    expect(codes.filter((code) => code === 'row_taken')).toHaveLength(6);
    expect(await world.hosted.store.count(resources, {})).toBe(6);
  } finally {
    await second.close();
  }
});
