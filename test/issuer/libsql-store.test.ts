import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addRow, openLibsqlStore, putRow, removeRows, resources, type Store } from '@bulla/issuer';
import { expect, test } from 'vitest';
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
