import type { SignedEnvelope } from './envelope/signatures.ts';
import { Refusal } from './errors.ts';
import type { AgentRecord, PrincipalRecord } from './log/records.ts';
import { keyIsLive, liveAgent, livePrincipal } from './log/standing.ts';
import type { TrustView } from './log/view.ts';

interface Agent {
  readonly id: string;
  readonly record: AgentRecord;
}

/** Who acts for whom: computed from log and block keys, never read from a claim (F10, F11). */
export interface Parties {
  readonly principal: { readonly id: string; readonly record: PrincipalRecord };
  /** The agent that was minted for; absent when a person acts with a key of their own. */
  readonly agent?: Agent;
  /** Every agent of the log that the envelope passed through: the standing limits of all of them apply. */
  readonly agents: readonly Agent[];
  /** Ids in the order the envelope passed through them, the person first; `unlogged` for a key in no log. */
  readonly actors: readonly string[];
  /** Whether the last holder's key is in the log. */
  readonly key: 'logged' | 'unlogged';
}

/**
 * Finds everyone an envelope speaks for, each active now, in the epochs of minting, each key belonging to its subject.
 *
 * @throws {Refusal} `subject_not_active`, `agent_not_active`, `holder_key_not_live`.
 */
export function findParties(trust: TrustView, envelope: SignedEnvelope): Parties {
  const { root } = envelope;
  const principal = activePrincipal(trust, root.sub);
  if (principal.epoch !== root.epoch.principal) {
    throw new Refusal('subject_not_active', 'the person was suspended since this envelope was minted');
  }
  const agent = root.client_id === undefined ? undefined : mintedAgent(trust, root, root.client_id);
  const minted = agent === undefined ? `principal/${root.sub}` : `agent/${agent.id}`;
  if (subjectOfKey(trust, root.cnf.jkt) !== minted) {
    throw new Refusal('holder_key_not_live', 'holder key does not belong to the one it was minted for');
  }
  const subjects = laterHolders(trust, envelope);
  const agents = subjects.flatMap((subject) =>
    subject?.startsWith('agent/') === true ? [activeAgent(trust, idOf(subject))] : [],
  );
  for (const subject of subjects) {
    if (subject?.startsWith('principal/') === true) activePrincipal(trust, idOf(subject));
  }
  const later = subjects.map((subject) => (subject === undefined ? 'unlogged' : idOf(subject)));
  return {
    principal: { id: root.sub, record: principal },
    ...(agent !== undefined && { agent }),
    agents: agent === undefined ? agents : [agent, ...agents],
    actors: agent === undefined ? [root.sub, ...later] : [root.sub, agent.id, ...later],
    key: later.at(-1) === 'unlogged' ? 'unlogged' : 'logged',
  };
}

function mintedAgent(trust: TrustView, root: SignedEnvelope['root'], id: string): Agent {
  const agent = activeAgent(trust, id);
  if (agent.record.owner !== root.sub) {
    throw new Refusal('agent_not_active', 'the agent belongs to another person');
  }
  if (agent.record.epoch !== root.epoch.agent) {
    throw new Refusal('agent_not_active', 'the agent was suspended since this envelope was minted');
  }
  return agent;
}

/** Subjects of the keys that blocks hand the envelope to, in order; undefined for a key in no log. */
function laterHolders(trust: TrustView, envelope: SignedEnvelope): readonly (string | undefined)[] {
  const subjects: (string | undefined)[] = [];
  let holder = envelope.root.cnf.jkt;
  for (const block of envelope.blocks) {
    if (block.holder.thumbprint === holder) continue;
    holder = block.holder.thumbprint;
    subjects.push(subjectOfKey(trust, holder));
  }
  return subjects;
}

/** `agent/<id>` or `principal/<id>` for a key in the log, undefined for a key in none. */
function subjectOfKey(trust: TrustView, thumbprint: string): string | undefined {
  const record = trust.read(`key/${thumbprint}`);
  if (trust.stopped(`key/${thumbprint}`) || (record !== undefined && !keyIsLive(trust.read, thumbprint))) {
    throw new Refusal('holder_key_not_live', 'a holder key was revoked');
  }
  if (
    record === undefined ||
    record.subject.startsWith('agent/') ||
    record.subject.startsWith('principal/')
  ) {
    return record?.subject;
  }
  throw new Refusal('holder_key_not_live', 'a holder key belongs to the service, not to a person or agent');
}

function activePrincipal(trust: TrustView, id: string): PrincipalRecord {
  const record = livePrincipal(trust.read, id);
  if (record === undefined || trust.stopped(`principal/${id}`)) {
    throw new Refusal('subject_not_active', 'the person is not active');
  }
  return record;
}

function activeAgent(trust: TrustView, id: string): Agent {
  const record = liveAgent(trust.read, id);
  if (record === undefined || trust.stopped(`agent/${id}`) || trust.stopped(`principal/${record.owner}`)) {
    throw new Refusal('agent_not_active', 'an agent or its owner is not active');
  }
  return { id, record };
}

const idOf = (subject: string): string => subject.slice(subject.indexOf('/') + 1);
