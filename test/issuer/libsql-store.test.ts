import { hash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addRow, openLibsqlStore, putRow, removeRows, resources, type Store } from '@bulla/issuer';
import Database from 'libsql';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { storeConformance } from '../kit/store-conformance.ts';

storeConformance({
  name: 'libsql',
  create: async () => {
    const dir = mkdtempSync(join(tmpdir(), 'bulla-store-'));
    const file = join(dir, 'issuer.db');
    const others: Store[] = [];
    return {
      store: openLibsqlStore(file),
      again: async () => {
        const other = openLibsqlStore(file);
        others.push(other);
        return other;
      },
      remove: async () => {
        await Promise.all(others.map(async (other) => other.close()));
        rmSync(dir, { recursive: true, force: true });
      },
    };
  },
});

test('S11: what was removed or replaced is in no file of the store after a scrub', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'bulla-store-'));
  const store = openLibsqlStore(join(dir, 'issuer.db'));
  try {
    const account = await store.createAccount('alpha', { leaf: 'leaf-0', writes: new Map() });
    const row = {
      id: 'prn_1',
      connection: 'okta',
      kind: 'User' as const,
      name: 'zerubabel@corp.example',
      externalId: null,
      log: null,
      salt: null,
      version: 1,
      created: 'x',
      modified: 'x',
      body: '{"title":"quartermaster"}',
    };
    const holds = (word: string): boolean =>
      readdirSync(dir).some((file) => readFileSync(join(dir, file)).includes(word));
    await account.writeRows([addRow(resources, row)]);
    expect([holds('zerubabel'), holds('quartermaster')]).toEqual([true, true]);
    await account.writeRows([putRow(resources, { ...row, body: '{}' })]);
    await account.scrub();
    expect([holds('zerubabel'), holds('quartermaster')]).toEqual([true, false]);
    await account.writeRows([removeRows(resources, { id: 'prn_1' })]);
    await account.scrub();
    expect(holds('zerubabel')).toBe(false);
  } finally {
    await store.close();
    rmSync(dir, { recursive: true, force: true });
  }
});

describe('a database file', () => {
  let dir: string;
  let file: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'bulla-store-'));
    file = join(dir, 'issuer.db');
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  test("is its owner's alone, with all that stands beside it", async () => {
    const before = process.umask(0o022);
    const store = openLibsqlStore(file);
    process.umask(before);
    await store.createAccount('alpha', { leaf: 'leaf-0', writes: new Map() });
    expect(readdirSync(dir).sort()).toEqual(['issuer.db', 'issuer.db-shm', 'issuer.db-wal']);
    for (const name of readdirSync(dir))
      expect([name, statSync(join(dir, name)).mode & 0o077]).toEqual([name, 0]);
    await store.close();
  });

  test.each([0, 2])('of version %d is refused, and nothing in it is changed', async (version) => {
    await openLibsqlStore(file).close();
    const other = new Database(file);
    other.exec(`DROP TABLE resource; PRAGMA user_version = ${String(version)}`);
    other.close();
    expect(() => openLibsqlStore(file)).toThrow(expect.objectContaining({ code: 'store_version' }));
    const after = new Database(file);
    expect(after.prepare("SELECT 1 FROM sqlite_master WHERE name = 'resource'").get()).toBeUndefined();
    after.close();
  });

  test('has the tables that its version stands for: whoever changes one raises the version', async () => {
    await openLibsqlStore(file).close();
    const db = new Database(file);
    const tables = db.prepare('SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name').all();
    const { user_version: version } = db.prepare('PRAGMA user_version').get() as { user_version: number };
    db.close();
    const digest = hash('sha256', tables.map((row) => (row as { sql: string }).sql).join(';'));
    expect([version, digest.slice(0, 16)]).toEqual([1, 'dfb8b90538d34fb3']);
  });
});
