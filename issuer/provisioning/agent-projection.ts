import type { Change } from '@bulla/verifier/log';
import { type AgentResourceRow, agentResources } from '../store/agent-resource.ts';
import { resources } from '../store/directory.ts';
import { addRow, changeRows, type Rows, type RowWrite, removeRows } from '../store/table.ts';

/**
 * What entries about agents mean for the connection that manages their owner. An agent that an owner registers adopts the
 * oldest proposal of that owner and kind, if there is one; else it appears under its id. Revoked, it is gone.
 */
export async function projectAgents(changes: readonly Change[], rows: Rows): Promise<readonly RowWrite[]> {
  const writes: RowWrite[] = [];
  const adopted = new Set<string>();
  for (const change of changes) {
    const { op } = change;
    if (op.type === 'principal.deprovision') writes.push(removeRows(agentResources, { owner: op.principal }));
    if (op.type === 'agent.revoke') writes.push(removeRows(agentResources, { agent: op.agent }));
    if (op.type !== 'agent.register') continue;
    const owner = await rows.first(resources, { id: op.owner, kind: 'User' });
    const agent = registered(change);
    if (owner === undefined || agent === undefined) continue;
    const modified = new Date(change.time * 1000).toISOString();
    const proposals = await rows.find(
      agentResources,
      { owner: op.owner, kind: op.kind, agent: null },
      { by: ['created'] },
    );
    const proposal = proposals.find(({ id }) => !adopted.has(id));
    if (proposal === undefined) {
      writes.push(addRow(agentResources, appeared(agent, owner.connection, op, modified)));
      continue;
    }
    adopted.add(proposal.id);
    const { version } = proposal;
    writes.push(changeRows(agentResources, { id: proposal.id }, { agent, modified, version: version + 1 }));
  }
  return writes;
}

function appeared(
  agent: string,
  connection: string,
  op: { readonly owner: string; readonly kind: AgentResourceRow['kind'] },
  at: string,
): AgentResourceRow {
  const { owner, kind } = op;
  const named = { id: agent, displayName: agent, agent, active: 1, externalId: null };
  return { ...named, connection, owner, kind, version: 1, created: at, modified: at };
}

function registered({ writes }: Change): string | undefined {
  for (const key of writes.keys()) if (key.startsWith('agent/')) return key.slice('agent/'.length);
  return undefined;
}
