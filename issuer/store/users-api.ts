import { defineTable, type Table } from './table.ts';

/** An access token of the Users API. The token itself is nowhere. */
export interface ApiTokenRow {
  /** base64url SHA-256 of the token's text. */
  readonly sha256: string;
  /** `id` of the client in the configuration. */
  readonly client: string;
  /** Separated by single spaces. */
  readonly scopes: string;
  /** Unix seconds; from then on it is void. */
  readonly notAfter: number;
}

export const apiTokens: Table<ApiTokenRow> = defineTable<ApiTokenRow>(
  'api_token',
  { sha256: 'text', client: 'text', scopes: 'text', notAfter: 'integer' },
  { key: ['sha256'], indexes: [['notAfter']] },
);

/** A change that was made under an idempotency key: written with the entry, so that it is made once whatever dies. */
export interface ApiCallRow {
  readonly client: string;
  /** base64url SHA-256 of the `Idempotency-Key`. */
  readonly key: string;
  /** Digest of method, path and query. */
  readonly request: string;
  /** The answer, as JSON: ids only. */
  readonly body: string;
  /** Unix seconds until when the key is remembered. */
  readonly notAfter: number;
}

export const apiCalls: Table<ApiCallRow> = defineTable<ApiCallRow>(
  'api_call',
  { client: 'text', key: 'text', request: 'text', body: 'text', notAfter: 'integer' },
  { key: ['client', 'key'], indexes: [['notAfter']] },
);

/** One call of a known client. Names nobody: ids only. */
export interface ApiAuditRow {
  /** Sorts by time. */
  readonly id: string;
  /** RFC 3339, UTC. */
  readonly time: string;
  readonly client: string;
  readonly operation: string;
  /** `principal/<id>`, `agent/<id>` or `key/<thumbprint>`. */
  readonly target: string | null;
  readonly dryRun: number;
  readonly status: number;
  readonly code: string | null;
  /** Seq of the entry that came of it. */
  readonly entry: number | null;
}

export const apiAudit: Table<ApiAuditRow> = defineTable<ApiAuditRow>(
  'api_audit',
  {
    id: 'text',
    time: 'text',
    client: 'text',
    operation: 'text',
    target: 'text?',
    dryRun: 'integer',
    status: 'integer',
    code: 'text?',
    entry: 'integer?',
  },
  { key: ['id'] },
);
