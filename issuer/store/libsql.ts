import { closeSync, openSync } from 'node:fs';
import Database from 'libsql';
import { IssuerRefusal } from '../errors.ts';
import { createTables, LibsqlRows } from './libsql-rows.ts';
import type { AccountStore, Append, Store, StoredCheckpoint } from './store.ts';
import type { Conditions, Order, RowWrite, Table, Where } from './table.ts';
import { storedTables } from './tables.ts';

/** Entries, documents and records are TEXT: libsql alters integers over 2^53 and returns BLOBs as ArrayBuffer. */
const schema = `
  CREATE TABLE IF NOT EXISTS entry (
    account TEXT NOT NULL, seq INTEGER NOT NULL, leaf TEXT NOT NULL, PRIMARY KEY (account, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS document (
    account TEXT NOT NULL, digest TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (account, digest)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS state (
    account TEXT NOT NULL, key TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (account, key)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS checkpoint (
    account TEXT NOT NULL PRIMARY KEY, size INTEGER NOT NULL, root TEXT NOT NULL, time INTEGER NOT NULL, note TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS used (
    account TEXT NOT NULL, key TEXT NOT NULL, expires INTEGER NOT NULL, PRIMARY KEY (account, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS used_expires ON used (account, expires);
  CREATE TABLE IF NOT EXISTS tied (
    account TEXT NOT NULL, name TEXT NOT NULL, holder TEXT NOT NULL, expires INTEGER NOT NULL, PRIMARY KEY (account, name)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS tied_expires ON tied (account, expires);
`;

/** Raised with every change of a table: a file is never read as what it is not. Kept in `PRAGMA user_version`. */
const storeVersion = 1;

const busyTimeoutMilliseconds = 5000;
/** What expired is swept once in so many uses. */
const sweepEvery = 256;

/**
 * Opens (and where needed creates) a libsql database file: WAL, `synchronous=FULL`, so that a commit is on disk before
 * it is acknowledged (S1). Several processes may open the same file. A new file is its owner's alone: it names people.
 *
 * @throws {IssuerRefusal} `store_version` for a file that another version made, `store_unavailable`.
 */
export function openLibsqlStore(file: string): Store {
  const db = guarded(() => {
    closeSync(openSync(file, 'a', 0o600));
    const opened = new Database(file, { timeout: busyTimeoutMilliseconds });
    opened.pragma('journal_mode = WAL');
    opened.pragma('synchronous = FULL');
    opened.pragma('secure_delete = ON');
    opened.transaction(() => createMissing(opened)).immediate();
    return opened;
  });
  return {
    createAccount: async (account, genesis) =>
      guarded(() => {
        const store = new LibsqlAccount(db, account);
        const { leaf, writes } = genesis;
        if (
          store.appendNow({ expectedSize: 0, leaves: [leaf], documents: new Map(), writes, rows: [] }) ===
          'moved'
        ) {
          throw new IssuerRefusal('account_exists', `account \`${account}\` exists`);
        }
        return store;
      }),
    openAccount: async (account) =>
      guarded(() => {
        const store = new LibsqlAccount(db, account);
        if (store.sizeNow() === 0) {
          throw new IssuerRefusal('account_missing', `account \`${account}\` is not in the store`);
        }
        return store;
      }),
    accounts: async () =>
      guarded(() => {
        const rows = db.prepare('SELECT account FROM entry WHERE seq = 0 ORDER BY account').all();
        return (rows as { account: string }[]).map((row) => row.account);
      }),
    close: async () => {
      db.close();
    },
  };
}

function createMissing(db: Database.Database): void {
  const made = db.prepare("SELECT 1 FROM sqlite_master WHERE name = 'entry'").get() !== undefined;
  const { user_version: version } = db.prepare('PRAGMA user_version').get() as { user_version: number };
  if (made && version !== storeVersion) {
    throw new IssuerRefusal('store_version', 'database was made by another version of the issuer');
  }
  db.exec(schema);
  createTables(db, storedTables);
  db.exec(`PRAGMA user_version = ${String(storeVersion)}`);
}

function guarded<T>(run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if (cause instanceof IssuerRefusal) throw cause;
    throw new IssuerRefusal('store_unavailable', 'store does not answer', { cause });
  }
}

class LibsqlAccount implements AccountStore {
  readonly account: string;
  readonly #db: Database.Database;
  readonly #rows: LibsqlRows;
  #uses = 0;

  constructor(db: Database.Database, account: string) {
    this.#db = db;
    this.#rows = new LibsqlRows(db, account);
    this.account = account;
  }

  sizeNow(): number {
    const row = this.#db
      .prepare('SELECT count(*) AS size, coalesce(max(seq) + 1, 0) AS next FROM entry WHERE account = ?')
      .get(this.account) as { size: number; next: number };
    if (row.size !== row.next) throw new IssuerRefusal('store_corrupt', 'entries are missing from the log');
    return row.size;
  }

  appendNow({ expectedSize, leaves, documents, writes, rows }: Append): 'appended' | 'moved' {
    return this.#attempt('moved', () => {
      if (this.#nextSeq() !== expectedSize || !this.#rows.write(rows)) return 'moved';
      const entry = this.#db.prepare('INSERT INTO entry VALUES (?, ?, ?)');
      for (const [index, leaf] of leaves.entries()) entry.run(this.account, expectedSize + index, leaf);
      const document = this.#db.prepare('INSERT OR IGNORE INTO document VALUES (?, ?, ?)');
      for (const [digest, body] of documents) document.run(this.account, digest, body);
      this.#writeState(writes);
      return 'appended';
    });
  }

  async size(): Promise<number> {
    return guarded(() => this.#nextSeq());
  }

  async entries(from: number, limit: number): Promise<readonly string[]> {
    return guarded(() => {
      const rows = this.#db
        .prepare('SELECT leaf FROM entry WHERE account = ? AND seq >= ? ORDER BY seq LIMIT ?')
        .all(this.account, from, limit) as { leaf: string }[];
      return rows.map((row) => row.leaf);
    });
  }

  async append(append: Append): Promise<'appended' | 'moved'> {
    return guarded(() => this.appendNow(append));
  }

  async writeRows(rows: readonly RowWrite[]): Promise<'written' | 'moved'> {
    return guarded(() => this.#attempt('moved', () => (this.#rows.write(rows) ? 'written' : 'moved')));
  }

  async find<Row>(table: Table<Row>, where: Where<Row>, order?: Order<Row>): Promise<readonly Row[]> {
    return guarded(() => this.#rows.find(table, where as Conditions, order) as Row[]);
  }

  async first<Row>(table: Table<Row>, where: Where<Row>): Promise<Row | undefined> {
    return (await this.find(table, where, { limit: 1 }))[0];
  }

  async count<Row>(table: Table<Row>, where: Where<Row>): Promise<number> {
    return guarded(() => this.#rows.count(table, where as Conditions));
  }

  async scrub(): Promise<void> {
    guarded(() => {
      const [row] = this.#db.pragma('wal_checkpoint(TRUNCATE)') as readonly { readonly busy: number }[];
      if (row?.busy !== 0)
        throw new IssuerRefusal('store_unavailable', 'another process is in the way of a scrub');
    });
  }

  async document(digest: string): Promise<string | undefined> {
    return guarded(() => {
      const row = this.#db
        .prepare('SELECT body FROM document WHERE account = ? AND digest = ?')
        .get(this.account, digest) as { body: string } | undefined;
      return row?.body;
    });
  }

  async state(): Promise<ReadonlyMap<string, string>> {
    return guarded(() => {
      const rows = this.#db.prepare('SELECT key, record FROM state WHERE account = ?').all(this.account);
      return new Map((rows as { key: string; record: string }[]).map((row) => [row.key, row.record]));
    });
  }

  async replaceState(state: ReadonlyMap<string, string>): Promise<void> {
    guarded(() =>
      this.#transaction(() => {
        this.#db.prepare('DELETE FROM state WHERE account = ?').run(this.account);
        this.#writeState(state);
      }),
    );
  }

  async checkpoint(): Promise<StoredCheckpoint | undefined> {
    return guarded(() => this.#checkpointNow());
  }

  async saveCheckpoint({ size, root, time, note }: StoredCheckpoint): Promise<boolean> {
    return guarded(() =>
      this.#transaction(() => {
        const stored = this.#checkpointNow();
        if (stored !== undefined) {
          if (size < stored.size || time < stored.time) return false;
          if (size === stored.size && root !== stored.root) return false;
        }
        this.#db
          .prepare('INSERT OR REPLACE INTO checkpoint VALUES (?, ?, ?, ?, ?)')
          .run(this.account, size, root, time, note);
        return true;
      }),
    );
  }

  async useOnce(keys: readonly string[], expiresAt: number, now: number): Promise<readonly string[]> {
    return guarded(() =>
      this.#transaction(() => {
        this.#sweep(now);
        const used = this.#db.prepare('SELECT expires FROM used WHERE account = ? AND key = ?');
        const spent = keys.filter((key, index) => {
          const row = used.get(this.account, key) as { expires: number } | undefined;
          return keys.indexOf(key) !== index || (row !== undefined && row.expires >= now);
        });
        if (spent.length > 0) return spent;
        const insert = this.#db.prepare('INSERT OR REPLACE INTO used VALUES (?, ?, ?)');
        for (const key of keys) insert.run(this.account, key, Math.ceil(expiresAt));
        return spent;
      }),
    );
  }

  async tie(name: string, holder: string, expiresAt: number, now: number): Promise<boolean> {
    return guarded(() =>
      this.#transaction(() => {
        this.#sweep(now);
        const row = this.#db
          .prepare('SELECT holder, expires FROM tied WHERE account = ? AND name = ?')
          .get(this.account, name) as { holder: string; expires: number } | undefined;
        if (row !== undefined && row.expires >= now) return row.holder === holder;
        this.#db
          .prepare('INSERT OR REPLACE INTO tied VALUES (?, ?, ?, ?)')
          .run(this.account, name, holder, Math.ceil(expiresAt));
        return true;
      }),
    );
  }

  #sweep(now: number): void {
    if (this.#uses++ % sweepEvery !== 0) return;
    for (const table of ['used', 'tied']) {
      this.#db
        .prepare(`DELETE FROM ${table} WHERE account = ? AND expires < ?`)
        .run(this.account, Math.floor(now));
    }
  }

  #nextSeq(): number {
    const row = this.#db
      .prepare('SELECT coalesce(max(seq) + 1, 0) AS next FROM entry WHERE account = ?')
      .get(this.account) as { next: number };
    return row.next;
  }

  #checkpointNow(): StoredCheckpoint | undefined {
    const row = this.#db
      .prepare('SELECT size, root, time, note FROM checkpoint WHERE account = ?')
      .get(this.account) as StoredCheckpoint | undefined;
    // Copied member by member: libsql adds `_metadata` to rows.
    return row && { size: row.size, root: row.root, time: row.time, note: row.note };
  }

  #writeState(writes: ReadonlyMap<string, string>): void {
    const statement = this.#db.prepare('INSERT OR REPLACE INTO state VALUES (?, ?, ?)');
    for (const [key, record] of writes) statement.run(this.account, key, record);
  }

  /** A transaction that is rolled back where it answers `refused`. */
  #attempt<T>(refused: T, run: () => T): T {
    const undo = Symbol('undo');
    try {
      return this.#transaction(() => {
        const result = run();
        if (result === refused) throw undo;
        return result;
      });
    } catch (error) {
      if (error === undo) return refused;
      throw error;
    }
  }

  /** IMMEDIATE takes the write lock before the first read: two writers cannot both see the old head (S2). */
  #transaction<T>(run: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const result = run();
      this.#db.exec('COMMIT');
      return result;
    } catch (error) {
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
  }
}
