import type { SignedEnvelope } from './envelope/signatures.ts';
import { Refusal } from './errors.ts';
import { requireOutsideToken } from './federation/check.ts';
import type { AgentRecord, Assurance, FederationRecord, PrincipalRecord } from './log/records.ts';
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
  /** How the holders' keys are known: the weakest of how the first and the last one are. */
  readonly key: KeyStanding;
  /** By whose word the people of the chain have their keys, owners of agents included: the weakest. */
  readonly assurance: Assurance;
}

/** Ascending. */
const assurances = ['none', 'delegate', 'sponsor', 'login', 'admin'] as const satisfies readonly Assurance[];

/** Ascending: the mint's word alone; a key that a holder named; one bound to an outside token; one in the log. */
const standings = ['vouched', 'unlogged', 'federated', 'logged'] as const;

/** How a holder's key is known: `vouched` < `unlogged` < `federated` < `logged`. */
export type KeyStanding = (typeof standings)[number];

/**
 * Finds everyone an envelope speaks for, each active now, in the epochs of minting, each key belonging to its subject.
 *
 * @throws {Refusal} `subject_not_active`, `agent_not_active`, `holder_key_not_live`, `federation_not_trusted`,
 *   `federation_claims_mismatch`, `federation_not_bound`, `federation_time`.
 */
export function findParties(trust: TrustView, envelope: SignedEnvelope): Parties {
  const { root } = envelope;
  const principal = activePrincipal(trust, root.sub);
  if (principal.epoch !== root.epoch.principal) {
    throw new Refusal(
      'subject_not_active',
      'the person was suspended or left a group since this envelope was minted',
    );
  }
  const agent = root.client_id === undefined ? undefined : mintedAgent(trust, root, root.client_id);
  requireFirstHolder(trust, envelope, agent);
  const holders = laterHolders(trust, envelope);
  const agents = holders.flatMap(({ subject, since }) =>
    subject?.startsWith('agent/') === true ? [handedAgent(trust, idOf(subject), since)] : [],
  );
  const people = holders.flatMap(({ subject, since }) =>
    subject?.startsWith('principal/') === true ? [handedPerson(trust, idOf(subject), since)] : [],
  );
  const later = holders.map(({ subject }) => (subject === undefined ? 'unlogged' : idOf(subject)));
  return {
    principal: { id: root.sub, record: principal },
    ...(agent !== undefined && { agent }),
    agents: agent === undefined ? agents : [agent, ...agents],
    actors: agent === undefined ? [root.sub, ...later] : [root.sub, agent.id, ...later],
    key: weakest(root.key, later.at(-1) === 'unlogged' ? 'unlogged' : 'logged'),
    assurance: leastAssured(trust, [principal, ...people], agents),
  };
}

/** The minted agent is the person's; each later one has an owner of its own. */
function leastAssured(
  trust: TrustView,
  people: readonly PrincipalRecord[],
  agents: readonly Agent[],
): Assurance {
  const found = new Set(people.map(({ assurance }) => assurance));
  for (const { record } of agents) found.add(trust.read(`principal/${record.owner}`)?.assurance ?? 'none');
  return assurances.find((assurance) => found.has(assurance)) ?? 'none';
}

function weakest(first: KeyStanding, last: KeyStanding): KeyStanding {
  return standings.find((standing) => standing === first || standing === last) ?? 'vouched';
}

/** In the log the first key is the party's; one that the log does not know stands on what the root carries instead. */
function requireFirstHolder(trust: TrustView, envelope: SignedEnvelope, agent: Agent | undefined): void {
  const { root, firstHolder } = envelope;
  const subject = subjectOfKey(trust, firstHolder);
  if (root.key === 'logged') {
    if (subject !== (agent === undefined ? `principal/${root.sub}` : `agent/${agent.id}`)) {
      throw new Refusal('holder_key_not_live', 'holder key does not belong to the one it was minted for');
    }
    return;
  }
  if (subject !== undefined) {
    throw new Refusal('holder_key_not_live', 'holder key is in the log and is used as if it were not');
  }
  const name = root.key === 'federated' ? root.federated?.trust : root.vouched?.trust;
  const record = name === undefined ? undefined : federationOf(trust, name, agent);
  if (root.key === 'vouched') return;
  if (envelope.outside === undefined) {
    throw new Refusal('federation_token_invalid', 'envelope carries no outside token');
  }
  const { account, iat: now } = root;
  const since = agent?.record.resumedAt;
  requireOutsideToken(record, envelope.outside, { account, jkt: firstHolder, now, since });
}

/** The trust under this name, in force and standing for this agent. */
function federationOf(trust: TrustView, name: string, agent: Agent | undefined): FederationRecord {
  const record = trust.read(`federation/${name}`);
  if (record?.status !== 'trusted' || trust.stopped(`federation/${name}`)) {
    throw new Refusal('federation_not_trusted', 'outside issuer is not trusted under this name');
  }
  if (record.agent !== agent?.id) {
    throw new Refusal('federation_not_trusted', 'outside issuer is trusted for another agent');
  }
  return record;
}

/**
 * A key that the mint alone vouches for does only what an admin listed for the agent, whoever holds the envelope now.
 *
 * @throws {Refusal} `action_not_vouched`.
 */
export function requireVouched({ root }: SignedEnvelope, { agent }: Parties, action: string): void {
  if (root.key !== 'vouched') return;
  if (agent?.record.vouched?.includes(action) !== true) {
    throw new Refusal(
      'action_not_vouched',
      'admins have not listed this action for a vouched key of the agent',
    );
  }
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

/** An agent that a block handed the envelope to at `since`: what it was handed before a suspension does not come back with it (law 7). */
function handedAgent(trust: TrustView, id: string, since: number): Agent {
  const agent = activeAgent(trust, id);
  const { resumedAt } = agent.record;
  if (resumedAt !== undefined && since < resumedAt) {
    throw new Refusal('agent_not_active', 'an agent was suspended since this envelope was handed to it');
  }
  return agent;
}

/** As {@link handedAgent}, for a person that a block handed the envelope to. */
function handedPerson(trust: TrustView, id: string, since: number): PrincipalRecord {
  const person = activePrincipal(trust, id);
  if (person.renewedAt !== undefined && since < person.renewedAt) {
    throw new Refusal(
      'subject_not_active',
      'a person was suspended or left a group since this envelope was handed to them',
    );
  }
  return person;
}

interface LaterHolder {
  /** `agent/<id>` or `principal/<id>`; undefined for a key in no log. */
  readonly subject: string | undefined;
  /** `iat` of the block. */
  readonly since: number;
}

/** Whom blocks hand the envelope to, in order. */
function laterHolders(trust: TrustView, envelope: SignedEnvelope): readonly LaterHolder[] {
  const holders: LaterHolder[] = [];
  let holder = envelope.firstHolder;
  for (const block of envelope.blocks) {
    if (block.holder.thumbprint === holder) continue;
    holder = block.holder.thumbprint;
    holders.push({ subject: subjectOfKey(trust, holder), since: block.iat });
  }
  return holders;
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
