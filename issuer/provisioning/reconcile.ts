import type { Records } from '@bulla/verifier/log';
import type { AccountLog } from '../log/account-log.ts';
import type { IssuerPorts } from '../ports.ts';
import { members, type ResourceRow, resources } from '../store/directory.ts';
import type { AccountStore } from '../store/store.ts';
import { addRow, putRow, type RowWrite, removeRows } from '../store/table.ts';
import { personRemoval } from './projection.ts';

interface ReconcileOptions {
  readonly log: AccountLog;
  readonly store: AccountStore;
  readonly ports: IssuerPorts;
}

interface Differences {
  /** Ids of people of a connection whom the log has and the directory has not. */
  readonly withoutRow: readonly (readonly [id: string, connection: string])[];
  /** Ids of rows whose person the log has not, or not any more, or in another connection. */
  readonly withoutPerson: readonly string[];
  /** Members that the log has and the directory has not, and the reverse. */
  readonly members: readonly RowWrite[];
}

/**
 * Compares the directory with the log and repairs what differs, towards the log (law 6): a person without a row gets one that
 * says no more than their id, so that the IdP sees and can describe or remove them; a row without a person is removed; groups
 * that stand for one of the log get the members that it has. To be run at start, before anything is served.
 */
export async function reconcileDirectory(options: ReconcileOptions): Promise<void> {
  const { log, ports, store } = options;
  const found = await compare(options);
  const { withoutPerson, withoutRow } = found;
  if (withoutPerson.length + withoutRow.length + found.members.length === 0) return;
  const at = new Date(ports.now() * 1000).toISOString();
  await store.writeRows([
    ...withoutPerson.flatMap(personRemoval),
    ...withoutRow.map(([id, connection]) => addRow(resources, bareRow(id, connection, at))),
    ...found.members,
  ]);
  ports.log({
    level: 'warn',
    event: 'directory.repaired',
    account: log.account,
    added: withoutRow.length,
    removed: withoutPerson.length,
    members: found.members.length,
  });
}

async function compare({ log, store }: ReconcileOptions): Promise<Differences> {
  const people = new Map<string, string>();
  const inGroup = new Map<string, string[]>();
  for (const [key, record] of log.world.records()) {
    if (!key.startsWith('principal/')) continue;
    const id = key.slice('principal/'.length);
    const { connection, groups, status } = record as Records[`principal/${string}`];
    if (connection === null || status === 'deprovisioned') continue;
    people.set(id, connection);
    for (const group of groups) {
      const list = inGroup.get(group) ?? [];
      list.push(id);
      inGroup.set(group, list);
    }
  }
  const rows = await store.find(resources, { kind: 'User' });
  const known = new Set(rows.map(({ id }) => id));
  return {
    withoutRow: [...people].filter(([id]) => !known.has(id)),
    withoutPerson: rows.filter((row) => people.get(row.id) !== row.connection).map(({ id }) => id),
    members: await compareMembers(store, people, inGroup),
  };
}

async function compareMembers(
  store: AccountStore,
  people: ReadonlyMap<string, string>,
  inGroup: ReadonlyMap<string, readonly string[]>,
): Promise<readonly RowWrite[]> {
  const writes: RowWrite[] = [];
  const groups = await store.find(resources, { kind: 'Group' });
  for (const { id: groupId, log, connection } of groups) {
    if (log === null) continue;
    const wanted = new Set((inGroup.get(log) ?? []).filter((id) => people.get(id) === connection));
    const there = (await store.find(members, { groupId })).map(({ member }) => member);
    const present = new Set(there);
    for (const member of there) {
      if (!wanted.has(member)) writes.push(removeRows(members, { groupId, member }));
    }
    for (const member of wanted) {
      if (!present.has(member)) writes.push(putRow(members, { groupId, member }));
    }
  }
  return writes;
}

/** What can be said about a person of whom only the log is left. */
function bareRow(id: string, connection: string, at: string): ResourceRow {
  return {
    id,
    connection,
    kind: 'User',
    name: id,
    externalId: null,
    log: null,
    salt: null,
    version: 1,
    created: at,
    modified: at,
    body: JSON.stringify({ userName: id }),
  };
}
