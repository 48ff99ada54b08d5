import { IssuerRefusal } from '../errors.ts';
import { bearerOf } from '../http/read-token.ts';
import type { IssuerPorts } from '../ports.ts';
import { secretHash } from '../secrets.ts';
import { type ScimTokenRow, scimTokens } from '../store/directory.ts';
import type { AccountStore } from '../store/store.ts';
import { addRow, changeRows, expectRows, removeRows } from '../store/table.ts';

/** What a connection's bearer token may do. */
export const scimScopes = [
  'users:read',
  'users:write',
  'groups:read',
  'groups:write',
  'agents:read',
  'agents:write',
] as const;
export type ScimScope = (typeof scimScopes)[number];

/** A token as everybody but its holder may see it. */
export interface ScimToken {
  readonly id: string;
  readonly connection: string;
  readonly scopes: readonly ScimScope[];
  /** Unix seconds; from then on it is void. */
  readonly notAfter: number;
  readonly created: number;
  /** To the minute; null: never. */
  readonly lastUsed: number | null;
}

const secondsPerUse = 60;

/**
 * Makes a token for a connection. Two may live at once: rotation is a new one, then the end of the old. Does NOT check that the
 * connection is configured.
 *
 * @returns the token, which is shown this once and is stored as a hash, and how it is listed.
 */
export async function issueScimToken(
  store: AccountStore,
  given: {
    readonly connection: string;
    readonly scopes: readonly ScimScope[];
    readonly notAfter: number;
  },
  ports: Pick<IssuerPorts, 'now' | 'randomBytes'>,
): Promise<{ readonly token: string; readonly listed: ScimToken }> {
  const random = (size: number): Buffer => Buffer.from(ports.randomBytes(size));
  const token = `bulla_scim_${random(32).toString('base64url')}`;
  const row: ScimTokenRow = {
    id: `sct_${random(8).toString('hex')}`,
    connection: given.connection,
    sha256: secretHash(token),
    scopes: given.scopes.join(' '),
    notAfter: Math.floor(given.notAfter),
    created: Math.floor(ports.now()),
    lastUsed: null,
  };
  await store.writeRows([addRow(scimTokens, row)]);
  return { token, listed: listedOf(row) };
}

/**
 * Whose token this is. Looked up by its hash, so that timing says nothing about the tokens there are.
 *
 * @param authorization value of the header field.
 * @param now Unix seconds.
 * @throws {IssuerRefusal} `scim_token_wrong`: missing, unknown, revoked or expired, without saying which.
 */
export async function checkScimToken(
  store: AccountStore,
  authorization: string | undefined,
  now: number,
): Promise<ScimToken> {
  const token = bearerOf(authorization);
  const row = token === undefined ? undefined : await store.first(scimTokens, { sha256: secretHash(token) });
  if (row === undefined || now >= row.notAfter) {
    throw new IssuerRefusal('scim_token_wrong', 'token of a connection is missing, unknown or expired');
  }
  if (now >= (row.lastUsed ?? 0) + secondsPerUse) {
    const lastUsed = Math.floor(now / secondsPerUse) * secondsPerUse;
    await store.writeRows([changeRows(scimTokens, { id: row.id }, { lastUsed })]);
  }
  return listedOf(row);
}

/** Tokens of one connection, or of all, oldest first; expired ones too. */
export async function listScimTokens(
  store: AccountStore,
  connection?: string,
): Promise<readonly ScimToken[]> {
  const where = connection === undefined ? {} : { connection };
  return (await store.find(scimTokens, where, { by: ['created'] })).map(listedOf);
}

/** Ends a token at once, for every request that comes later. @throws {IssuerRefusal} `scim_token_unknown`. */
export async function revokeScimToken(store: AccountStore, id: string): Promise<void> {
  const outcome = await store.writeRows([expectRows(scimTokens, { id }), removeRows(scimTokens, { id })]);
  if (outcome === 'moved') throw new IssuerRefusal('scim_token_unknown', 'no such token');
}

function listedOf({ id, connection, scopes, notAfter, created, lastUsed }: ScimTokenRow): ScimToken {
  const known = scimScopes.filter((scope) => scopes.split(' ').includes(scope));
  return { id, connection, scopes: known, notAfter, created, lastUsed };
}
