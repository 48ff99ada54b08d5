import { IssuerRefusal, resources } from '@bulla/issuer';
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
  const other = { ...world.okta, signer: world.mint.signer };
  expect(await codeOf(people.provision(other, bob))).toBe('connection_lease_wrong');
  expect(await store.count(resources, {})).toBe(0);
});

test('people are found by id, user name, external id and address, in their own connection only', async () => {
  const { people } = world.hosted;
  const body = { ...bob.body, emails: [{ value: 'b@x.example' }, { value: 'R@x.example', primary: true }] };
  const row = await people.provision(world.okta, { ...bob, body });
  const elsewhere = { ...world.okta, config: { ...world.okta.config, name: 'entra' } };
  for (const by of [
    { id: row.id },
    { userName: 'BOB@corp.example' },
    { externalId: '00u1' },
    { address: 'r@X.example' },
    { address: 'bob@corp.example' },
  ]) {
    expect(await people.find(world.okta, by), JSON.stringify(by)).toEqual(row);
    expect(await people.find(undefined, by), JSON.stringify(by)).toEqual(row);
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
  expect(await people.find(world.okta, { address: 'bob@corp.example' })).toBeUndefined();
  expect(await codeOf(people.update(world.okta, row.id, bob, 1))).toBe('version_moved');
});

test('active says whether the connection suspends: at once, later, and not over an admin', async () => {
  const { people } = world.hosted;
  const suspensions = (id: string) => world.hosted.log.read(`principal/${id}`)?.suspensions;
  const row = await people.provision(world.okta, { ...bob, active: false });
  expect([statusOf(row.id), suspensions(row.id)]).toEqual(['suspended', ['connection/okta']]);
  const before = world.hosted.log.world.size;
  await people.suspend(world.okta, row.id);
  expect(world.hosted.log.world.size).toBe(before);
  await people.update(world.okta, row.id, { ...bob, active: true });
  expect(statusOf(row.id)).toBe('pending');

  const { ledger, hosted } = world;
  for (const leaf of await hosted.store.entries(ledger.leaves.length, 100)) ledger.append(leaf);
  ledger.time = Math.floor(world.ports.now());
  ledger.do({ type: 'principal.suspend', principal: row.id });
  await world.appended(ledger.lastLeaf);
  expect(await codeOf(people.resume(world.okta, row.id))).toBe('rule_rank_too_low');
  await people.suspend(world.okta, row.id);
  await people.resume(world.okta, row.id);
  expect([statusOf(row.id), suspensions(row.id)]).toEqual(['suspended', ['admin']]);
});

test('ending sessions raises the epoch and leaves the person as they were', async () => {
  const { people, log } = world.hosted;
  const row = await people.provision(world.okta, bob);
  const { epoch } = log.read(`principal/${row.id}`) ?? { epoch: -1 };
  const { changes } = await people.endSessions(world.okta, row.id);
  expect(changes.map(({ op }) => op.type)).toEqual(['principal.suspend', 'principal.resume']);
  expect(log.read(`principal/${row.id}`)).toMatchObject({ status: 'pending', epoch: epoch + 2 });
});
