import type Database from 'libsql';
import { IssuerRefusal } from '../errors.ts';
import type { AnyOrder, AnyTable, Between, Cell, Cells, Conditions, RowWrite } from './table.ts';

/** Creates what is not there yet. */
export function createTables(db: Database.Database, tables: readonly AnyTable[]): void {
  for (const { name, columns, key, unique, indexes } of tables) {
    const lines = Object.entries(columns).map(([column, kind]) => {
      const type = kind.startsWith('text') ? 'TEXT' : 'INTEGER';
      return `${column} ${type}${kind.endsWith('?') ? '' : ' NOT NULL'}`;
    });
    db.exec(
      `CREATE TABLE IF NOT EXISTS ${name} (account TEXT NOT NULL, ${lines.join(', ')}, PRIMARY KEY (${['account', ...key].join(', ')})) STRICT, WITHOUT ROWID`,
    );
    const index = (kind: string, list: readonly string[]): string =>
      `CREATE ${kind} IF NOT EXISTS ${[name, ...list].join('_')} ON ${name} (${['account', ...list].join(', ')})`;
    for (const list of unique) db.exec(index('UNIQUE INDEX', list));
    for (const list of indexes) db.exec(index('INDEX', list));
  }
}

const conflicts: ReadonlySet<unknown> = new Set(['SQLITE_CONSTRAINT_UNIQUE', 'SQLITE_CONSTRAINT_PRIMARYKEY']);

/** Directory rows of one account in a libsql database; synchronous, to be called inside the store's transactions. */
export class LibsqlRows {
  readonly #db: Database.Database;
  readonly #account: string;
  /** By SQL text, of which there are only as many as callers' shapes. */
  readonly #statements = new Map<string, Database.Statement>();

  constructor(db: Database.Database, account: string) {
    this.#db = db;
    this.#account = account;
  }

  find(table: AnyTable, where: Conditions, order: AnyOrder = {}): unknown[] {
    const { sql, values } = this.#where(table, where);
    const columns = Object.keys(table.columns);
    const direction = order.descending === true ? ' DESC' : '';
    const by = [...(order.by ?? []), ...table.key].map((column) => known(table, column) + direction);
    const page =
      order.limit === undefined && order.offset === undefined
        ? ''
        : ` LIMIT ${whole(order.limit ?? -1)} OFFSET ${whole(order.offset ?? 0)}`;
    const text = `SELECT ${columns.join(', ')} FROM ${table.name} ${sql} ORDER BY ${by.join(', ')}${page}`;
    const rows = this.#prepare(text).all(...values) as Record<string, unknown>[];
    // Copied member by member: libsql adds `_metadata` to rows.
    return rows.map((row) => Object.fromEntries(columns.map((column) => [column, row[column] ?? null])));
  }

  count(table: AnyTable, where: Conditions): number {
    const { sql, values } = this.#where(table, where);
    const row = this.#prepare(`SELECT count(*) AS n FROM ${table.name} ${sql}`).get(...values) as {
      n: number;
    };
    return row.n;
  }

  /** @returns false where an expectation is not met: the caller rolls back. */
  write(writes: readonly RowWrite[]): boolean {
    return writes.every((each) => this.#writeOne(each));
  }

  #writeOne(write: RowWrite): boolean {
    const { table } = write;
    switch (write.kind) {
      case 'add':
      case 'put':
        this.#insert(table, write.row, write.kind === 'put');
        return true;
      case 'change': {
        const columns = Object.keys(write.change).map((column) => known(table, column));
        const { sql, values } = this.#where(table, write.where);
        const set = columns.map((column) => `${column} = ?`).join(', ');
        // SQLite numbers `?` from left to right: the account, which must not be first where it may be null, is not in SET.
        this.#run(`UPDATE ${table.name} SET ${set} ${sql}`, [
          ...columns.map((column) => write.change[column] ?? null),
          ...values,
        ]);
        return true;
      }
      case 'remove': {
        const { sql, values } = this.#where(table, write.where);
        this.#run(`DELETE FROM ${table.name} ${sql}`, values);
        return true;
      }
      default:
        return this.count(table, write.where) === write.count;
    }
  }

  #insert(table: AnyTable, row: Cells, replace: boolean): void {
    const columns = Object.keys(table.columns);
    const marks = columns.map(() => '?').join(', ');
    // Not INSERT OR REPLACE: that would remove whatever other row has the same unique value.
    const rest = columns.filter((column) => !table.key.includes(column));
    const set = rest.map((column) => `${column} = excluded.${column}`).join(', ');
    const conflict = replace
      ? ` ON CONFLICT (${['account', ...table.key].join(', ')}) DO ${set === '' ? 'NOTHING' : `UPDATE SET ${set}`}`
      : '';
    this.#run(`INSERT INTO ${table.name} (account, ${columns.join(', ')}) VALUES (?, ${marks})${conflict}`, [
      this.#account,
      ...columns.map((column) => row[column] ?? null),
    ]);
  }

  #where(table: AnyTable, where: Conditions): { sql: string; values: Cell[] } {
    const parts = ['account = ?'];
    const values: Cell[] = [this.#account];
    for (const [column, condition] of Object.entries(where)) {
      known(table, column);
      if (condition === null) parts.push(`${column} IS NULL`);
      else if (typeof condition === 'object') bound(column, condition, parts, values);
      else if (condition !== undefined) {
        parts.push(`${column} = ?`);
        values.push(condition);
      }
    }
    return { sql: `WHERE ${parts.join(' AND ')}`, values };
  }

  #run(sql: string, values: readonly Cell[]): void {
    try {
      // As one array: libsql takes a lone leading null for named parameters.
      this.#prepare(sql).run([...values]);
    } catch (cause) {
      const { code } = cause as { readonly code?: unknown };
      if (conflicts.has(code)) throw new IssuerRefusal('row_taken', 'name or id is taken', { cause });
      throw cause;
    }
  }

  #prepare(sql: string): Database.Statement {
    const statement = this.#statements.get(sql) ?? this.#db.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}

function bound(column: string, { above, below }: Between, parts: string[], values: Cell[]): void {
  if (above !== undefined) {
    parts.push(`${column} > ?`);
    values.push(above);
  }
  if (below !== undefined) {
    parts.push(`${column} < ?`);
    values.push(below);
  }
  if (above === undefined && below === undefined) parts.push(`${column} IS NOT NULL`);
}

/** Column names reach SQL as text: only declared ones. */
function known(table: AnyTable, column: string): string {
  if (!Object.hasOwn(table.columns, column)) throw new Error(`table ${table.name} has no such column`);
  return column;
}

function whole(value: number): number {
  if (!Number.isSafeInteger(value)) throw new Error('page bounds are whole numbers');
  return value;
}
