/** What a column holds. Whole numbers above 2^53 are altered by libsql: larger ones are text. */
export type Cell = string | number | null;
type Column = 'text' | 'integer' | 'text?' | 'integer?';
export type Cells = Readonly<Record<string, Cell>>;

/**
 * A table of the directory: rows that belong to one account (law S6; the account is no column of the row). Names are
 * fixed in code and never come from a request; values are always bound.
 */
export interface AnyTable {
  readonly name: string;
  /** `?`: may be null. */
  readonly columns: Readonly<Record<string, Column>>;
  /** Columns that name a row. */
  readonly key: readonly string[];
  /** Further sets of columns that no two rows share; rows with a null in one are not compared. */
  readonly unique: readonly (readonly string[])[];
  readonly indexes: readonly (readonly string[])[];
  /** Column with the id of the person whom a row is about: erasing the person removes the row. */
  readonly person?: string;
}

/** A table whose rows are of type `Row`. */
export interface Table<Row> extends AnyTable {
  /** Carries the type; never there. */
  readonly row?: Row;
}

type ColumnsOf<Row> = readonly (keyof Row & string)[];

/** Declares a table. It is created where the store is opened when `storedTables` lists it. */
export function defineTable<Row extends { readonly [K in keyof Row]: Cell }>(
  name: string,
  columns: { readonly [K in keyof Row]-?: Column },
  keys: {
    readonly key: ColumnsOf<Row>;
    readonly unique?: readonly ColumnsOf<Row>[];
    readonly indexes?: readonly ColumnsOf<Row>[];
    readonly person?: keyof Row & string;
  },
): Table<Row> {
  return { name, columns, unique: [], indexes: [], ...keys };
}

/** Bounds, both exclusive. Null is within none. */
export interface Between {
  readonly above?: string | number;
  readonly below?: string | number;
}

/** Rows whose columns all equal (or lie between) what is given; none given: all rows of the account. */
export type Where<Row> = { readonly [K in keyof Row]?: Row[K] | Between };
export type Conditions = Readonly<Record<string, Cell | Between>>;

/** Which page of what fits, in which order. */
export interface AnyOrder {
  /** Columns to sort by, first one first; ties and no order at all: by key. Text compares by code point. */
  readonly by?: readonly string[];
  readonly descending?: boolean;
  readonly limit?: number;
  readonly offset?: number;
}

/** {@link AnyOrder} over the columns of `Row`. */
export interface Order<Row> extends AnyOrder {
  readonly by?: ColumnsOf<Row>;
}

/** One change of directory rows. Made by the functions below, written by `AccountStore.append` or `writeRows`. */
export type RowWrite =
  | { readonly kind: 'add' | 'put'; readonly table: AnyTable; readonly row: Cells }
  | {
      readonly kind: 'change';
      readonly table: AnyTable;
      readonly where: Conditions;
      readonly change: Cells;
    }
  | { readonly kind: 'remove'; readonly table: AnyTable; readonly where: Conditions }
  | {
      readonly kind: 'expect';
      readonly table: AnyTable;
      readonly where: Conditions;
      readonly count: number;
    };

/** A new row. The whole write is refused (`row_taken`) where its key or a unique set is taken. */
export function addRow<Row>(table: Table<Row>, row: Row): RowWrite {
  return { kind: 'add', table, row: row as Cells };
}

/** A new row, or the replacement of the one with this key. `row_taken` where another row has a unique set of it. */
export function putRow<Row>(table: Table<Row>, row: Row): RowWrite {
  return { kind: 'put', table, row: row as Cells };
}

/** Sets the given columns of every row that fits; none need fit. */
export function changeRows<Row>(table: Table<Row>, where: Where<Row>, change: Partial<Row>): RowWrite {
  return { kind: 'change', table, where: where as Conditions, change: change as Cells };
}

/** Removes every row that fits; none need fit. What was in them is overwritten on disk. */
export function removeRows<Row>(table: Table<Row>, where: Where<Row>): RowWrite {
  return { kind: 'remove', table, where: where as Conditions };
}

/**
 * Lets the whole write through only if exactly `count` rows fit at that moment; else it answers `moved` and nothing is
 * written. What was read before the write is made safe with it: another process may have changed it since.
 */
export function expectRows<Row>(table: Table<Row>, where: Where<Row>, count = 1): RowWrite {
  return { kind: 'expect', table, where: where as Conditions, count };
}

/** Reading the directory rows of one account. */
export interface Rows {
  find<Row>(table: Table<Row>, where: Where<Row>, order?: Order<Row>): Promise<readonly Row[]>;
  /** The first row that fits. */
  first<Row>(table: Table<Row>, where: Where<Row>): Promise<Row | undefined>;
  count<Row>(table: Table<Row>, where: Where<Row>): Promise<number>;
}
