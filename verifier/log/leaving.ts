import { Refusal } from '../errors.ts';
import { groupsOf } from './groups.ts';
import type { AgentRecord, FederationRecord, PrincipalRecord, Read } from './records.ts';
import { agentIsLive, keyIsLive } from './standing.ts';

/** What ends when a person leaves, or one of their agents is suspended: what a dry run shows. */
export interface Leaving {
  /** `prn_…`: who leaves, or whose agent falls. */
  readonly principal: string;
  readonly status: PrincipalRecord['status'];
  /** The person's own keys that are in force, thumbprints ascending; none where only an agent falls. */
  readonly keys: readonly string[];
  /** Every group that the person is in, directly or not, ascending; none where only an agent falls. */
  readonly groups: readonly string[];
  /** Agents in force, with their keys in force, by id. */
  readonly agents: readonly LeavingAgent[];
  /** Names of the trusts by which tokens of outside issuers stand for one of these agents, ascending. */
  readonly federations: readonly string[];
}

/** An agent that falls with its owner. */
export interface LeavingAgent {
  /** `agt_…`. */
  readonly agent: string;
  readonly kind: AgentRecord['kind'];
  readonly keys: readonly string[];
  readonly federations: readonly string[];
}

/**
 * The blast radius of a person's suspension, deprovisioning or leaving a group, or of an agent's suspension or end: what works now
 * and will not after it. Changes nothing. `records`: all records of the same moment as `read`, such as `World.records()`; it is
 * walked once. `subject`: `prn_…` or `agt_…`.
 *
 * Does NOT know which envelopes are out, nor which holders they were handed on to: every one that began with this person or one
 * of these agents is refused as well.
 *
 * @throws {Refusal} `rule_subject_unknown`.
 */
export function leavingOf(
  read: Read,
  records: Iterable<readonly [string, unknown]>,
  subject: string,
): Leaving {
  const only = read(`agent/${subject}`);
  const principal = only?.owner ?? subject;
  const person = read(`principal/${principal}`);
  if (person === undefined) throw new Refusal('rule_subject_unknown', 'no such person or agent');
  const owned: string[] = [];
  const trusts: (readonly [name: string, agent: string])[] = [];
  for (const [key, record] of records) {
    if (key.startsWith('agent/') && (record as AgentRecord).owner === principal) {
      const id = key.slice('agent/'.length);
      if (only === undefined || id === subject) owned.push(id);
    } else if (key.startsWith('federation/') && (record as FederationRecord).status === 'trusted') {
      trusts.push([key.slice('federation/'.length), (record as FederationRecord).agent]);
    }
  }
  const agents = owned
    .filter((agent) => agentIsLive(read, agent))
    .sort()
    .map((agent) => leavingAgent(read, agent, trusts));
  return {
    principal,
    status: person.status,
    keys: only === undefined ? person.keys.filter((key) => keyIsLive(read, key)) : [],
    groups: only === undefined ? reachedGroups(read, person) : [],
    agents,
    federations: agents.flatMap(({ federations }) => federations).sort(),
  };
}

function leavingAgent(
  read: Read,
  agent: string,
  trusts: readonly (readonly [name: string, agent: string])[],
): LeavingAgent {
  const record = read(`agent/${agent}`);
  return {
    agent,
    kind: record?.kind ?? 'autonomous',
    keys: (record?.keys ?? []).filter((key) => keyIsLive(read, key)),
    federations: trusts.flatMap(([name, named]) => (named === agent ? [name] : [])).sort(),
  };
}

/** Those that the person is directly in where too many are reached: that must not keep anybody from looking. */
function reachedGroups(read: Read, person: PrincipalRecord): readonly string[] {
  try {
    return groupsOf(read, person);
  } catch (error) {
    if (error instanceof Refusal && error.code === 'rule_groups_too_many') return person.groups;
    throw error;
  }
}
