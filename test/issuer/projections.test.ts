import { createRequire } from 'node:module';
import { openLibsqlStore } from '@bulla/issuer';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { IssuerWorld } from '../kit/issuer.ts';

interface Sql {
  exec(sql: string): void;
  close(): void;
}
/** libsql is a dependency of the issuer, not of the tests: taken from where the issuer finds it. */
const libsql = createRequire(import.meta.resolve('@bulla/issuer'))('libsql') as new (file: string) => Sql;

let world: IssuerWorld;
beforeEach(async () => {
  world = await IssuerWorld.create();
});
afterEach(async () => world.remove());

const withDatabase = (run: (db: Sql) => void): void => {
  const db = new libsql(world.config.database);
  run(db);
  db.close();
};
const stored = async () => {
  const store = openLibsqlStore(world.config.database);
  const account = await store.openAccount(world.ledger.account);
  const [state, checkpoint] = [await account.state(), await account.checkpoint()];
  await store.close();
  return { state, checkpoint };
};

test('law 6: every table but the log is dropped, and comes back equal', async () => {
  const before = await stored();
  await world.issuer.close();
  withDatabase((db) => db.exec('DROP TABLE state; DROP TABLE checkpoint; DROP TABLE used;'));
  await world.start();
  const after = await stored();
  expect(after.state).toEqual(before.state);
  expect(after.state.size).toBeGreaterThan(10);
  expect(after.checkpoint).toMatchObject({ size: before.checkpoint?.size, root: before.checkpoint?.root });
  expect(world.lines.some(({ event }) => event === 'projection.rebuilt')).toBe(true);
  expect((await world.token()).status).toBe(200);
});

test.each([
  ['a changed record', "UPDATE state SET record = '{}' WHERE key = 'account'"],
  ['a missing record', "DELETE FROM state WHERE key = 'account'"],
  ['an invented record', "INSERT INTO state SELECT account, 'admin/mallory', '{}' FROM entry WHERE seq = 0"],
])('law 6: %s is noticed and rebuilt from the log', async (_, sql) => {
  const before = await stored();
  await world.issuer.close();
  withDatabase((db) => db.exec(sql));
  await world.start();
  expect((await stored()).state).toEqual(before.state);
  expect(world.lines.some(({ event }) => event === 'projection.rebuilt')).toBe(true);
});

test('an untouched store is not rebuilt', async () => {
  await world.restart();
  expect(world.lines.filter(({ event }) => event === 'projection.rebuilt')).toEqual([]);
});

test.each([
  ['lost its last entry', 'DELETE FROM entry WHERE seq = (SELECT max(seq) FROM entry)', 'store_rolled_back'],
  ['lost an entry in the middle', 'DELETE FROM entry WHERE seq = 3', 'store_corrupt'],
  ['had an entry altered', "UPDATE entry SET leaf = leaf || 'A' WHERE seq = 3", 'store_corrupt'],
  [
    'had two entries swapped',
    'UPDATE entry SET leaf = (SELECT e.leaf FROM entry e WHERE e.seq = 7 - entry.seq) WHERE seq IN (3, 4)',
    'store_corrupt',
  ],
])('law 7: a store that %s is refused', async (_, sql, code) => {
  await world.issuer.close();
  withDatabase((db) => db.exec(sql));
  await expect(world.start()).rejects.toMatchObject({ code });
  withDatabase((db) => db.exec('SELECT 1'));
});
