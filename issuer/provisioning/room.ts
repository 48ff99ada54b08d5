import { IssuerRefusal } from '../errors.ts';
import type { Rows, Table, Where } from '../store/table.ts';

/** Groups, or agents and proposals, of one connection: they need no entry, so no lease caps them. */
const maxRows = 20_000;

/** Lets a connection have one row more. @throws {IssuerRefusal} `directory_full`. */
export async function requireRoom<Row>(rows: Rows, table: Table<Row>, where: Where<Row>): Promise<void> {
  if ((await rows.count(table, where)) < maxRows) return;
  throw new IssuerRefusal('directory_full', `connection has ${maxRows} resources of this kind already`);
}
