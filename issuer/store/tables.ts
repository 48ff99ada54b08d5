import { agentResources } from './agent-resource.ts';
import { addresses, members, resources, scimTokens } from './directory.ts';
import { eventPositions, seenEvents } from './events.ts';
import { invitations, readers } from './invitations.ts';
import { operatorSessions } from './operators.ts';
import type { AnyTable } from './table.ts';
import { apiAudit, apiCalls, apiTokens } from './users-api.ts';

/** Every table beside the log and its projections: each is declared in a file of its own noun, and listed here. */
export const storedTables: readonly AnyTable[] = [
  resources,
  members,
  addresses,
  scimTokens,
  agentResources,
  apiTokens,
  apiCalls,
  apiAudit,
  seenEvents,
  eventPositions,
  invitations,
  readers,
  operatorSessions,
];
