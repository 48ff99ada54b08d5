import { defineTable, type Table } from './table.ts';

/** An agent as its connection sees it: a proposal that its owner has not adopted, or an agent of the log. */
export interface AgentResourceRow {
  /** Random: a proposal has no id in the log. */
  readonly id: string;
  readonly connection: string;
  /** Id of the person who answers for it; a proposal may name nobody yet. */
  readonly owner: string | null;
  readonly kind: 'autonomous' | 'interactive';
  readonly displayName: string;
  readonly externalId: string | null;
  /** What the connection last said: 1, 0, or null for nothing. Of a proposal it is all there is; for an agent the log decides. */
  readonly active: number | null;
  /** Id in the log (`agt_…`), null for a proposal. */
  readonly agent: string | null;
  readonly version: number;
  /** RFC 3339, UTC. */
  readonly created: string;
  readonly modified: string;
}

export const agentResources: Table<AgentResourceRow> = defineTable<AgentResourceRow>(
  'agent_resource',
  {
    id: 'text',
    connection: 'text',
    owner: 'text?',
    kind: 'text',
    displayName: 'text',
    externalId: 'text?',
    active: 'integer?',
    agent: 'text?',
    version: 'integer',
    created: 'text',
    modified: 'text',
  },
  {
    key: ['id'],
    unique: [['agent']],
    indexes: [['owner'], ['connection', 'externalId']],
    person: 'owner',
  },
);
