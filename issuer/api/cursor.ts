import { hash } from 'node:crypto';
import { decodeBase64url, encodeBase64url } from '@bulla/verifier/envelope';
import { IssuerRefusal } from '../errors.ts';

/**
 * Where the next page of a list begins. It is bound to the account, the client and the query by a digest, so that a page
 * never goes on in another list; it carries no authority: whatever it says, the caller's scopes decide what is shown.
 */
export interface CursorScope {
  readonly account: string;
  readonly client: string;
  readonly operation: string;
  /** The query but for `cursor` and `limit`. */
  readonly query: Readonly<Record<string, unknown>>;
}

/** `position`: letters, digits and hyphens that the list understands. */
export function writeCursor(scope: CursorScope, position: string): string {
  return encodeBase64url(Buffer.from(`${digest(scope)}.${position}`));
}

/** @throws {IssuerRefusal} `cursor_invalid`: malformed, or of another account, client or query. */
export function readCursor(scope: CursorScope, cursor: string): string {
  let text = '';
  try {
    text = decodeBase64url(cursor).toString('latin1');
  } catch {
    // Falls through: one answer for all that is wrong with a cursor.
  }
  const [bound, position = ''] = text.split('.', 2);
  if (bound !== digest(scope) || !/^[0-9a-z-]{1,64}$/u.test(position)) {
    throw new IssuerRefusal('cursor_invalid', 'cursor is not one of this list: begin again without it');
  }
  return position;
}

function digest({ account, client, operation, query }: CursorScope): string {
  const { cursor: _cursor, limit: _limit, ...rest } = query;
  const members = Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1));
  return hash('sha256', JSON.stringify([account, client, operation, members]), 'base64url').slice(0, 22);
}
