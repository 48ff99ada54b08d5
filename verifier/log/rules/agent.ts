import { Refusal } from '../../errors.ts';
import { canonicalJson, isJsonObject, type Json } from '../../json.ts';
import { limits } from '../../limits.ts';
import { agentIdOf } from '../entry.ts';
import type { Proposal } from '../proposal.ts';
import type { AgentRecord } from '../records.ts';
import { livePrincipal } from '../standing.ts';
import { requireReached } from './connection.ts';
import { principalOf } from './known.ts';
import type { Rules } from './rule.ts';
import { addKey, keepKeys } from './subject-keys.ts';
import { addSuspension, endSuspensions, requireAllKept, type Suspended } from './suspension.ts';

export const agentRules: Rules<
  'agent.register' | 'agent.limit' | 'agent.suspend' | 'agent.resume' | 'agent.revoke' | 'agent.vouch'
> = {
  'agent.register': (proposal, op) => {
    const { actor } = proposal;
    requireOwner(proposal, op.owner);
    const owner = principalOf(proposal, op.owner);
    if (owner.status !== 'active') throw new Refusal('rule_subject_not_active', 'owner is not active');
    if (op.kind === 'interactive' && actor.rank !== 'admin') {
      throw new Refusal('rule_not_permitted', 'interactive agents are registered by admins');
    }
    if (owner.agents >= limits.maxAgentsPerOwner)
      throw new Refusal('rule_agents_too_many', 'too many agents');
    const id = agentIdOf(proposal.leaf);
    proposal.put(`agent/${id}`, {
      version: 0,
      owner: op.owner,
      ownerEpoch: owner.epoch,
      kind: op.kind,
      status: 'active',
      suspendedBy: null,
      suspensions: [],
      epoch: 0,
      keys: op.key === undefined ? [] : addKey(proposal, [], op.key, `agent/${id}`),
      limits: { admin: [], owner: [] },
      registeredBy: actor.rank,
      adoptedWith: proposal.askingKey,
      adoptedSeq: proposal.seq,
    });
    proposal.putPrincipal(op.owner, owner, { agents: owner.agents + 1 });
  },

  'agent.limit': (proposal, op) => {
    const agent = requireAgent(proposal, op.agent);
    requireLimits(op.limits);
    const rank = proposal.actor.rank === 'admin' ? 'admin' : 'owner';
    proposal.putAgent(op.agent, agent, { limits: { ...agent.limits, [rank]: op.limits } });
  },

  'agent.vouch': (proposal, op) => {
    const agent = requireAgent(proposal, op.agent);
    proposal.putAgent(op.agent, agent, { vouched: [...op.actions].sort() });
  },

  'agent.suspend': (proposal, op) => {
    const agent = requireAgent(proposal, op.agent);
    proposal.putAgent(op.agent, agent, {
      status: 'suspended',
      epoch: agent.epoch + 1,
      ...addSuspension(agent.suspensions, proposal.actor),
    });
  },

  'agent.resume': (proposal, op) => {
    const agent = requireAgent(proposal, op.agent);
    const owner = livePrincipal(proposal.read, agent.owner);
    if (owner === undefined) throw new Refusal('rule_subject_not_active', 'owner is not active');
    const left = resumed(proposal, agent, owner.epoch);
    const mayStay = agent.keys.filter((key) => isAddedSince(proposal, key, owner.recoveredSeq));
    if (op.keys.some((key) => agent.keys.includes(key) && !mayStay.includes(key))) {
      throw new Refusal('rule_key_not_live', 'key was added before its owner was recovered');
    }
    requireAllKept(proposal, mayStay, op.keys);
    const adopted =
      proposal.actor.rank === 'delegate'
        ? {}
        : { ownerEpoch: owner.epoch, adoptedWith: proposal.askingKey, adoptedSeq: proposal.seq };
    proposal.putAgent(op.agent, agent, {
      ...left,
      status: left.suspensions.length === 0 ? 'active' : 'suspended',
      epoch: agent.epoch + 1,
      keys: keepKeys(proposal, agent.keys, op.keys),
      resumedAt: proposal.time,
      ...adopted,
    });
  },

  'agent.revoke': (proposal, op) => {
    const agent = requireAgent(proposal, op.agent);
    proposal.putAgent(op.agent, agent, {
      status: 'revoked',
      epoch: agent.epoch + 1,
      keys: keepKeys(proposal, agent.keys, []),
    });
    const owner = principalOf(proposal, agent.owner);
    proposal.putPrincipal(agent.owner, owner, { agents: owner.agents - 1 });
  },
};

/** The agent, not revoked; where a person asks, theirs. @throws {Refusal} `rule_subject_unknown`, `rule_status`, `rule_not_owner`. */
export function requireAgent(proposal: Proposal, id: string): AgentRecord {
  const agent = proposal.read(`agent/${id}`);
  if (agent === undefined) throw new Refusal('rule_subject_unknown', 'no such agent');
  requireOwner(proposal, agent.owner);
  requireReached(proposal, principalOf(proposal, agent.owner));
  if (agent.status === 'revoked') throw new Refusal('rule_status', 'agent was revoked');
  return agent;
}

function requireOwner(proposal: Proposal, owner: string): void {
  const { actor } = proposal;
  if (actor.rank === 'owner' && actor.subject !== `principal/${owner}`) {
    throw new Refusal('rule_not_owner', 'asked for by somebody else than the owner');
  }
}

/** Suspended by itself, or with its owner, which a delegate never ends. */
function resumed(proposal: Proposal, agent: AgentRecord, ownerEpoch: number): Suspended {
  const { actor } = proposal;
  const withOwner = agent.ownerEpoch !== ownerEpoch;
  if (agent.suspensions.length > 0) return endSuspensions(agent.suspensions, actor);
  if (!withOwner) throw new Refusal('rule_status', 'agent is not suspended');
  if (actor.rank === 'delegate') throw new Refusal('rule_rank_too_low', 'suspended with its owner');
  return { suspensions: [], suspendedBy: null };
}

/** After `key.recover` only keys that an admin or the recovered person's new keys added survive. */
function isAddedSince(proposal: Proposal, thumbprint: string, recoveredSeq: number | null): boolean {
  const key = proposal.read(`key/${thumbprint}`);
  return recoveredSeq === null || key === undefined || key.addedBy === null || key.addedSeq >= recoveredSeq;
}

function requireLimits(policies: readonly Json[]): void {
  for (const policy of policies) {
    if (!isJsonObject(policy) || policy['effect'] !== 'forbid') {
      throw new Refusal('rule_limit_not_forbid', 'a limit is not a `forbid`');
    }
    if (depthOf(policy) > limits.maxPolicyDepth) throw new Refusal('rule_limit_not_forbid', 'too deep');
  }
  if (Buffer.byteLength(canonicalJson(policies)) > limits.maxNarrowBytesPerBlock) {
    throw new Refusal('rule_limit_not_forbid', 'limits are too large');
  }
}

function depthOf(value: Json): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}
