import { Refusal } from '../../errors.ts';
import type { Proposal } from '../proposal.ts';
import type { SlotRecord } from '../records.ts';
import { audienceKey, revokedKey } from '../records.ts';
import type { Rules } from './rule.ts';

/** What is decided by which set, where, and which single capabilities are void. */
export const policyRules: Rules<
  | 'policy.publish'
  | 'policy.overlap'
  | 'policy.retire'
  | 'audience.register'
  | 'audience.retire'
  | 'capability.revoke'
> = {
  'policy.publish': (proposal, op) => {
    const before = proposal.read(`slot/${op.slot}`);
    if (before?.status === 'retired') throw new Refusal('rule_slot_retired', 'policy slot was retired');
    if (before?.digest === op.digest)
      throw new Refusal('rule_policy_unchanged', 'this set is the current one');
    const overlap = op.overlapUntil;
    if (overlap !== undefined && (before === undefined || overlap <= proposal.time)) {
      throw new Refusal('rule_overlap', 'overlap has nothing before it, or lies in the past');
    }
    const previous =
      before === undefined || overlap === undefined ? null : { digest: before.digest, until: overlap };
    proposal.put(`slot/${op.slot}`, { status: 'active', digest: op.digest, previous });
  },

  'policy.overlap': (proposal, op) => {
    const slot = activeSlot(proposal, op.slot);
    if (slot.previous === null) throw new Refusal('rule_overlap', 'no set is kept beside the current one');
    const previous = op.until > proposal.time ? { ...slot.previous, until: op.until } : null;
    proposal.put(`slot/${op.slot}`, { ...slot, previous });
  },

  'policy.retire': (proposal, op) => {
    const slot = activeSlot(proposal, op.slot);
    proposal.put(`slot/${op.slot}`, { ...slot, status: 'retired', previous: null });
  },

  'audience.register': (proposal, op) => {
    const key = audienceKey(op.audience);
    if (proposal.read(key)?.status === 'retired') {
      throw new Refusal('rule_audience_retired', 'audience was retired');
    }
    activeSlot(proposal, op.slot);
    const { audience, slot, maxStalenessSeconds } = op;
    proposal.put(key, { audience, slot, maxStalenessSeconds, status: 'active' });
  },

  'audience.retire': (proposal, op) => {
    const key = audienceKey(op.audience);
    const audience = proposal.read(key);
    if (audience?.status !== 'active') throw new Refusal('rule_audience_unknown', 'no such audience');
    proposal.put(key, { ...audience, status: 'retired' });
  },

  'capability.revoke': (proposal, op) => {
    const key = revokedKey(op.jti);
    if (proposal.read(key) !== undefined) throw new Refusal('rule_status', 'capability was revoked');
    proposal.put(key, { exp: op.exp });
  },
};

function activeSlot(proposal: Proposal, name: string): SlotRecord {
  const slot = proposal.read(`slot/${name}`);
  if (slot === undefined) throw new Refusal('rule_slot_unknown', 'no such policy slot');
  if (slot.status === 'retired') throw new Refusal('rule_slot_retired', 'policy slot was retired');
  return slot;
}
