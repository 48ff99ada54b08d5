import { Refusal } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import type { Signer } from '../keys.ts';
import { limits } from '../limits.ts';
import { type Field, hash, integer, malformed, shape, text } from './fields.ts';
import { accountId, readOperation, subjectKey } from './operation-formats.ts';
import type { Operation } from './operations.ts';
import {
  entryType,
  parseStatement,
  requestType,
  sha256,
  signStatement,
  type UnverifiedStatement,
} from './signed.ts';

/** What an entry says, before any signature is verified or any rule asked. */
export interface UnverifiedEntry {
  readonly leaf: string;
  /** {@link leafHash} of the leaf. */
  readonly hash: string;
  /** Absent in genesis alone. */
  readonly account: string | undefined;
  readonly seq: number;
  /** Hash of the leaf before. Absent in genesis alone. */
  readonly prev: string | undefined;
  /** Unix seconds. */
  readonly time: number;
  readonly statement: UnverifiedStatement;
  readonly content:
    | { readonly op: Operation; readonly request?: never }
    | { readonly request: UnverifiedRequest; readonly op?: never };
}

/** A request that was parsed; whether its signatures verify and its signer may ask is for `apply`. */
export interface UnverifiedRequest {
  readonly account: string;
  readonly op: Operation;
  /** `principal/<id>` or `agent/<id>`: whose record this is about. */
  readonly subject: string;
  readonly subjectVersion: number;
  /** Unix seconds: last entry time at which this may be applied. */
  readonly notAfter: number;
  readonly statement: UnverifiedStatement;
}

interface EntryPayload {
  readonly v: number;
  readonly seq: number;
  readonly time: number;
}

interface EntryOptions {
  readonly account: string;
  readonly prev: string;
  readonly op: Operation;
  readonly request: string;
}

const version = integer(1);
const requestText = text(/^[\x21-\x7e]+$/u);

const entryPayload: Field<EntryPayload & Partial<EntryOptions>> = shape<EntryPayload, EntryOptions>(
  { v: version, seq: integer(0), time: integer(0) },
  { account: accountId, prev: hash, op: readOperation, request: requestText },
);

const requestPayload: Field<Omit<UnverifiedRequest, 'statement'> & { readonly v: number }> = shape({
  v: version,
  account: accountId,
  op: readOperation,
  subject: subjectKey,
  subjectVersion: integer(0),
  notAfter: integer(0),
});

/**
 * Parses a leaf of the trust log strictly. Does NOT verify signatures, position or rules.
 *
 * @throws {Refusal} `entry_too_large`, `entry_malformed`, a code of strict JWS and JSON parsing, or `entry_unknown` for an
 * entry version or operation type without rules in this version: a follower halts on that one.
 */
export function parseEntry(leaf: string): UnverifiedEntry {
  if (leaf.length > limits.maxLeafBytes) throw new Refusal('entry_too_large', 'leaf is too large');
  const statement = parseStatement(leaf, entryType);
  requireVersion(statement.payload);
  const { account, prev, op, request, seq, time } = entryPayload(statement.payload);
  const genesis = op?.type === 'account.create';
  if (genesis !== (seq === 0) || genesis !== (account === undefined) || genesis !== (prev === undefined)) {
    throw malformed('`seq`, `account` and `prev` do not fit together');
  }
  if ((op === undefined) === (request === undefined))
    throw malformed('neither one operation nor one request');
  return {
    leaf,
    hash: leafHash(leaf),
    account,
    seq,
    prev,
    time,
    statement,
    content: op === undefined ? { request: parseRequest(request ?? '') } : { op },
  };
}

/**
 * Parses a request of a person or agent strictly. Does NOT verify signatures or rules.
 *
 * @throws {Refusal} as {@link parseEntry}.
 */
export function parseRequest(request: string): UnverifiedRequest {
  if (request.length > limits.maxLeafBytes) throw new Refusal('entry_too_large', 'request is too large');
  const statement = parseStatement(request, requestType);
  requireVersion(statement.payload);
  const { account, op, subject, subjectVersion, notAfter } = requestPayload(statement.payload);
  return { account, op, subject, subjectVersion, notAfter, statement };
}

/** Before the members are looked at: another version may have others. */
function requireVersion(payload: JsonObject): void {
  if (version(payload['v'] ?? null) !== 1) throw new Refusal('entry_unknown', 'unknown entry version');
}

/** base64url SHA-256 of the leaf as stored: the `prev` of the next entry. */
export function leafHash(leaf: string): string {
  return sha256(leaf).toString('base64url');
}

/** Id of the account that this leaf is the genesis of. Does NOT check that it is one. */
export function accountIdOf(genesisLeaf: string): string {
  return `acct_${leafHash(genesisLeaf)}`;
}

/** Id of the person that this leaf provisions. */
export function principalIdOf(leaf: string): string {
  return `prn_${sha256(leaf).toString('hex').slice(0, 32)}`;
}

/** Id of the agent that this leaf registers. */
export function agentIdOf(leaf: string): string {
  return `agt_${sha256(leaf).toString('hex').slice(0, 32)}`;
}

/** What goes into an entry. Genesis (`seq` 0) has neither `account` nor `prev`. */
export interface EntryDraft {
  readonly account?: string;
  readonly seq: number;
  readonly prev?: string;
  /** Unix seconds. */
  readonly time: number;
  /** An operation, or a request text to wrap. */
  readonly op?: Operation;
  readonly request?: string;
}

/**
 * Signs an entry: the signer's is the primary signature, the cosigners' (further admins, the new key itself) follow.
 *
 * @throws {Refusal} as {@link parseEntry}: what could not be read is not signed.
 */
export function signEntry(draft: EntryDraft, signer: Signer, cosigners: readonly Signer[] = []): string {
  const leaf = signStatement(entryType, payloadOf(draft), signer, cosigners);
  parseEntry(leaf);
  return leaf;
}

/** What goes into a request. */
export type RequestDraft = Omit<UnverifiedRequest, 'statement'>;

/**
 * Signs a request for a delegate or an admin to wrap; cosigners: the new key itself.
 *
 * @throws {Refusal} as {@link parseEntry}.
 */
export function signRequest(draft: RequestDraft, signer: Signer, cosigners: readonly Signer[] = []): string {
  const request = signStatement(requestType, payloadOf(draft), signer, cosigners);
  parseRequest(request);
  return request;
}

/** Absent members stay absent: the canonical form leaves out what is undefined. */
function payloadOf(draft: object): JsonObject {
  return { v: 1, ...draft };
}
