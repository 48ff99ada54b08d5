import { createRequire } from 'node:module';
import { members, resources } from '@bulla/issuer';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { IssuerWorld } from '../kit/issuer.ts';

// Law 6: the directory holds what IdPs say about people; who there is, and who is in which group, is said by the log.

interface Sql {
  exec(sql: string): void;
  close(): void;
}
/** libsql is a dependency of the issuer, not of the tests: taken from where the issuer finds it. */
const libsql = createRequire(import.meta.resolve('@bulla/issuer'))('libsql') as new (file: string) => Sql;

let world: IssuerWorld;
let bob: string;
let group: string;
beforeEach(async () => {
  world = await IssuerWorld.create({ connection: {} });
  bob = await provision('bob');
  const displayName = 'Engineers';
  const data = { displayName, externalId: null, body: { displayName } };
  group = (await world.hosted.groups.create(world.okta, data, [bob])).id;
});
afterEach(async () => world.remove());

async function provision(name: string): Promise<string> {
  const userName = `${name}@corp.example`;
  const { people } = world.hosted;
  return (await people.provision(world.okta, { userName, externalId: null, body: { userName } })).id;
}
async function behindItsBack(sql: string): Promise<void> {
  await world.issuer.close();
  const db = new libsql(world.config.database);
  db.exec(sql);
  db.close();
  world.lines.length = 0;
  await world.start();
}
const repaired = () => world.lines.find(({ event }) => event === 'directory.repaired');
const view = async () => {
  const { store } = world.hosted;
  const rows = await store.find(resources, { kind: 'User' });
  return { people: rows.map(({ id }) => id).toSorted(), members: await store.find(members, {}) };
};

test('law 6: a directory that agrees with the log is left alone', async () => {
  const before = await view();
  await behindItsBack('SELECT 1');
  expect(await view()).toEqual(before);
  expect(repaired()).toBeUndefined();
});

test('law 6: a person whose row is lost comes back by their id, and a row without a person goes', async () => {
  const carol = await provision('carol');
  await behindItsBack(`DELETE FROM resource WHERE id = '${bob}';
    UPDATE resource SET id = 'prn_ffffffffffffffffffffffffffffffff' WHERE id = '${carol}'`);
  expect((await view()).people).toEqual([bob, carol].toSorted());
  expect(repaired()).toMatchObject({ added: 2, removed: 1 });
  const [row] = await world.hosted.store.find(resources, { id: bob });
  expect(row).toMatchObject({ connection: 'okta', name: bob });
  expect(JSON.stringify(repaired())).not.toContain(bob);
});

test('law 6: members of a group of the log are those that the log says', async () => {
  const carol = await provision('carol');
  await behindItsBack(
    `DELETE FROM member; INSERT INTO member VALUES ('${world.ledger.account}', '${group}', '${carol}')`,
  );
  expect((await view()).members).toEqual([{ groupId: group, member: bob }]);
  expect(repaired()).toMatchObject({ added: 0, removed: 0, members: 2 });
});

test('law 6: a row that claims a person of another connection, or one who is gone, is removed', async () => {
  await world.hosted.people.deprovision(world.okta, bob);
  const at = '2026-01-01T00:00:00.000Z';
  const columns = 'account, id, connection, kind, name, version, created, modified, body';
  const row = (id: string, connection: string) =>
    `INSERT INTO resource (${columns}) VALUES ('${world.ledger.account}', '${id}', '${connection}', 'User', '${id}', 1, '${at}', '${at}', '{}');`;
  await behindItsBack(row(bob, 'okta') + row(world.alice.id, 'okta'));
  expect((await view()).people).toEqual([]);
  expect(repaired()).toMatchObject({ added: 0, removed: 2 });
});
