import { openLibsqlStore } from '@bulla/issuer';
import { CompactRange, hashLeaf } from '@bulla/verifier/log';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { IssuerWorld } from '../kit/issuer.ts';
import { newSigner } from '../kit/log.ts';

let world: IssuerWorld;
beforeEach(async () => {
  world = await IssuerWorld.create();
  await world.issuer.close();
});
afterEach(async () => world.remove());

/** Puts a leaf by nobody into the store, as whoever holds the database could. */
async function forge(options: { readonly covered: boolean }): Promise<void> {
  const { ledger } = world;
  const leaf = ledger.sign({ op: { type: 'group.create', group: 'x', protected: false } }, newSigner());
  const store = openLibsqlStore(world.config.database);
  const account = await store.openAccount(ledger.account);
  const none = new Map<string, string>();
  await account.append({
    expectedSize: ledger.leaves.length,
    leaves: [leaf],
    documents: none,
    writes: none,
    rows: [],
  });
  ledger.force(leaf);
  if (options.covered) {
    const range = new CompactRange();
    for (const each of ledger.leaves) range.append(hashLeaf(Buffer.from(each)));
    const [size, root] = [ledger.leaves.length, range.root().toString('base64url')];
    await account.saveCheckpoint({ size, root, time: Math.floor(Date.now() / 1000), note: 'served' });
  }
  await store.close();
}

test('a leaf that breaks a rule and was served is skipped with an alarm, and the log goes on', async () => {
  await forge({ covered: true });
  await world.start();
  expect(world.lines.find(({ event }) => event === 'entry.skipped')).toMatchObject({
    code: 'rule_signer_unknown',
  });
  world.ledger.group('after');
  await world.appended(world.ledger.lastLeaf);
  expect((await world.token()).status).toBe(200);
});

test('one that no checkpoint covers stops the issuer', async () => {
  await forge({ covered: false });
  await expect(world.start()).rejects.toMatchObject({ code: 'store_corrupt' });
});

test('one that appears while it runs is not taken in', async () => {
  await world.start();
  await forge({ covered: false });
  world.ledger.group('after');
  const response = await world.postLeaf(world.ledger.lastLeaf);
  expect(await response.json()).toMatchObject({ status: 503, code: 'store_corrupt' });
  await expect
    .poll(async () => (await world.issuer.app.request('/healthz')).status, { timeout: 5000 })
    .toBe(503);
});
