import { addRow, createIssuer, IssuerRefusal, members, resources } from '@bulla/issuer';
import { Refusal } from '@bulla/verifier';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { IssuerWorld } from '../kit/issuer.ts';

let world: IssuerWorld;
let bob: string;
beforeEach(async () => {
  world = await IssuerWorld.create({ connection: {} });
  bob = await provision('bob');
});
afterEach(async () => world.remove());

async function provision(name: string): Promise<string> {
  const userName = `${name}@corp.example`;
  const { people } = world.hosted;
  return (await people.provision(world.okta, { userName, externalId: null, body: { userName } })).id;
}
const named = (displayName: string) => ({ displayName, externalId: null, body: { displayName } });
const codeOf = async (run: Promise<unknown>): Promise<string> => {
  try {
    await run;
  } catch (error) {
    if (error instanceof IssuerRefusal || error instanceof Refusal) return error.code;
    throw error;
  }
  return 'accepted';
};
const logged = (id: string): readonly string[] | undefined =>
  world.hosted.log.read(`principal/${id}`)?.groups;

test('a group that is mapped puts its members into the group of the log', async () => {
  const { groups } = world.hosted;
  const row = await groups.create(world.okta, named('engineers '.trim().toUpperCase()), [bob]);
  expect(row).toMatchObject({ kind: 'Group', log: 'engineers', version: 1 });
  expect(logged(bob)).toEqual(['engineers']);
  expect(await groups.membersOf(row.id)).toEqual([bob]);
  await groups.update(world.okta, row.id, named('Engineers'), { remove: [bob] });
  expect(logged(bob)).toEqual([]);
  expect(await groups.membersOf(row.id)).toEqual([]);
});

test('a group that nothing maps is in the directory only and grants nothing', async () => {
  const { groups } = world.hosted;
  const carol = await provision('carol');
  const inner = await groups.create(world.okta, named('Inner'), [carol]);
  const row = await groups.create(world.okta, named('Canteen'), [bob, inner.id, bob]);
  expect(row.log).toBeNull();
  expect((await groups.membersOf(row.id)).toSorted()).toEqual([bob, inner.id].toSorted());
  expect([logged(bob), logged(carol)]).toEqual([[], []]);
  expect(await groups.groupsWith(inner.id)).toEqual([row]);
});

test('a protected group is refused by the log, and then the directory has no member either', async () => {
  const { groups, store } = world.hosted;
  const row = await groups.create(world.okta, named('staff'));
  expect(row.log).toBe('staff');
  expect(await codeOf(groups.update(world.okta, row.id, named('staff'), { add: [bob] }))).toBe(
    'rule_group_protected',
  );
  expect(await store.count(members, {})).toBe(0);
  expect((await store.first(resources, { id: row.id }))?.version).toBe(1);
});

test('of many changes of one write, one that is refused undoes all', async () => {
  const { groups, store, log } = world.hosted;
  const { size } = log.world;
  expect(await codeOf(groups.create(world.okta, named('Engineers'), [bob, 'prn_nobody']))).toBe(
    'member_unknown',
  );
  const inner = await groups.create(world.okta, named('Inner'));
  expect(await codeOf(groups.create(world.okta, named('Engineers'), [bob, inner.id]))).toBe('group_nested');
  expect(log.world.size).toBe(size);
  expect(await store.count(members, {})).toBe(0);
});

test('what an admin does to a group of the log is what the directory shows', async () => {
  const { groups, store } = world.hosted;
  const { ledger } = world;
  const row = await groups.create(world.okta, named('Engineers'));
  const leaves = await store.entries(ledger.leaves.length, 100);
  for (const leaf of leaves) ledger.append(leaf);
  ledger.time = Math.floor(world.ports.now());
  ledger.do({ type: 'member.add', group: 'engineers', member: `principal/${bob}` });
  await world.appended(ledger.lastLeaf);
  expect(await groups.membersOf(row.id)).toEqual([bob]);
  ledger.do({ type: 'member.add', group: 'engineers', member: `principal/${world.alice.id}` });
  await world.appended(ledger.lastLeaf);
  expect(await groups.membersOf(row.id)).toEqual([bob]);
  ledger.do({ type: 'member.remove', group: 'engineers', member: `principal/${bob}` });
  await world.appended(ledger.lastLeaf);
  expect(await groups.membersOf(row.id)).toEqual([]);
});

test('what an admin does to a group of the log shows only with the connection whose person it is', async () => {
  const { groups, store, log } = world.hosted;
  const row = await groups.create(world.okta, named('Engineers'));
  await store.writeRows([addRow(resources, { ...row, id: 'other', connection: 'entra' })]);
  const [admin] = world.ledger.admins;
  if (admin === undefined) throw new Error('there is no admin');
  const op = { type: 'member.add', group: 'engineers', member: `principal/${bob}` } as const;
  await log.write(admin, () => ({ ops: [op] }));
  expect([await groups.membersOf(row.id), await groups.membersOf('other')]).toEqual([[bob], []]);
});

test('a group that is renamed stands for another one, and its members move along', async () => {
  const { groups } = world.hosted;
  const row = await groups.create(world.okta, named('Engineers'), [bob]);
  await groups.update(world.okta, row.id, named('Canteen'));
  expect(logged(bob)).toEqual([]);
  expect(await groups.membersOf(row.id)).toEqual([bob]);
  const carol = await provision('carol');
  await groups.update(world.okta, row.id, named('Engineers'), { add: [carol], remove: [bob] });
  expect([logged(bob), logged(carol)]).toEqual([[], ['engineers']]);
  expect(await groups.membersOf(row.id)).toEqual([carol]);
});

test('a group that is removed takes its members out of the group of the log', async () => {
  const { groups, store } = world.hosted;
  const row = await groups.create(world.okta, named('Engineers'), [bob]);
  await groups.remove(world.okta, row.id);
  expect(logged(bob)).toEqual([]);
  expect(await store.count(members, {})).toBe(0);
  expect(await codeOf(groups.remove(world.okta, row.id))).toBe('group_unknown');
});

test('a group that is removed is in no other group any more', async () => {
  const { groups } = world.hosted;
  const inner = await groups.create(world.okta, named('Inner'));
  const outer = await groups.create(world.okta, named('Canteen'), [bob, inner.id]);
  await groups.remove(world.okta, inner.id);
  expect(await groups.membersOf(outer.id)).toEqual([bob]);
});

test('of two issuers of one database that change one version, one is told that it moved', async () => {
  const second = await createIssuer(world.config, world.ports);
  try {
    const other = second.accounts.get(world.ledger.account);
    if (other === undefined) throw new Error('account is not hosted');
    const both = [world.hosted, other];
    const row = await world.hosted.groups.create(world.okta, named('Canteen'));
    const bobs = { userName: 'bob@corp.example', externalId: null, body: { userName: 'bob@corp.example' } };
    const codes = await Promise.all([
      ...both.map(({ groups }, index) =>
        codeOf(groups.update(world.okta, row.id, { ...named('Canteen'), externalId: `e${index}` }, {}, 1)),
      ),
      ...both.map(({ people }, index) =>
        codeOf(people.update(world.okta, bob, { ...bobs, externalId: `e${index}` }, 1)),
      ),
    ]);
    expect([codes.slice(0, 2).toSorted(), codes.slice(2).toSorted()]).toEqual([
      ['accepted', 'version_moved'],
      ['accepted', 'version_moved'],
    ]);
  } finally {
    await second.close();
  }
});

test('a new group that stands for one of the log shows the people of the connection who are in it', async () => {
  const { groups } = world.hosted;
  const first = await groups.create(world.okta, named('Engineers'), [bob]);
  const { log } = world.hosted;
  await log.write(world.okta.signer, () => ({ ops: [] }));
  expect(await codeOf(groups.create(world.okta, named('ENGINEERS')))).toBe('row_taken');
  expect(await groups.membersOf(first.id)).toEqual([bob]);
});
