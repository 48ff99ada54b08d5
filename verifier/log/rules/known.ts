import { Refusal } from '../../errors.ts';
import type { Proposal } from '../proposal.ts';
import type { GroupRecord, PrincipalRecord } from '../records.ts';

/** @throws {Refusal} `rule_subject_unknown`. */
export function principalOf(proposal: Proposal, id: string): PrincipalRecord {
  const person = proposal.read(`principal/${id}`);
  if (person === undefined) throw new Refusal('rule_subject_unknown', 'no such person');
  return person;
}

/** @throws {Refusal} `rule_group_unknown`; also for a deleted one. */
export function groupOf(proposal: Proposal, name: string): GroupRecord {
  const group = proposal.read(`group/${name}`);
  if (group?.status !== 'active') throw new Refusal('rule_group_unknown', 'no such group');
  return group;
}
