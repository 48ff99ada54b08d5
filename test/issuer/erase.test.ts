import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eraseFromDatabase, erasePerson, IssuerRefusal } from '@bulla/issuer';
import { World } from '@bulla/verifier/log';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { IssuerWorld } from '../kit/issuer.ts';

let world: IssuerWorld;
beforeEach(async () => {
  world = await IssuerWorld.create({ connection: {} });
});
afterEach(async () => world.remove());

const userName = 'Zerubabel.Quist@corp.example';
const zerubabel = {
  userName,
  externalId: '00u-zeru-1',
  body: { userName, name: { familyName: 'Quist' }, emails: [{ value: 'zq@home.example', primary: true }] },
};
const traces = ['zerubabel', 'quist', '00u-zeru-1', 'zq@home.example'];
/** Which traces any file of the issuer holds, in whatever case. */
const found = (): readonly string[] => {
  const files = readdirSync(world.dir).map((file) =>
    readFileSync(join(world.dir, file), 'latin1').toLowerCase(),
  );
  return traces.filter((trace) => files.some((text) => text.includes(trace)));
};
const codeOf = async (run: Promise<unknown>): Promise<string> => {
  try {
    await run;
  } catch (error) {
    if (error instanceof IssuerRefusal) return error.code;
    throw error;
  }
  return 'accepted';
};

test('an erased person is in no file of the issuer, and the log still verifies', async () => {
  const { people, groups, log, store } = world.hosted;
  const row = await people.provision(world.okta, zerubabel);
  const named = { displayName: 'Engineers', externalId: null, body: { displayName: 'Engineers' } };
  const group = await groups.create(world.okta, named, [row.id]);
  await people.update(world.okta, row.id, { ...zerubabel, externalId: '00u-zeru-1' });
  expect(found()).toEqual(traces);

  expect(await erasePerson(world.hosted, row.id)).toEqual({ deprovisioned: true, rows: 4 });
  expect(found()).toEqual([]);
  expect(await groups.membersOf(group.id)).toEqual([]);
  expect(log.read(`principal/${row.id}`)?.status).toBe('deprovisioned');

  const replayed = new World({ account: log.account });
  const leaves = await store.entries(0, 1000);
  for (const leaf of leaves) expect(replayed.append(leaf).refusal).toBeUndefined();
  expect(replayed.treeRoot().equals(log.world.treeRoot())).toBe(true);
  expect(replayed.stateRoot().equals(log.world.stateRoot())).toBe(true);
  await world.restart();
  expect(world.lines.some(({ event }) => event === 'directory.repaired')).toBe(false);
  expect(JSON.stringify(world.lines).toLowerCase()).not.toContain('quist');
});

test('an erasure from another process, while the issuer runs', async () => {
  const row = await world.hosted.people.provision(world.okta, zerubabel);
  const given = { account: world.ledger.account, principal: row.id };
  expect(await eraseFromDatabase(world.config, given, world.ports)).toMatchObject({ deprovisioned: true });
  expect(found()).toEqual([]);
  await world.hosted.log.tick();
  expect(world.hosted.log.read(`principal/${row.id}`)?.status).toBe('deprovisioned');
  expect(await eraseFromDatabase(world.config, given, world.ports)).toEqual({
    deprovisioned: false,
    rows: 0,
  });
});

test('nobody whom only an admin may end is erased while live, nor somebody who is not there', async () => {
  expect(await codeOf(erasePerson(world.hosted, world.alice.id))).toBe('erase_live');
  expect(await codeOf(erasePerson(world.hosted, 'prn_nobody'))).toBe('person_unknown');
});
