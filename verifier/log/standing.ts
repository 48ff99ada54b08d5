import { limits } from '../limits.ts';
import type { AgentRecord, DelegateRecord, KeyRecord, PrincipalRecord, Read } from './records.ts';

/**
 * Who and what is in force, as the state says now. A few map look-ups each, so that every request asks again.
 * None of these knows what an envelope claims: epochs and ownership are compared by the caller.
 */

/** The person's record if they are active. */
export function livePrincipal(read: Read, id: string): PrincipalRecord | undefined {
  const record = read(`principal/${id}`);
  return record?.status === 'active' ? record : undefined;
}

/** Whether this person is active now. */
export function principalIsLive(read: Read, id: string): boolean {
  return livePrincipal(read, id) !== undefined;
}

/** The agent's record if it is active, its owner is active in the same epoch, and the key that took it on still stands. */
export function liveAgent(read: Read, id: string): AgentRecord | undefined {
  const record = read(`agent/${id}`);
  if (record?.status !== 'active') return undefined;
  if (livePrincipal(read, record.owner)?.epoch !== record.ownerEpoch) return undefined;
  return deedStands(read, record.adoptedWith, record.adoptedSeq) ? record : undefined;
}

/** Whether this agent is active now, with its owner, and taken on by a deed that stands. */
export function agentIsLive(read: Read, id: string): boolean {
  return liveAgent(read, id) !== undefined;
}

/** The key's record if it is a person's or an agent's, is not revoked, stands on keys that stand, and its subject is live. */
export function liveKey(read: Read, thumbprint: string): KeyRecord | undefined {
  const record = read(`key/${thumbprint}`);
  if (record?.status !== 'active' || !deedStands(read, record.addedBy, record.addedSeq)) return undefined;
  return subjectIsLive(read, record.subject) ? record : undefined;
}

/** Whether this key, its subject, and whatever added it are all in force now. */
export function keyIsLive(read: Read, thumbprint: string): boolean {
  return liveKey(read, thumbprint) !== undefined;
}

/** `subject`: `principal/<id>` or `agent/<id>`; any other word is not live. */
function subjectIsLive(read: Read, subject: string): boolean {
  if (subject.startsWith('principal/')) return principalIsLive(read, subject.slice('principal/'.length));
  return subject.startsWith('agent/') && agentIsLive(read, subject.slice('agent/'.length));
}

/**
 * Whether what the key `by` did in entry `seq` still stands: neither it nor a key it came from was revoked `since` then.
 * A chain longer than `maxKeyChain` does not stand.
 */
export function deedStands(read: Read, by: string | null, seq: number): boolean {
  let thumbprint = by;
  let doneAt = seq;
  for (let links = 0; thumbprint !== null; links += 1) {
    const record: KeyRecord | undefined = read(`key/${thumbprint}`);
    if (record === undefined || links >= limits.maxKeyChain) return false;
    if (record.revokedSince !== null && doneAt >= record.revokedSince) return false;
    thumbprint = record.addedBy;
    doneAt = record.addedSeq;
  }
  return true;
}

/** Links from this key to one that an admin added. */
export function keyChainLength(read: Read, thumbprint: string): number {
  let length = 0;
  let next: string | null = thumbprint;
  while (next !== null && length <= limits.maxKeyChain) {
    next = read(`key/${next}`)?.addedBy ?? null;
    length += 1;
  }
  return length;
}

/** Whether this is an admin key in force now. */
export function adminIsLive(read: Read, thumbprint: string): boolean {
  return read(`admin/${thumbprint}`)?.status === 'active';
}

/** The delegate's record if its lease is in force at `time` (Unix seconds). `lease.operations` is for the caller to ask. */
export function liveDelegate(read: Read, thumbprint: string, time: number): DelegateRecord | undefined {
  const record = read(`delegate/${thumbprint}`);
  return record?.status === 'active' && time < record.lease.notAfter ? record : undefined;
}
