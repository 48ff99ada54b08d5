import { timingSafeEqual } from 'node:crypto';
import { keyIsLive, type Read } from '@bulla/verifier/log';
import type { AccountConfig } from '../config.ts';
import { IssuerRefusal } from '../errors.ts';
import { secretHash } from '../secrets.ts';
import { type ReaderRow, readers } from '../store/invitations.ts';
import type { Rows } from '../store/table.ts';

const bearer = /^Bearer +([A-Za-z0-9\-._~+/]+=*)$/iu;

/** The token of `Authorization: Bearer <token>`; undefined where there is none. */
export function bearerOf(authorization: string | undefined): string | undefined {
  return bearer.exec(authorization ?? '')?.[1];
}

/**
 * Whether a token is one of those whose base64url SHA-256 is known. Every hash is compared, each in constant time, so that
 * the answer's timing says nothing about them.
 */
export function isKnownToken(known: readonly { readonly sha256: string }[], token: string): boolean {
  const given = Buffer.from(secretHash(token));
  return known.filter(({ sha256 }) => timingSafeEqual(Buffer.from(sha256), given)).length > 0;
}

/**
 * Lets a reader pass.
 *
 * @returns whether they may still read: a personal token goes with a key of its person, and is void while that is not in force.
 * @throws {IssuerRefusal} `read_token_wrong`.
 */
export type RequireReader = (authorization: string | undefined) => Promise<() => boolean>;

/** Checks read tokens against the configured hashes, and against those that people got when they confirmed themselves. */
export function createReaderCheck(
  tokens: AccountConfig['readTokens'],
  read: Read,
  rows: Rows,
): RequireReader {
  return async (authorization) => {
    const token = bearerOf(authorization);
    if (token !== undefined && isKnownToken(tokens, token)) return () => true;
    const row = await findReader(rows, token);
    const mayRead = (): boolean => isInForce(read, row);
    if (!mayRead()) throw new IssuerRefusal('read_token_wrong', 'read token is missing or unknown');
    return mayRead;
  };
}

/** The active person whose personal read token this is; undefined for any other token. */
export async function personOfToken(
  rows: Rows,
  read: Read,
  authorization: string | undefined,
): Promise<string | undefined> {
  const row = await findReader(rows, bearerOf(authorization));
  return isInForce(read, row) ? row?.principal : undefined;
}

async function findReader(rows: Rows, token: string | undefined): Promise<ReaderRow | undefined> {
  return token === undefined ? undefined : rows.first(readers, { sha256: secretHash(token) });
}

function isInForce(read: Read, row: ReaderRow | undefined): boolean {
  return row !== undefined && keyIsLive(read, row.key);
}
