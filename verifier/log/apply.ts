import { verifyJws } from '../envelope/jws.ts';
import { Refusal } from '../errors.ts';
import type { Json } from '../json.ts';
import { parsePublicJwk } from '../keys.ts';
import { limits } from '../limits.ts';
import { accountIdOf, parseEntry, type UnverifiedEntry, type UnverifiedRequest } from './entry.ts';
import type { Operation } from './operations.ts';
import { type Actor, Proposal } from './proposal.ts';
import type { Rank, Read, Records } from './records.ts';
import { recoveryStands } from './recovery.ts';
import { runRule } from './rules/index.ts';
import { spendCaps, spendLease } from './rules/lease.ts';
import { permitted } from './rules/permitted.ts';
import type { UnverifiedSignature } from './signed.ts';
import { adminIsLive, liveKey } from './standing.ts';
import { storedKey } from './stored-keys.ts';

/** Where in the log the leaf stands. */
export interface Position {
  readonly account: string;
  /** Index of the leaf in the tree: leaves that broke a rule count. */
  readonly seq: number;
  /** Hash of the leaf before, whether it was applied or not; null before genesis. */
  readonly prevHash: string | null;
  /** Time of the last applied entry, Unix seconds; 0 before genesis. */
  readonly lastTime: number;
}

/** What an accepted leaf does to the world state, and what to tell an auditor about it. */
export interface Change {
  readonly account: string;
  readonly seq: number;
  readonly hash: string;
  readonly time: number;
  readonly op: Operation;
  /** Who asked, and by which key; `relay`: the key that wrapped the request. */
  readonly by: { readonly rank: Rank; readonly key: string; readonly relay: string | null };
  readonly writes: ReadonlyMap<string, Json>;
}

/**
 * Whether a delegate put this entry's time on it, by signing it or by wrapping the request in it. `read`: the state right
 * before or after the entry.
 */
export function isTimedByDelegate(read: Read, { by }: Pick<Change, 'by'>): boolean {
  return by.rank === 'delegate' || (by.relay !== null && !adminIsLive(read, by.relay));
}

/** The position of the very first leaf. */
export function genesisPosition(account: string): Position {
  return { account, seq: 0, prevHash: null, lastTime: 0 };
}

/** The position after a leaf: `change` where it was applied, undefined where it was refused and skipped. */
export function nextPosition(at: Position, hash: string, change: Change | undefined): Position {
  return { account: at.account, seq: at.seq + 1, prevHash: hash, lastTime: change?.time ?? at.lastTime };
}

/**
 * Whether this leaf is acceptable here, and what it changes. Pure: the same leaf, state and position give the same
 * answer in the issuer, in every follower and in an auditor's hands. Touches no state; the caller applies `writes`.
 * Does NOT compare the entry's time with a clock: whoever reads live does.
 *
 * A refusal leaves the leaf in the tree without effect, except `entry_unknown`, on which a follower must halt.
 *
 * @throws {Refusal} a code of {@link parseEntry}, `jws_signature_invalid`, `jws_algorithm_wrong`, `key_invalid`,
 * `rule_…`, `entry_unknown`.
 */
export function apply(read: Read, position: Position, leaf: string): Change {
  const entry = parseEntry(leaf);
  requirePosition(entry, position);
  const { proposal, op, by } =
    entry.content.op === undefined
      ? relayed(read, position, entry, entry.content.request)
      : direct(read, position, entry, entry.content.op);
  runRule(proposal, op);
  proposal.requireAllClaimed();
  const { account, seq } = position;
  // The records are plain JSON by construction.
  const writes = proposal.writes as ReadonlyMap<string, Records[keyof Records] & Json>;
  return { account, seq, hash: entry.hash, time: entry.time, op, by, writes };
}

function requirePosition(entry: UnverifiedEntry, position: Position): void {
  if (entry.seq !== position.seq)
    throw new Refusal('rule_seq_mismatch', 'entry was signed for another place');
  if ((entry.account ?? accountIdOf(entry.leaf)) !== position.account) {
    throw new Refusal('rule_account_mismatch', 'entry belongs to another account');
  }
  if ((entry.prev ?? null) !== position.prevHash) {
    throw new Refusal('rule_prev_mismatch', 'entry does not follow the leaf before');
  }
  if (entry.time < position.lastTime)
    throw new Refusal('rule_time_backwards', 'entry is older than the last');
}

interface Resolved {
  readonly proposal: Proposal;
  readonly op: Operation;
  readonly by: Change['by'];
}

/** An entry that carries its operation: genesis, admins or a delegate. */
function direct(read: Read, position: Position, entry: UnverifiedEntry, op: Operation): Resolved {
  const at = { account: position.account, seq: position.seq, time: entry.time, leaf: entry.leaf };
  const { primary, further } = entry.statement;
  const key = primary.thumbprint;
  if (op.type === 'account.create') {
    const proposal = new Proposal(at, read, entry.statement, { rank: 'admin' });
    return { proposal, op, by: { rank: 'admin', key, relay: null } };
  }
  if (!adminIsLive(read, key)) {
    requirePermitted(op, 'delegate', key, read);
    const record = spendCaps(spendLease(read, key, op.type, entry.time), op.type, entry.time);
    const proposal = new Proposal(at, read, entry.statement, { rank: 'delegate', key, lease: record.lease });
    claim(proposal, read, primary);
    proposal.put(`delegate/${key}`, record);
    return { proposal, op, by: { rank: 'delegate', key, relay: null } };
  }
  requirePermitted(op, 'admin', key, read);
  const proposal = new Proposal(at, read, entry.statement, { rank: 'admin' });
  const admins = [primary, ...further].filter(({ thumbprint }) => adminIsLive(read, thumbprint));
  if (admins.length < (read('account')?.threshold ?? Number.POSITIVE_INFINITY)) {
    throw new Refusal('rule_threshold_unmet', 'too few admins have signed');
  }
  for (const signature of admins) claim(proposal, read, signature);
  return { proposal, op, by: { rank: 'admin', key, relay: null } };
}

/** An entry that wraps a request: whoever wraps it adds nothing to what the requester may do. */
function relayed(
  read: Read,
  position: Position,
  entry: UnverifiedEntry,
  request: UnverifiedRequest,
): Resolved {
  const relay = entry.statement.primary;
  const byAdmin = adminIsLive(read, relay.thumbprint);
  const record = byAdmin ? undefined : spendLease(read, relay.thumbprint, 'request.relay', entry.time);
  if (entry.statement.further.length > 0) {
    throw new Refusal('rule_signature_unneeded', 'wrapping takes one signature');
  }
  const relayKey = storedKey(read, relay.thumbprint);
  if (relayKey === undefined) throw new Refusal('rule_signer_unknown', 'signer is not in the log');
  verifyJws(relay.jws, relayKey);

  const { op, statement } = request;
  const key = statement.primary.thumbprint;
  requireRequest(read, position, entry.time, request);
  const subject = askerOf(read, op, key);
  const actor: Actor = { rank: 'owner', key, subject, lent: record?.lease ?? null };
  const at = { account: position.account, seq: position.seq, time: entry.time, leaf: entry.leaf };
  const proposal = new Proposal(at, read, statement, actor);
  // A key that is not in the log yet is claimed where it enters.
  if (subject !== 'new') claim(proposal, read, statement.primary);
  if (record !== undefined) proposal.put(`delegate/${relay.thumbprint}`, record);
  return { proposal, op, by: { rank: 'owner', key, relay: relay.thumbprint } };
}

/**
 * Whose key asks. Two keys may ask without being live keys of anybody: the one that an activation brings in, and the recovery key of
 * the person whose key is to be recovered.
 */
function askerOf(read: Read, op: Operation, key: string): string {
  const live = liveKey(read, key);
  if (live !== undefined) return live.subject;
  if (op.type === 'principal.activate' && parsePublicJwk(op.key).thumbprint === key) return 'new';
  if (op.type === 'key.recover') {
    const recovery = read(`principal/${op.principal}`)?.recovery;
    if (recovery?.key === key && recoveryStands(read, recovery)) return `recovery/${op.principal}`;
  }
  throw new Refusal('rule_key_not_live', 'key of the request is not in force');
}

function requireRequest(read: Read, position: Position, time: number, request: UnverifiedRequest): void {
  const { op } = request;
  if (!permitted[op.type].includes('owner')) {
    throw new Refusal('rule_not_permitted', 'operation is not open to requests');
  }
  if (request.account !== position.account) {
    throw new Refusal('rule_account_mismatch', 'request belongs to another account');
  }
  if (time > request.notAfter) throw new Refusal('rule_request_expired', 'request has expired');
  if (request.notAfter > time + limits.maxRequestLifetimeSeconds) {
    throw new Refusal('rule_request_too_long', 'request is good for too long');
  }
  const subject = requestSubject(read, op);
  if (subject === undefined || subject !== request.subject) {
    throw new Refusal('rule_subject_mismatch', 'request names another subject than its operation');
  }
  if (read(subject)?.version !== request.subjectVersion) {
    throw new Refusal(
      'rule_subject_version',
      'subject has changed since the request was signed, or does not exist',
    );
  }
}

/**
 * Whose record a request for this operation must name, and whose version it is good for (docs/spec/log.md section 7).
 * Undefined where no request can ask for it, or where the key it is about is nobody's.
 */
export function requestSubject(
  read: Read,
  op: Operation,
): `principal/${string}` | `agent/${string}` | undefined {
  switch (op.type) {
    case 'principal.activate':
    case 'recovery.set':
    case 'key.recover':
      return `principal/${op.principal}`;
    case 'agent.register':
      return `principal/${op.owner}`;
    case 'agent.limit':
    case 'agent.suspend':
    case 'agent.resume':
    case 'agent.revoke':
      return `agent/${op.agent}`;
    case 'key.add':
      return subjectName(op.subject);
    case 'key.rotate':
      return subjectName(read(`key/${op.old}`)?.subject);
    case 'key.revoke':
      return subjectName(read(`key/${op.key}`)?.subject);
    default:
      return undefined;
  }
}

function subjectName(subject: string | undefined): `principal/${string}` | `agent/${string}` | undefined {
  if (subject?.startsWith('recovery/')) return `principal/${subject.slice('recovery/'.length)}`;
  return subject?.startsWith('principal/') || subject?.startsWith('agent/')
    ? (subject as `principal/${string}` | `agent/${string}`)
    : undefined;
}

function requirePermitted(op: Operation, rank: Rank, key: string, read: Read): void {
  if (rank === 'delegate' && read(`delegate/${key}`) === undefined) {
    throw new Refusal('rule_signer_unknown', 'signer is neither admin nor delegate');
  }
  if (!permitted[op.type].includes(rank)) {
    throw new Refusal(
      'rule_not_permitted',
      `operation is not open to ${rank === 'admin' ? 'admins' : 'delegates'}`,
    );
  }
}

function claim(proposal: Proposal, read: Read, signature: UnverifiedSignature): void {
  const key = storedKey(read, signature.thumbprint);
  if (key === undefined) throw new Refusal('rule_signer_unknown', 'signer is not in the log');
  proposal.claim(signature, key);
}
