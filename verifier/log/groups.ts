import { Refusal } from '../errors.ts';
import { limits } from '../limits.ts';
import type { PrincipalRecord, Read } from './records.ts';

/**
 * Every group the person is in, directly or not, ascending, without deleted ones. A partial answer could silence a
 * `forbid`, so too many groups are refused rather than cut.
 *
 * @throws {Refusal} `rule_groups_too_many` over `maxAncestors`.
 */
export function groupsOf(read: Read, principal: PrincipalRecord): readonly string[] {
  return [...closureOf(read, principal.groups)].sort();
}

/** These groups and all they are in. Safe with cycles. @throws {Refusal} `rule_groups_too_many` over `maxAncestors`. */
export function closureOf(read: Read, groups: readonly string[]): ReadonlySet<string> {
  const found = new Set<string>();
  const open = [...groups];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const record = found.has(name) ? undefined : read(`group/${name}`);
    if (record?.status !== 'active') continue;
    found.add(name);
    if (found.size > limits.maxAncestors) throw new Refusal('rule_groups_too_many', 'in too many groups');
    open.push(...record.parents);
  }
  return found;
}

/** Whether one of these groups, or one that is reached from them, is protected. @throws {Refusal} `rule_groups_too_many`. */
export function reachesProtected(read: Read, groups: readonly string[]): boolean {
  return [...closureOf(read, groups)].some((name) => read(`group/${name}`)?.protected !== false);
}

/**
 * Whether a delegate may change who is in this group: it and every group that is reached from it must be listed in the
 * lease and not protected.
 *
 * @throws {Refusal} `rule_group_protected`, `rule_group_unlisted`, `rule_groups_too_many`.
 */
export function requireWritableGroup(read: Read, group: string, listed: readonly string[]): void {
  for (const name of closureOf(read, [group])) {
    if (read(`group/${name}`)?.protected !== false) {
      throw new Refusal('rule_group_protected', 'group is protected or leads to a protected one');
    }
    if (!listed.includes(name)) {
      throw new Refusal('rule_group_unlisted', 'group is not in the lease or leads to one that is not');
    }
  }
}
