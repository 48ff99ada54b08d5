import { agentIsLive, type Read } from '@bulla/verifier/log';
import { z } from 'zod';
import { IssuerRefusal } from '../errors.ts';
import {
  type ApiCall,
  changeEndpoint,
  type Endpoint,
  type PlannedChange,
  pageOf,
  readEndpoint,
} from './endpoint.ts';
import {
  type ApiAgent,
  agentChangeShape,
  agentPath,
  agentShape,
  dryRunQuery,
  noPath,
  noQuery,
  pageQuery,
  pageShape,
} from './shapes.ts';
import { leavingWith, sourceOf } from './subject.ts';

const listQuery = z.strictObject({
  ...pageQuery,
  status: z.enum(['active', 'suspended', 'revoked']).optional(),
  owner: z.string().max(64).optional().describe('Id of a person: their agents.'),
});

/** Agents: listed, looked at, suspended, reactivated. */
export const agentEndpoints: readonly Endpoint[] = [
  readEndpoint(
    {
      operationId: 'listAgents',
      path: '/agents',
      scope: 'agents:read',
      summary: 'List agents, in the order in which they came.',
      pathSchema: noPath,
      querySchema: listQuery,
      answer: pageShape(agentShape),
    },
    null,
    async (call) => {
      const { log } = call.account;
      const { status, owner } = call.query;
      return pageOf(call, 'listAgents', log.roster.agents, {
        pick: (id) => {
          const agent = agentOf(log.read, id);
          if (agent === undefined || (status !== undefined && agent.status !== status)) return undefined;
          return owner === undefined || agent.owner === owner ? agent : undefined;
        },
        show: async (agent) => agent,
      });
    },
  ),
  readEndpoint(
    {
      operationId: 'getAgent',
      path: '/agents/{id}',
      scope: 'agents:read',
      summary: 'Look at one agent.',
      pathSchema: agentPath,
      querySchema: noQuery,
      answer: agentShape,
    },
    ({ id }) => `agent/${id}`,
    async ({ account, path }) => requireAgent(account.log.read, path.id),
  ),
  changeEndpoint(
    {
      operationId: 'suspendAgent',
      path: '/agents/{id}/suspend',
      scope: 'agents:suspend',
      summary: 'Suspend an agent, and everything handed on from it, everywhere.',
      pathSchema: agentPath,
      querySchema: dryRunQuery,
      answer: agentChangeShape,
    },
    (call) => suspension(call),
  ),
  changeEndpoint(
    {
      operationId: 'reactivateAgent',
      path: '/agents/{id}/reactivate',
      scope: 'agents:reactivate',
      summary: 'Take back the suspension of an agent that this API made.',
      description:
        'What its owner or an admin suspended, and what fell with its owner, stays. Envelopes made before stay refused.',
      pathSchema: agentPath,
      querySchema: dryRunQuery,
      answer: agentChangeShape,
    },
    (call) => reactivation(call),
  ),
];

type ChangeCall = ApiCall<{ readonly id: string }, { readonly dry_run: boolean }>;

function suspension(call: ChangeCall): PlannedChange {
  const { account, path } = call;
  return {
    ...changeOf(call),
    plan: (read) =>
      requireAgent(read, path.id).suspensions.includes(sourceOf(account))
        ? undefined
        : { type: 'agent.suspend', agent: path.id },
  };
}

function reactivation(call: ChangeCall): PlannedChange {
  const { path } = call;
  return {
    ...changeOf(call),
    plan: (read) => {
      const agent = requireAgent(read, path.id);
      return agent.live ? undefined : { type: 'agent.resume', agent: path.id, keys: keysToKeep(read, agent) };
    },
  };
}

/** Keys from before a recovery of the owner do not come back; the rules would refuse the whole. */
function keysToKeep(read: Read, { owner, keys }: ApiAgent): readonly string[] {
  const recovered = read(`principal/${owner}`)?.recoveredSeq ?? null;
  return keys.filter((thumbprint) => {
    const key = read(`key/${thumbprint}`);
    return recovered === null || key === undefined || key.addedBy === null || key.addedSeq >= recovered;
  });
}

function changeOf({ account, path, query }: ChangeCall): Omit<PlannedChange, 'plan'> {
  return {
    target: `agent/${path.id}`,
    dryRun: query.dry_run,
    answer: (read, { before, ...made }) => ({
      ...made,
      agent: requireAgent(read, path.id),
      leaving: made.dryRun ? leavingWith(account, before, path.id) : null,
    }),
  };
}

function requireAgent(read: Read, id: string): ApiAgent {
  const agent = agentOf(read, id);
  if (agent === undefined) throw new IssuerRefusal('target_unknown', 'no such agent');
  return agent;
}

function agentOf(read: Read, id: string): ApiAgent | undefined {
  const agent = read(`agent/${id}`);
  if (agent === undefined) return undefined;
  const { owner, kind, status, suspensions, keys } = agent;
  return { id, owner, kind, status, live: agentIsLive(read, id), suspensions, keys };
}
