import { Refusal } from '../../errors.ts';
import type { Proposal } from '../proposal.ts';
import type { KeyRecord } from '../records.ts';
import { requireAgent } from './agent.ts';
import { requireReachedSubject } from './connection.ts';
import { principalOf } from './known.ts';
import { dropRecovery } from './recovery.ts';
import type { Rules } from './rule.ts';
import { addKey, markRevoked } from './subject-keys.ts';

export const keyRules: Rules<'key.add' | 'key.rotate' | 'key.revoke'> = {
  'key.add': (proposal, op) => {
    const subject = subjectOf(proposal, op.subject);
    requireSelfOrOwner(proposal, op.subject);
    subject.setKeys(addKey(proposal, subject.keys, op.key, op.subject));
  },

  'key.rotate': (proposal, op) => {
    if (proposal.askingKey !== op.old) {
      throw new Refusal('rule_not_permitted', 'rotation is not signed by the old key');
    }
    const { subject: name } = subjectKeyOf(proposal, op.old);
    const subject = subjectOf(proposal, name);
    markRevoked(proposal, op.old, null);
    subject.setKeys(
      addKey(
        proposal,
        subject.keys.filter((key) => key !== op.old),
        op.key,
        name,
      ),
    );
  },

  'key.revoke': (proposal, op) => {
    const key = subjectKeyOf(proposal, op.key);
    requireReachedSubject(proposal, key.subject);
    const { since } = op;
    // One entry would end all that a sponsor's key ever let in, whatever the caps and the connection say.
    if (since !== undefined && proposal.actor.rank === 'delegate') {
      throw new Refusal('rule_not_permitted', 'a delegate cannot end what a key added');
    }
    if (since !== undefined && since > proposal.seq) {
      throw new Refusal('rule_revoke_since', '`since` is after this entry');
    }
    const further = since !== undefined && (key.revokedSince === null || since < key.revokedSince);
    if (key.status === 'revoked' && !further) throw new Refusal('rule_key_revoked', 'key was revoked');
    if (proposal.askingKey !== op.key) requireSelfOrOwner(proposal, ownSubject(key.subject));
    markRevoked(proposal, op.key, further ? since : null);
    dropKey(proposal, key.subject, op.key);
  },
};

interface Subject {
  readonly keys: readonly string[];
  setKeys(keys: readonly string[]): void;
}

/** The person or agent that may hold keys now. */
function subjectOf(proposal: Proposal, subject: string): Subject {
  const id = subject.slice(subject.indexOf('/') + 1);
  if (subject.startsWith('agent/')) {
    const agent = proposal.read(`agent/${id}`);
    if (agent === undefined) throw new Refusal('rule_subject_unknown', 'no such agent');
    if (agent.status === 'revoked') throw new Refusal('rule_status', 'agent was revoked');
    return { keys: agent.keys, setKeys: (keys) => proposal.putAgent(id, agent, { keys }) };
  }
  const person = principalOf(proposal, id);
  if (person.status !== 'active') throw new Refusal('rule_subject_not_active', 'person is not active');
  return { keys: person.keys, setKeys: (keys) => proposal.putPrincipal(id, person, { keys }) };
}

/** A person's or an agent's key; those of admins, delegates and the log have operations of their own. */
function subjectKeyOf(proposal: Proposal, thumbprint: string): KeyRecord {
  const key = proposal.read(`key/${thumbprint}`);
  if (key === undefined || !key.subject.includes('/')) {
    throw new Refusal('rule_key_unknown', 'no person or agent has this key');
  }
  return key;
}

/** Where somebody asks: about their own subject, or, as a person, about an agent of theirs. */
function requireSelfOrOwner(proposal: Proposal, subject: string): void {
  const { actor } = proposal;
  if (actor.rank !== 'owner') return;
  if (!actor.subject.startsWith('principal/')) {
    throw new Refusal('rule_not_owner', 'an agent asks about a key that is not the signing one');
  }
  if (subject === actor.subject) return;
  if (!subject.startsWith('agent/')) throw new Refusal('rule_not_owner', 'asked for by somebody else');
  requireAgent(proposal, subject.slice('agent/'.length));
}

function dropKey(proposal: Proposal, subject: string, thumbprint: string): void {
  const id = subject.slice(subject.indexOf('/') + 1);
  const without = (keys: readonly string[]) => keys.filter((key) => key !== thumbprint);
  const agent = subject.startsWith('agent/') ? proposal.read(`agent/${id}`) : undefined;
  if (agent !== undefined) {
    proposal.putAgent(id, agent, { keys: without(agent.keys) });
    return;
  }
  const person = principalOf(proposal, id);
  const recovery = dropRecovery(proposal, person, thumbprint);
  proposal.putPrincipal(id, person, { keys: without(person.keys), recovery });
}

/** A recovery key is the person's. */
function ownSubject(subject: string): string {
  return subject.startsWith('recovery/') ? `principal/${subject.slice('recovery/'.length)}` : subject;
}
