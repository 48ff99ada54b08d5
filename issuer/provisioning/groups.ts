import { randomUUID } from 'node:crypto';
import type { JsonObject } from '@bulla/verifier/envelope';
import type { Operation, Read } from '@bulla/verifier/log';
import { IssuerRefusal } from '../errors.ts';
import type { AccountLog } from '../log/account-log.ts';
import type { Plan } from '../log/plan.ts';
import type { IssuerPorts } from '../ports.ts';
import { members, type ResourceRow, resources } from '../store/directory.ts';
import type { AccountStore } from '../store/store.ts';
import { addRow, expectRows, putRow, type RowWrite, removeRows } from '../store/table.ts';
import { type Connection, requireOwnLease } from './connection.ts';
import { nameKey } from './person.ts';
import { requireRoom } from './room.ts';

/** A group as an IdP describes it. */
export interface GroupData {
  readonly displayName: string;
  readonly externalId: string | null;
  /** The SCIM resource's own attributes, without `members`. */
  readonly body: JsonObject;
}

/** Ids of users or groups of the same connection. Who is named twice or is there already (or is not) changes nothing. */
export interface MemberChange {
  readonly add?: readonly string[];
  readonly remove?: readonly string[];
  /** Whoever is not in it leaves, before `add` and `remove`. */
  readonly replace?: readonly string[];
}

interface GroupsOptions {
  readonly log: AccountLog;
  readonly store: AccountStore;
  readonly ports: IssuerPorts;
}

/**
 * SCIM groups as connections change them. A group whose `displayName` the configuration maps to a group of the log, or which is
 * called like one, stands for it: its members are members there, if the guardrails of the log let them. Any other is in the directory
 * only and grants nothing. Each method is one write: all of it or nothing.
 *
 * All methods throw a `Refusal` with the rule that says no, `group_unknown`, `member_unknown`, `group_nested`, `version_moved`,
 * `row_taken` (`displayName` is taken in this connection), and what {@link AccountLog.write} throws.
 */
export class Groups {
  readonly #options: GroupsOptions;

  constructor(options: GroupsOptions) {
    this.#options = options;
  }

  /** A new group; where it stands for one of the log, with those of the connection's people who are in that already. */
  async create(connection: Connection, data: GroupData, added: readonly string[] = []): Promise<ResourceRow> {
    const { log, ports, store } = this.#options;
    const at = new Date(ports.now() * 1000).toISOString();
    const id = randomUUID();
    let row: ResourceRow | undefined;
    await log.write(connection.signer, async (read, time) => {
      requireOwnLease(connection, read, time);
      await requireRoom(store, resources, { connection: connection.config.name, kind: 'Group' });
      const group = logGroupOf(connection, data.displayName, read);
      const created = { id, version: 1, created: at, ...rowOf(connection, data, group, at) };
      row = created;
      const there = group === null ? [] : await this.#peopleIn(connection, group);
      const change = await this.#membership(connection, created, there, { add: added }, read);
      const rows = there.map((member) => putRow(members, { groupId: id, member }));
      return { ops: change.ops, rows: () => [addRow(resources, created), ...rows, ...change.rows] };
    });
    return made(row);
  }

  /** Replaces what the connection says about its group, and changes its members. `ifVersion`: only if it still has this version. */
  async update(
    connection: Connection,
    id: string,
    data: GroupData,
    change: MemberChange = {},
    ifVersion?: number,
  ): Promise<ResourceRow> {
    const { log, ports } = this.#options;
    let after: ResourceRow | undefined;
    await log.write(connection.signer, async (read, time) => {
      requireOwnLease(connection, read, time);
      const before = await this.#ownGroup(connection, id);
      if (ifVersion !== undefined && before.version !== ifVersion) {
        throw new IssuerRefusal('version_moved', 'resource has changed since this version');
      }
      const at = new Date(ports.now() * 1000).toISOString();
      const group = logGroupOf(connection, data.displayName, read);
      const updated = {
        ...rowOf(connection, data, group, at),
        id,
        version: before.version + 1,
        created: before.created,
      };
      after = updated;
      const membership = await this.#updated(connection, before, updated, change, read);
      return {
        ops: membership.ops,
        rows: () => [
          expectRows(resources, { id, version: before.version }),
          putRow(resources, updated),
          ...membership.rows,
        ],
      };
    });
    return made(after);
  }

  /** Removes a group; whoever was in the group of the log that it stood for is taken out of that. */
  async remove(connection: Connection, id: string): Promise<void> {
    await this.#options.log.write(connection.signer, async (read, time) => {
      requireOwnLease(connection, read, time);
      const row = await this.#ownGroup(connection, id);
      const change = await this.#membership(connection, row, await this.membersOf(id), { replace: [] }, read);
      return {
        ops: change.ops,
        rows: () => [
          removeRows(members, { groupId: id }),
          removeRows(members, { member: id }),
          removeRows(resources, { id }),
        ],
      };
    });
  }

  /** Ids of users and groups that are directly in a group. */
  async membersOf(id: string): Promise<readonly string[]> {
    const rows = await this.#options.store.find(members, { groupId: id });
    return rows.map(({ member }) => member);
  }

  /** The groups that a user or group is directly in. */
  async groupsWith(member: string): Promise<readonly ResourceRow[]> {
    const { store } = this.#options;
    const found: ResourceRow[] = [];
    for (const { groupId } of await store.find(members, { member })) {
      const row = await store.first(resources, { id: groupId });
      if (row !== undefined) found.push(row);
    }
    return found;
  }

  async #ownGroup(connection: Connection, id: string): Promise<ResourceRow> {
    const where = { id, kind: 'Group', connection: connection.config.name } as const;
    const row = await this.#options.store.first(resources, where);
    if (row === undefined) throw new IssuerRefusal('group_unknown', 'no such group in this connection');
    return row;
  }

  /** A group that was renamed may stand for another one of the log now: everybody leaves the one and joins the other. */
  async #updated(
    connection: Connection,
    before: ResourceRow,
    after: ResourceRow,
    change: MemberChange,
    read: Read,
  ): Promise<Membership> {
    const there = await this.membersOf(after.id);
    if (before.log === after.log) return this.#membership(connection, after, there, change, read);
    const left = await this.#membership(connection, before, there, { replace: [] }, read);
    const staying = change.replace ?? there;
    const joined = await this.#membership(connection, after, [], { ...change, replace: staying }, read);
    return { ops: [...left.ops, ...joined.ops], rows: [...left.rows, ...joined.rows] };
  }

  async #membership(
    connection: Connection,
    group: ResourceRow,
    there: readonly string[],
    change: MemberChange,
    read: Read,
  ): Promise<Membership> {
    const after = new Set(change.replace ?? there);
    for (const member of change.add ?? []) after.add(member);
    for (const member of change.remove ?? []) after.delete(member);
    const present = new Set(there);
    const ops: Operation[] = [];
    const rows: RowWrite[] = [];
    for (const member of present) {
      if (after.has(member)) continue;
      rows.push(removeRows(members, { groupId: group.id, member }));
      if (group.log !== null && read(`principal/${member}`)?.groups.includes(group.log) === true) {
        ops.push({ type: 'member.remove', group: group.log, member: `principal/${member}` });
      }
    }
    for (const member of after) {
      if (present.has(member)) continue;
      const kind = await this.#kindOf(connection, member);
      rows.push(putRow(members, { groupId: group.id, member }));
      if (group.log === null) continue;
      if (kind === 'Group') throw new IssuerRefusal('group_nested', 'only admins nest groups of the log');
      if (read(`principal/${member}`)?.groups.includes(group.log) === true) continue;
      ops.push({ type: 'member.add', group: group.log, member: `principal/${member}` });
    }
    return { ops, rows };
  }

  async #kindOf(connection: Connection, id: string): Promise<ResourceRow['kind']> {
    const where = { id, connection: connection.config.name };
    const kind = (await this.#options.store.first(resources, where))?.kind;
    if (kind !== 'User' && kind !== 'Group') {
      throw new IssuerRefusal('member_unknown', 'a member is no user or group of this connection');
    }
    return kind;
  }

  async #peopleIn(connection: Connection, group: string): Promise<readonly string[]> {
    const { store, log } = this.#options;
    const people = await store.find(resources, { connection: connection.config.name, kind: 'User' });
    return people.map(({ id }) => id).filter((id) => log.read(`principal/${id}`)?.groups.includes(group));
  }
}

interface Membership {
  readonly ops: Plan['ops'];
  readonly rows: readonly RowWrite[];
}

/** The group of the log that a `displayName` stands for, null where it stands for none. Names have no case. */
function logGroupOf({ config }: Connection, displayName: string, read: Read): string | null {
  const name = nameKey(displayName);
  for (const [shown, group] of Object.entries(config.groups)) if (nameKey(shown) === name) return group;
  const isMapped = Object.values(config.groups).includes(displayName);
  const named = isMapped ? undefined : read(`group/${displayName}`);
  return named?.status === 'active' ? displayName : null;
}

function rowOf(
  { config }: Connection,
  data: GroupData,
  log: string | null,
  modified: string,
): Omit<ResourceRow, 'id' | 'version' | 'created'> {
  return {
    connection: config.name,
    kind: 'Group',
    name: nameKey(data.displayName),
    externalId: data.externalId,
    log,
    salt: null,
    modified,
    body: JSON.stringify(data.body),
  };
}

function made(row: ResourceRow | undefined): ResourceRow {
  if (row === undefined) throw new Error('nothing was written');
  return row;
}
