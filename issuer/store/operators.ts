import { defineTable, type Table } from './table.ts';

/** A log-in of an operator that is still good. */
export interface OperatorSessionRow {
  /** base64url SHA-256 of the session's token; the token itself is nowhere. */
  readonly sha256: string;
  /** `sub` at the IdP: asked again of the configuration on each use. */
  readonly subject: string;
  /** Unix seconds; from then on it is void. */
  readonly expires: number;
}

export const operatorSessions: Table<OperatorSessionRow> = defineTable<OperatorSessionRow>(
  'operator_session',
  { sha256: 'text', subject: 'text', expires: 'integer' },
  { key: ['sha256'], indexes: [['expires']] },
);
