import { Refusal } from '../../errors.ts';
import type { Lease } from '../operations.ts';
import type { DelegateRecord, Read } from '../records.ts';

const secondsPerHour = 3600;
/** One entry, in the bucket's unit: then `maxEntriesPerHour` units flow in each second. */
const entryCost = secondsPerHour;

export function fullBucket(lease: Lease): number {
  return lease.maxEntriesPerHour * secondsPerHour;
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
  const elapsed = Math.min(time - record.refilled, secondsPerHour);
  const tokens = Math.min(record.tokens + elapsed * lease.maxEntriesPerHour, fullBucket(lease)) - entryCost;
  if (tokens < 0) throw new Refusal('rule_lease_rate', 'lease allows no further entry yet');
  return { ...record, entries: record.entries + 1, tokens, refilled: time };
}
