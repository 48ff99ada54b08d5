import {
  type AccountStore,
  addRow,
  changeRows,
  expectRows,
  IssuerRefusal,
  members,
  putRow,
  type RowWrite,
  removeRows,
  resources,
  type Store,
} from '@bulla/issuer';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

export interface StoreConformance {
  readonly name: string;
  /** An empty store at a place of its own. */
  readonly create: () => Promise<OpenStore>;
}

interface OpenStore {
  readonly store: Store;
  /** Another connection to the same place, as a second process would have. */
  readonly again: () => Promise<Store>;
  readonly remove: () => Promise<void>;
}

const none: ReadonlyMap<string, string> = new Map();
const entry = (expectedSize: number, leaf = `leaf-${expectedSize}`) => ({
  expectedSize,
  leaves: [leaf],
  documents: none,
  writes: none,
  rows: [] as readonly RowWrite[],
});
const person = (id: string, name = id) => ({
  id,
  connection: 'okta',
  kind: 'User' as const,
  name,
  externalId: null,
  log: null,
  salt: null,
  version: 1,
  created: '2026-01-01T00:00:00.000Z',
  modified: '2026-01-01T00:00:00.000Z',
  body: '{}',
});
const codeOf = async (run: () => Promise<unknown>): Promise<string> => {
  try {
    await run();
  } catch (error) {
    if (error instanceof IssuerRefusal) return error.code;
    throw error;
  }
  return 'accepted';
};

/** The laws of `Store` (issuer/store/store.ts), for every adapter. */
export function storeConformance({ name, create }: StoreConformance): void {
  describe(`store ${name}`, () => {
    let place: OpenStore;
    let account: AccountStore;
    const genesis = { leaf: 'leaf-0', writes: none };

    beforeEach(async () => {
      place = await create();
      account = await place.store.createAccount('alpha', genesis);
    });
    afterEach(async () => {
      await place.store.close();
      await place.remove();
    });

    test('S1: what was acknowledged is there for another connection', async () => {
      const documents = new Map([['sha-256:x', '{"n":9007199254740993}']]);
      const writes = new Map([['account', '{"a":1}']]);
      await account.append({ ...entry(1), documents, writes });
      const other = await (await place.again()).openAccount('alpha');
      expect(await other.entries(0, 10)).toEqual(['leaf-0', 'leaf-1']);
      expect(await other.document('sha-256:x')).toBe('{"n":9007199254740993}');
      expect(await other.state()).toEqual(new Map([['account', '{"a":1}']]));
    });

    test('S2: one of many writers on one head succeeds', async () => {
      const second = await (await place.again()).openAccount('alpha');
      const writers = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? account : second));
      const outcomes = await Promise.all(
        writers.map(async (writer, index) => writer.append(entry(1, `w${index}`))),
      );
      expect(outcomes.filter((outcome) => outcome === 'appended')).toHaveLength(1);
      expect(await account.size()).toBe(2);
    });

    test('S2: an append that loses leaves neither document nor state behind', async () => {
      const lost = {
        ...entry(7),
        documents: new Map([['sha-256:lost', '{}']]),
        writes: new Map([['lost', '{}']]),
      };
      expect(await account.append(lost)).toBe('moved');
      expect(await account.document('sha-256:lost')).toBeUndefined();
      expect((await account.state()).has('lost')).toBe(false);
    });

    test('S2: an append that fails half way leaves nothing behind, and the next one succeeds', async () => {
      const writes = new Map([
        ['good', '{}'],
        ['bad', null as never],
      ]);
      const documents = new Map([['sha-256:half', '{}']]);
      const half = { ...entry(1), documents, writes };
      expect(await codeOf(async () => account.append(half))).toBe('store_unavailable');
      expect(await account.size()).toBe(1);
      expect(await account.document('sha-256:half')).toBeUndefined();
      expect((await account.state()).size).toBe(0);
      expect(await account.append(entry(1))).toBe('appended');
    });

    test('S3: entries come back byte for byte, in order, in pages', async () => {
      const leaves = ['eyJ.ü€.\u{1F511}', ' ', '9007199254740993', 'x'.repeat(65_535)];
      for (const [index, leaf] of leaves.entries()) await account.append(entry(index + 1, leaf));
      expect(await account.entries(1, 2)).toEqual(leaves.slice(0, 2));
      expect(await account.entries(3, 100)).toEqual(leaves.slice(2));
      expect(await account.entries(5, 100)).toEqual([]);
    });

    test('S4: a checkpoint is never replaced by a smaller, an earlier or a contradicting one', async () => {
      const checkpoint = { size: 5, root: 'root5', time: 100, note: 'note' };
      expect(await account.checkpoint()).toBeUndefined();
      expect(await account.saveCheckpoint(checkpoint)).toBe(true);
      expect(await account.saveCheckpoint({ ...checkpoint, size: 4, time: 101 })).toBe(false);
      expect(await account.saveCheckpoint({ ...checkpoint, size: 6, time: 99 })).toBe(false);
      expect(await account.saveCheckpoint({ ...checkpoint, root: 'other', time: 101 })).toBe(false);
      expect(await account.checkpoint()).toEqual(checkpoint);
      const newer = { ...checkpoint, time: 102, note: 'newer' };
      expect(await account.saveCheckpoint(newer)).toBe(true);
      expect(await account.checkpoint()).toEqual(newer);
    });

    test('S5: a key is taken once until it expires, and a refused set takes nothing', async () => {
      expect(await account.useOnce(['a', 'b'], 200, 100)).toEqual([]);
      expect(await account.useOnce(['c', 'a'], 200, 150)).toEqual(['a']);
      expect(await account.useOnce(['b', 'c', 'a'], 200, 150)).toEqual(['b', 'a']);
      expect(await account.useOnce(['c'], 200, 200)).toEqual([]);
      expect(await account.useOnce(['a'], 300, 200)).toEqual(['a']);
      expect(await account.useOnce(['a'], 300, 201)).toEqual([]);
      expect(await account.useOnce(['d', 'd'], 300, 201)).toEqual(['d']);
      expect(await account.useOnce(['d'], 300, 201)).toEqual([]);
    });

    test('S5: of many who take one key at once, one gets it', async () => {
      const second = await (await place.again()).openAccount('alpha');
      const takers = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? account : second));
      const taken = await Promise.all(takers.map(async (taker) => taker.useOnce(['k'], 200, 100)));
      expect(taken.filter((spent) => spent.length === 0)).toHaveLength(1);
    });

    test('S8: a name is tied to whoever comes first, until the tie ends', async () => {
      expect(await account.tie('token', 'alice', 200, 100)).toBe(true);
      expect(await account.tie('token', 'mallory', 300, 150)).toBe(false);
      expect(await account.tie('token', 'alice', 300, 200)).toBe(true);
      expect(await account.tie('other', 'mallory', 200, 150)).toBe(true);
      expect(await account.tie('token', 'mallory', 300, 201)).toBe(true);
      expect(await account.tie('token', 'alice', 300, 201)).toBe(false);
    });

    test('S8: of many who want one name at once, one gets it', async () => {
      const second = await (await place.again()).openAccount('alpha');
      const takers = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? account : second));
      const ties = await Promise.all(
        takers.map(async (taker, index) => taker.tie('t', `h${index}`, 200, 100)),
      );
      expect(ties.filter((tied) => tied)).toHaveLength(1);
    });

    test('S2: rows and entries become visible together or not at all', async () => {
      const rows = [addRow(resources, person('a'))];
      expect(await account.append({ ...entry(7), rows })).toBe('moved');
      expect(await account.count(resources, {})).toBe(0);
      const twice = [...rows, addRow(resources, person('b', 'a'))];
      expect(await codeOf(async () => account.append({ ...entry(1), rows: twice }))).toBe('row_taken');
      expect([await account.size(), await account.count(resources, {})]).toEqual([1, 0]);
      expect(await account.append({ ...entry(1), rows })).toBe('appended');
      const other = await (await place.again()).openAccount('alpha');
      expect([await other.size(), await other.find(resources, {})]).toEqual([2, [person('a')]]);
    });

    test('S9: neither a key nor a unique set is taken twice, and a replacement takes nothing from others', async () => {
      await account.writeRows([addRow(resources, person('a')), addRow(resources, person('b'))]);
      const refused = async (write: RowWrite) => codeOf(async () => account.writeRows([write]));
      expect(await refused(addRow(resources, person('a', 'other')))).toBe('row_taken');
      expect(await refused(putRow(resources, person('a', 'b')))).toBe('row_taken');
      expect(await refused(changeRows(resources, { id: 'a' }, { name: 'b' }))).toBe('row_taken');
      expect(await refused(putRow(resources, { ...person('a'), version: 2 }))).toBe('accepted');
      const rows = await account.find(resources, {}, { by: ['name'], descending: true });
      expect(rows).toEqual([person('b'), { ...person('a'), version: 2 }]);
    });

    test('S10: an expectation that is not met undoes its write', async () => {
      await account.writeRows([addRow(resources, person('a'))]);
      const [stale, fresh] = [2, 1].map((version) => [
        addRow(members, { groupId: 'g', member: 'a' }),
        expectRows(resources, { id: 'a', version }),
        removeRows(resources, { id: 'a' }),
      ]);
      expect(await account.writeRows(stale ?? [])).toBe('moved');
      expect([await account.count(members, {}), await account.count(resources, {})]).toEqual([0, 1]);
      expect(await account.writeRows(fresh ?? [])).toBe('written');
      expect([await account.count(members, {}), await account.count(resources, {})]).toEqual([1, 0]);
      await account.writeRows([putRow(members, { groupId: 'g', member: 'b' })]);
      const counted = (count: number) => account.writeRows([expectRows(members, { groupId: 'g' }, count)]);
      expect([await counted(1), await counted(2), await counted(3)]).toEqual(['moved', 'written', 'moved']);
    });

    test('rows are found by equality, null and bounds, in order and in pages', async () => {
      const names = ['c', 'a', 'd', 'b'];
      const rows = names.map((each, index) => ({ ...person(`id-${each}`, each), version: index }));
      await account.writeRows(
        rows.map((row) => addRow(resources, { ...row, log: row.version === 2 ? 'x' : null })),
      );
      const found = async (where: object, order = {}) =>
        (await account.find(resources, where, order)).map((row) => row.name);
      expect(await found({}, { by: ['name'], limit: 2, offset: 1 })).toEqual(['b', 'c']);
      expect(await found({ version: { above: 0, below: 3 } }, { by: ['version'] })).toEqual(['a', 'd']);
      expect(await found({ log: null }, { by: ['name'] })).toEqual(['a', 'b', 'c']);
      expect(await found({ log: {} })).toEqual(['d']);
      expect(await found({ name: "a' OR '1'='1" })).toEqual([]);
      expect(await account.first(resources, { name: 'zzz' })).toBeUndefined();
      expect(await account.count(resources, { version: { below: 2 } })).toBe(2);
    });

    test('S6: accounts are created once, opened only when there, and see nothing of each other', async () => {
      expect(await codeOf(async () => place.store.createAccount('alpha', genesis))).toBe('account_exists');
      expect(await codeOf(async () => place.store.openAccount('beta'))).toBe('account_missing');
      const beta = await place.store.createAccount('beta', { ...genesis, leaf: 'beta-0' });
      await account.append({
        ...entry(1),
        documents: new Map([['d', '{}']]),
        writes: new Map([['k', '{}']]),
      });
      await account.useOnce(['u'], 200, 100);
      await account.tie('t', 'alice', 200, 100);
      await account.writeRows([addRow(resources, person('a'))]);
      await account.saveCheckpoint({ size: 2, root: 'r', time: 1, note: 'n' });
      expect(await beta.tie('t', 'bob', 200, 100)).toBe(true);
      expect(await beta.entries(0, 9)).toEqual(['beta-0']);
      expect(await beta.count(resources, {})).toBe(0);
      expect(await beta.writeRows([addRow(resources, person('a')), removeRows(resources, {})])).toBe(
        'written',
      );
      expect(await account.count(resources, {})).toBe(1);
      expect(await beta.document('d')).toBeUndefined();
      expect(await beta.state()).toEqual(new Map());
      expect(await beta.checkpoint()).toBeUndefined();
      expect(await beta.useOnce(['u'], 200, 100)).toEqual([]);
      await beta.replaceState(new Map([['x', '1']]));
      expect(await account.state()).toEqual(new Map([['k', '{}']]));
      expect(await place.store.accounts()).toEqual(['alpha', 'beta']);
    });

    test('state is replaced as a whole', async () => {
      await account.append({ ...entry(1), writes: new Map([['old', '1']]) });
      await account.replaceState(new Map([['new', '2']]));
      expect(await account.state()).toEqual(new Map([['new', '2']]));
    });

    test('S7: a closed store throws instead of answering', async () => {
      const other = await place.again();
      const closed = await other.openAccount('alpha');
      await other.close();
      expect(await codeOf(async () => closed.entries(0, 1))).toBe('store_unavailable');
      expect(await codeOf(async () => closed.document('x'))).toBe('store_unavailable');
      expect(await codeOf(async () => closed.useOnce(['x'], 2, 1))).toBe('store_unavailable');
      expect(await codeOf(async () => closed.tie('x', 'y', 2, 1))).toBe('store_unavailable');
    });
  });
}
