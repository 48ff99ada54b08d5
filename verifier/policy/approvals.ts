import { limits } from '../limits.ts';
import { closureOf } from '../log/groups.ts';
import type { TrustView } from '../log/view.ts';
import type { ReservedContext } from './context.ts';

type Counts = ReservedContext['approvals'];

/**
 * How many of these people are in each protected group, directly or not. Groups that a delegate may write are left out: whoever
 * holds its key could put an accomplice there. So are people whose key stands on a delegate's word alone: it could be anybody's.
 *
 * @param approvers ids of distinct people.
 * @throws {Refusal} `rule_groups_too_many`.
 */
export function countApprovals(trust: TrustView, approvers: readonly string[]): Counts {
  if (approvers.length === 0) return none;
  const counts = Object.create(null) as Record<string, number>;
  for (const id of approvers) {
    const person = trust.read(`principal/${id}`);
    if (person === undefined || person.assurance === 'delegate') continue;
    const groups = closureOf(trust.read, person.groups);
    for (const group of groups) {
      if (isProtected(trust, group)) counts[group] = (counts[group] ?? 0) + 1;
    }
  }
  return counts;
}

const none: Counts = Object.freeze(Object.create(null) as Counts);

/**
 * The groups whose approval would turn a denial into an allow, as few as can be found by leaving out one after the other;
 * undefined where no approval helps. Asks the policy once for each group at most, and one time more.
 *
 * @param declared groups that the schema names.
 * @param wouldAllow asks the policy, with these counts and everything else as it is.
 */
export function helpfulGroups(
  trust: TrustView,
  declared: readonly string[],
  wouldAllow: (counts: Counts) => boolean,
): readonly string[] | undefined {
  let groups = [...new Set(declared)].filter((group) => isProtected(trust, group)).slice(0, maxGroups);
  if (groups.length === 0 || !wouldAllow(enough(groups))) return undefined;
  for (const group of groups) {
    const others = groups.filter((other) => other !== group);
    if (others.length > 0 && wouldAllow(enough(others))) groups = others;
  }
  return groups;
}

/** A denial must stay cheap. A policy that needs more groups than this at once is answered as if no approval helped. */
const maxGroups = 8;

function enough(groups: readonly string[]): Counts {
  return Object.assign(
    Object.create(null) as Record<string, number>,
    Object.fromEntries(groups.map((group) => [group, limits.maxApprovals])),
  );
}

function isProtected(trust: TrustView, group: string): boolean {
  const record = trust.read(`group/${group}`);
  return record?.status === 'active' && record.protected;
}
