import { parsePublicJwk } from '@bulla/verifier';
import type { Change } from '@bulla/verifier/log';
import { addresses, members, type ResourceRow, resources } from '../store/directory.ts';
import { invitations, readers } from '../store/invitations.ts';
import { changeRows, putRow, type Rows, type RowWrite, removeRows } from '../store/table.ts';
import { projectAgents } from './agent-projection.ts';

/** What changes a person's standing, and so what their resource shows: `active`, `status`, `assurance`. */
const shown: ReadonlySet<string> = new Set([
  'principal.activate',
  'principal.suspend',
  'principal.resume',
  'key.recover',
]);

/**
 * What entries of the log, whoever signed them, mean for the directory (law 6): a person who was deprovisioned is gone, and a
 * SCIM group that stands for a group of the log has the members that the log says, as far as its connection manages them. Whose
 * standing changed has a new version, so that no reader with an old ETag is told that nothing did.
 */
export async function projectDirectory(changes: readonly Change[], rows: Rows): Promise<readonly RowWrite[]> {
  const writes: RowWrite[] = [...(await projectAgents(changes, rows))];
  for (const { op, time } of changes) {
    if (op.type === 'principal.deprovision') writes.push(...personRemoval(op.principal));
    if (shown.has(op.type) && 'principal' in op)
      writes.push(...(await nextVersion(rows, op.principal, time)));
    writes.push(...(await readTokens(op, rows)));
    if ((op.type === 'member.add' || op.type === 'member.remove') && op.member.startsWith('principal/')) {
      const member = op.member.slice('principal/'.length);
      for (const group of await groupsFor(rows, op.group, member)) {
        const row = { groupId: group.id, member };
        writes.push(op.type === 'member.add' ? putRow(members, row) : removeRows(members, row));
      }
    }
  }
  return writes;
}

/** A person's read tokens go with their keys: over to the one that takes the place of another, or out with it. */
async function readTokens(op: Change['op'], rows: Rows): Promise<readonly RowWrite[]> {
  switch (op.type) {
    case 'key.rotate':
      return [changeRows(readers, { key: op.old }, { key: parsePublicJwk(op.key).thumbprint })];
    case 'key.recover': {
      const { principal } = op;
      return [changeRows(readers, { principal }, { key: parsePublicJwk(op.key).thumbprint })];
    }
    case 'key.revoke':
      return [removeRows(readers, { key: op.key })];
    case 'principal.activate':
    case 'principal.resume': {
      const survivors = op.type === 'principal.resume' ? op.keys : [];
      const found = await rows.find(readers, { principal: op.principal });
      return found
        .filter(({ key }) => !survivors.includes(key))
        .map(({ sha256 }) => removeRows(readers, { sha256 }));
    }
    default:
      return [];
  }
}

/** Every row that is about this person and is of no use without them. */
export function personRemoval(id: string): readonly RowWrite[] {
  return [
    removeRows(members, { member: id }),
    removeRows(addresses, { id }),
    removeRows(invitations, { principal: id }),
    removeRows(readers, { principal: id }),
    removeRows(resources, { id, kind: 'User' }),
  ];
}

async function nextVersion(rows: Rows, id: string, time: number): Promise<readonly RowWrite[]> {
  const row = await rows.first(resources, { id, kind: 'User' });
  if (row === undefined) return [];
  const at = new Date(time * 1000).toISOString();
  // Entries are timed to the second, rows to the millisecond.
  const modified = at > row.modified ? at : row.modified;
  return [changeRows(resources, { id }, { version: row.version + 1, modified })];
}

async function groupsFor(rows: Rows, group: string, principal: string): Promise<readonly ResourceRow[]> {
  const person = await rows.first(resources, { id: principal, kind: 'User' });
  if (person === undefined) return [];
  return rows.find(resources, { kind: 'Group', log: group, connection: person.connection });
}
