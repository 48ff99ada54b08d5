import { Refusal } from '../../errors.ts';
import { closureOf, reachesProtected, requireWritableGroup } from '../groups.ts';
import type { Proposal } from '../proposal.ts';
import { requireManaged } from './connection.ts';
import { groupOf, principalOf } from './known.ts';
import type { Rules } from './rule.ts';

export const groupRules: Rules<'group.create' | 'group.delete' | 'member.add' | 'member.remove'> = {
  'group.create': (proposal, op) => {
    if (proposal.read(`group/${op.group}`) !== undefined) {
      throw new Refusal('rule_group_known', 'group name was used before');
    }
    proposal.put(`group/${op.group}`, { status: 'active', protected: op.protected, parents: [] });
  },

  'group.delete': (proposal, op) => {
    const group = groupOf(proposal, op.group);
    proposal.put(`group/${op.group}`, { ...group, status: 'deleted' });
  },

  'member.add': (proposal, op) => {
    groupOf(proposal, op.group);
    requireWritable(proposal, op.group, op.member);
    requireConfirmed(proposal, op.group, op.member);
    change(proposal, op.member, (groups) => {
      if (groups.includes(op.group)) throw new Refusal('rule_member_known', 'already in this group');
      return [...groups, op.group].sort();
    });
    requireRoom(proposal, op.member);
  },

  'member.remove': (proposal, op) => {
    groupOf(proposal, op.group);
    requireWritable(proposal, op.group, op.member);
    change(proposal, op.member, (groups) => {
      if (!groups.includes(op.group)) throw new Refusal('rule_member_unknown', 'not in this group');
      return groups.filter((name) => name !== op.group);
    });
    raiseEpoch(proposal, op.member);
  },
};

function requireWritable(proposal: Proposal, group: string, member: string): void {
  const { actor } = proposal;
  if (actor.rank !== 'delegate') return;
  // Nesting moves everybody in the inner group, whom the lease may not reach.
  if (member.startsWith('group/')) {
    throw new Refusal('rule_not_permitted', 'a delegate cannot nest groups');
  }
  requireManaged(proposal, principalOf(proposal, member.slice('principal/'.length)));
  requireWritableGroup(proposal.read, group, actor.lease.groups);
}

/** Whom a delegate made up, or let in on its own word, is in no protected group: it may be anybody. */
function requireConfirmed(proposal: Proposal, group: string, member: string): void {
  if (!member.startsWith('principal/')) return;
  const { assurance, connection } = principalOf(proposal, member.slice('principal/'.length));
  const unconfirmed = assurance === 'delegate' || (assurance === 'none' && connection !== null);
  if (unconfirmed && reachesProtected(proposal.read, [group])) {
    throw new Refusal(
      'rule_not_confirmed',
      'group is protected, and nobody but a delegate has spoken for the person',
    );
  }
}

/** Rewrites the groups that a member is directly in. Does not touch `version`: directories write these all day. */
function change(
  proposal: Proposal,
  member: string,
  edit: (groups: readonly string[]) => readonly string[],
): void {
  const id = member.slice(member.indexOf('/') + 1);
  if (member.startsWith('principal/')) {
    const person = principalOf(proposal, id);
    if (person.status === 'deprovisioned') throw new Refusal('rule_status', 'person was deprovisioned');
    proposal.put(`principal/${id}`, { ...person, groups: edit(person.groups) });
    return;
  }
  const group = groupOf(proposal, id);
  proposal.put(`group/${id}`, { ...group, parents: edit(group.parents) });
}

/** A person who leaves a group holds nothing from before: their envelopes end, and their agents wait for owner or admin. */
function raiseEpoch(proposal: Proposal, member: string): void {
  if (!member.startsWith('principal/')) return;
  const id = member.slice('principal/'.length);
  const person = principalOf(proposal, id);
  proposal.put(`principal/${id}`, { ...person, epoch: person.epoch + 1, renewedAt: proposal.time });
}

/** Asked of additions alone: leaving is never refused for want of room. */
function requireRoom(proposal: Proposal, member: string): void {
  const id = member.slice(member.indexOf('/') + 1);
  if (member.startsWith('principal/')) {
    closureOf(proposal.read, principalOf(proposal, id).groups);
    return;
  }
  if (closureOf(proposal.read, groupOf(proposal, id).parents).has(id)) {
    throw new Refusal('rule_group_cycle', 'a group would be in itself');
  }
  closureOf(proposal.read, [id]);
}
