import { z } from 'zod';
import type { Account } from '../account.ts';
import { addRow, type RowWrite, removeRows } from '../store/table.ts';
import { type ApiAuditRow, apiAudit, apiCalls, apiTokens } from '../store/users-api.ts';
import { readCursor, writeCursor } from './cursor.ts';
import { type Endpoint, readEndpoint } from './endpoint.ts';
import { auditShape, noPath, pageQuery, pageShape } from './shapes.ts';

const listQuery = z.strictObject({
  ...pageQuery,
  client: z.string().max(64).optional().describe('Calls of this client only.'),
  target: z
    .string()
    .max(64)
    .optional()
    .describe('Calls about this `principal/<id>`, `agent/<id>` or `key/<thumbprint>`.'),
});

/** Who called what. */
export const auditEndpoints: readonly Endpoint[] = [
  readEndpoint(
    {
      operationId: 'listAudit',
      path: '/audit',
      scope: 'audit:read',
      summary: 'List the calls of all clients of this account, newest first.',
      pathSchema: noPath,
      querySchema: listQuery,
      answer: pageShape(auditShape),
    },
    null,
    async ({ account, caller, query }) => {
      const scope = {
        account: account.log.account,
        client: caller.client.id,
        operation: 'listAudit',
        query,
      };
      const { cursor, limit, client, target } = query;
      const found = await account.store.find(
        apiAudit,
        {
          ...(cursor !== undefined && { id: { below: readCursor(scope, cursor) } }),
          ...(client !== undefined && { client }),
          ...(target !== undefined && { target }),
        },
        { by: ['id'], descending: true, limit: limit + 1 },
      );
      const rows = found.slice(0, limit);
      const last = found.length > limit ? rows.at(-1) : undefined;
      return {
        items: rows.map((row) => ({ ...row, dryRun: row.dryRun === 1 })),
        next: last === undefined ? null : writeCursor(scope, last.id),
      };
    },
  ),
];

/** What is remembered of a call, but for when. */
export type CallFacts = Omit<ApiAuditRow, 'id' | 'time' | 'dryRun'> & { readonly dryRun: boolean };

const secondsPerDay = 86_400;
/** What has ended is swept once in so many calls. */
const sweepEvery = 128;

/**
 * The rows that remember one call; now and then, also those that forget what is too old. Their order is that of the clock,
 * and within a millisecond that of the calls.
 */
export class AuditTrail {
  readonly #account: Pick<Account, 'ports'>;
  readonly #days: number;
  #calls = 0;

  constructor(account: Pick<Account, 'ports'>, days: number) {
    this.#account = account;
    this.#days = days;
  }

  rows(facts: CallFacts): RowWrite[] {
    const now = this.#account.ports.now();
    const count = this.#calls++;
    const { dryRun, ...rest } = facts;
    const row = {
      ...rest,
      id: `${stamp(now)}-${String(count % 1_000_000).padStart(6, '0')}-${this.#random()}`,
      time: new Date(now * 1000).toISOString(),
      dryRun: dryRun ? 1 : 0,
    };
    return [addRow(apiAudit, row), ...(count % sweepEvery === 0 ? this.#sweep(now) : [])];
  }

  #sweep(now: number): RowWrite[] {
    const ended = { notAfter: { below: Math.floor(now) } };
    return [
      removeRows(apiTokens, ended),
      removeRows(apiCalls, ended),
      removeRows(apiAudit, { id: { below: stamp(now - this.#days * secondsPerDay) } }),
    ];
  }

  /** Two processes may count alike. */
  #random(): string {
    return Buffer.from(this.#account.ports.randomBytes(4)).toString('hex');
  }
}

/** Milliseconds, of one length until the year 2286. */
function stamp(seconds: number): string {
  return String(Math.max(0, Math.floor(seconds * 1000))).padStart(13, '0');
}
