import { Refusal } from '../../errors.ts';
import type { Lease } from '../operations.ts';
import type { Actor, Proposal } from '../proposal.ts';
import type { Rank, Read } from '../records.ts';

/** The part of a person's or agent's record that says whose suspensions hold. */
export interface Suspended {
  readonly suspensions: readonly string[];
  readonly suspendedBy: Rank | null;
}

/**
 * Under which name the suspensions of a delegate stand in `suspensions`. Keys of one connection are one source, so that a new
 * key can end what the old one began.
 *
 * @param key thumbprint.
 */
export function suspensionSource(read: Read, key: string): string {
  return sourceUnder(read(`delegate/${key}`)?.lease, key);
}

function sourceUnder(lease: Lease | undefined, key: string): string {
  return lease?.connection === undefined ? `delegate/${key}` : `connection/${lease.connection}`;
}

function sourceOf(actor: Actor): string {
  return actor.rank === 'delegate' ? sourceUnder(actor.lease, actor.key) : actor.rank;
}

/** With the actor's suspension. @throws {Refusal} `rule_status` where it holds already. */
export function addSuspension(suspensions: readonly string[], actor: Actor): Suspended {
  const source = sourceOf(actor);
  if (suspensions.includes(source)) throw new Refusal('rule_status', 'suspended by this source already');
  return suspended([...suspensions, source]);
}

/**
 * Without the suspensions that this actor may end: an admin all, an owner those of owner and delegates, a delegate its own.
 *
 * @throws {Refusal} `rule_rank_too_low` where there is none of them.
 */
export function endSuspensions(suspensions: readonly string[], actor: Actor): Suspended {
  const left = suspensions.filter((source) => !mayEnd(actor, source));
  if (left.length === suspensions.length) {
    throw new Refusal('rule_rank_too_low', 'none of the suspensions is one that this actor may end');
  }
  return suspended(left);
}

function mayEnd(actor: Actor, source: string): boolean {
  if (actor.rank === 'admin') return true;
  return actor.rank === 'owner' ? source !== 'admin' : source === sourceOf(actor);
}

function suspended(sources: readonly string[]): Suspended {
  const suspensions = [...sources].sort();
  return { suspensions, suspendedBy: highest(suspensions) };
}

function highest(suspensions: readonly string[]): Rank | null {
  if (suspensions.length === 0) return null;
  if (suspensions.includes('admin')) return 'admin';
  return suspensions.includes('owner') ? 'owner' : 'delegate';
}

/**
 * A delegate that ends its suspension ends no key with it: `key.revoke` is for that, which its lease has to list and its caps count.
 *
 * @throws {Refusal} `rule_not_permitted`.
 */
export function requireAllKept(
  { actor }: Proposal,
  keys: readonly string[],
  survivors: readonly string[],
): void {
  if (actor.rank === 'delegate' && !keys.every((key) => survivors.includes(key))) {
    throw new Refusal('rule_not_permitted', 'a delegate lets no key go by resuming');
  }
}
