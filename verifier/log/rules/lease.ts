import { Refusal } from '../../errors.ts';
import type { OperationType } from '../operation-formats.ts';
import type { Lease, LeaseCaps } from '../operations.ts';
import type { DelegateRecord, Read, Spent } from '../records.ts';

const secondsPerHour = 3600;
/** One entry, in the bucket's unit: then `maxEntriesPerHour` units flow in each second. */
const entryCost = secondsPerHour;

/** The record of a lease of which nothing is spent. */
export function unspent(lease: Lease, time: number): DelegateRecord {
  const { caps } = lease;
  const full = (perHour: number): Spent => ({ total: 0, tokens: perHour * secondsPerHour, refilled: time });
  return {
    status: 'active',
    lease,
    entries: 0,
    tokens: lease.maxEntriesPerHour * secondsPerHour,
    refilled: time,
    spent:
      caps === undefined
        ? null
        : { provisions: full(caps.provisionsPerHour), removals: full(caps.removalsPerHour) },
  };
}

/**
 * The delegate that may sign this at `time`, and its record with one more entry spent. The bucket never holds more than
 * an hour's worth, so a quiet log hoards nothing.
 *
 * @throws {Refusal} `rule_signer_unknown`, `rule_lease_revoked`, `rule_lease_ended`, `rule_operation_unlisted`,
 * `rule_lease_exhausted`, `rule_lease_rate`.
 */
export function spendLease(read: Read, key: string, operation: string, time: number): DelegateRecord {
  const record = read(`delegate/${key}`);
  if (record === undefined) throw new Refusal('rule_signer_unknown', 'signer is neither admin nor delegate');
  const { lease } = record;
  if (record.status !== 'active') throw new Refusal('rule_lease_revoked', 'lease was revoked');
  if (time >= lease.notAfter) throw new Refusal('rule_lease_ended', 'lease has ended');
  if (!lease.operations.includes(operation)) {
    throw new Refusal('rule_operation_unlisted', 'lease does not list this operation');
  }
  if (record.entries >= lease.maxEntries) throw new Refusal('rule_lease_exhausted', 'lease is used up');
  const tokens = drawn(record, lease.maxEntriesPerHour, time);
  if (tokens < 0) throw new Refusal('rule_lease_rate', 'lease allows no further entry yet');
  return { ...record, entries: record.entries + 1, tokens, refilled: time };
}

/** What is left in a bucket after one more was taken out of it; below zero: it may not be. */
function drawn(
  bucket: { readonly tokens: number; readonly refilled: number },
  perHour: number,
  time: number,
): number {
  const elapsed = Math.min(time - bucket.refilled, secondsPerHour);
  return Math.min(bucket.tokens + elapsed * perHour, perHour * secondsPerHour) - entryCost;
}

type Kind = 'provisions' | 'removals';

/** What a delegate's own entries count as. */
const kinds: Readonly<Partial<Record<OperationType, Kind>>> = {
  'principal.provision': 'provisions',
  'principal.suspend': 'removals',
  'principal.deprovision': 'removals',
  'member.remove': 'removals',
  'agent.suspend': 'removals',
  'agent.revoke': 'removals',
  'key.revoke': 'removals',
};

/** Whether the caps of a lease count this operation. */
export function isCapped(operation: string): boolean {
  return Object.hasOwn(kinds, operation);
}

/**
 * The delegate's record with this operation counted against the caps of its lease, if it has any.
 *
 * @throws {Refusal} `rule_cap_provisions`, `rule_cap_removals`, and the same with `_rate`.
 */
export function spendCaps(record: DelegateRecord, operation: OperationType, time: number): DelegateRecord {
  const { spent } = record;
  const { caps } = record.lease;
  const kind = kinds[operation];
  if (kind === undefined || caps === undefined || spent === null) return record;
  return { ...record, spent: { ...spent, [kind]: drawCap(spent[kind], caps, kind, time) } };
}

function drawCap(spent: Spent, caps: LeaseCaps, kind: Kind, time: number): Spent {
  if (spent.total >= caps[kind]) throw new Refusal(`rule_cap_${kind}`, `lease allows no more ${kind}`);
  const tokens = drawn(spent, caps[`${kind}PerHour`], time);
  if (tokens < 0) throw new Refusal(`rule_cap_${kind}_rate`, `lease allows no further ${kind} yet`);
  return { total: spent.total + 1, tokens, refilled: time };
}
