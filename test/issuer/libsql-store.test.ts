import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLibsqlStore, type Store } from '@bulla/issuer';
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
