import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type AccountStore, openLibsqlStore } from '@bulla/issuer';
import { canonicalJson, encodeBase64url } from '@bulla/verifier/envelope';
import { World } from '@bulla/verifier/log';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Doctored } from './doctored.ts';
import { HostileIssuer } from './hostile.ts';

// Law 6: the log is the truth; everything else is a projection of it. (test/issuer/projections.test.ts alters single
// records and entries.)

interface Sql {
  prepare(sql: string): { all(): { name: string }[] };
  exec(sql: string): void;
  close(): void;
}
/** libsql is a dependency of the issuer, not of the tests: taken from where the issuer finds it. */
const libsql = createRequire(import.meta.resolve('@bulla/issuer'))('libsql') as new (file: string) => Sql;

let hostile: HostileIssuer;
beforeEach(async () => {
  hostile = await HostileIssuer.create();
});
afterEach(() => hostile.close());

async function look<T>(work: (store: AccountStore) => Promise<T>): Promise<T> {
  const store = openLibsqlStore(hostile.world.config.database);
  const result = await work(await store.openAccount(hostile.ledger.account));
  await store.close();
  return result;
}

/** Entries, and the policy sets whose digests they name. */
const log = new Set(['entry', 'document']);

test('law 6: with every table but the log dropped, the issuer starts and is what it was', async () => {
  const { follower, ledger, world } = hostile;
  const before = await look(async (store) => ({ state: await store.state(), at: await store.checkpoint() }));
  const seen = { size: follower.trust.size, root: follower.trust.root };
  await world.issuer.close();
  const db = new libsql(world.config.database);
  const tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
  const dropped = tables
    .map(({ name }) => name)
    .filter((name) => !log.has(name) && !name.startsWith('sqlite_'));
  expect(dropped.length).toBeGreaterThan(2);
  for (const name of dropped) db.exec(`DROP TABLE ${name}`);
  db.close();
  await world.start();

  const after = await look(async (store) => ({ state: await store.state(), at: await store.checkpoint() }));
  expect(after.state).toEqual(before.state);
  expect(after.at).toMatchObject({ size: before.at?.size, root: before.at?.root });

  // A reader that had followed it before goes on where it was, and what was minted is as good as before.
  await follower.until((trust) => trust.age(world.ports.now()) < 5);
  expect({ size: follower.trust.size, root: follower.trust.root }).toEqual(seen);
  expect(await hostile.outcome(hostile.envelope())).toBe('allow');
  ledger.do({ type: 'agent.suspend', agent: world.agent.id });
  await hostile.publish();
  expect(await hostile.outcome(hostile.envelope())).toBe('agent_not_active');
  expect(follower.halted).toBeUndefined();
});

test('law 6: what the issuer stores beside the log, what a follower has, and a bare replay are one', async () => {
  const { leaves, account } = hostile.ledger;
  const replayed = new World({ account });
  for (const leaf of leaves) replayed.append(leaf);
  const records = new Map([...replayed.records()].map(([key, record]) => [key, canonicalJson(record)]));
  expect(await look((store) => store.state())).toEqual(records);
  expect(await look((store) => store.entries(0, 1000))).toEqual(leaves);
  const { trust } = hostile.follower;
  expect(trust.root).toBe(encodeBase64url(replayed.treeRoot()));
  for (const [key, record] of records) expect(canonicalJson(trust.read(key as 'account'))).toBe(record);
});

test('law 6: a follower’s disk is a copy of the log, held against it, and not believed', async () => {
  const doctored = await Doctored.open();
  try {
    const { directory } = doctored;
    const first = await doctored.reader({ directory });
    const { size, root } = first.follower.trust;
    await first.follower.close();
    const again = doctored.follow({ directory });
    await again.ready;
    expect({ size: again.trust.size, root: again.trust.root }).toEqual({ size, root });
    await again.close();
    const leaves = `${directory}/leaves`;
    writeFileSync(leaves, readFileSync(leaves, 'latin1').replace('\n', '\nx'));
    const spoiled = doctored.follow({ directory });
    await expect(spoiled.ready).rejects.toMatchObject({ code: 'follower_disk_invalid' });
  } finally {
    await doctored.close();
  }
});
