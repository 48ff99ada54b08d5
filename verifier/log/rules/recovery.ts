import { Refusal } from '../../errors.ts';
import type { Proposal } from '../proposal.ts';
import type { PrincipalRecord } from '../records.ts';
import { recoveryStands } from '../recovery.ts';
import { liveKey, livePrincipal } from '../standing.ts';
import { storedKey } from '../stored-keys.ts';
import { principalOf } from './known.ts';
import type { Rules } from './rule.ts';
import { addKey, keepKeys, markRevoked } from './subject-keys.ts';

/** Who may bring in another key for a person: never a delegate (F3). */
export const recoveryRules: Rules<'recovery.set' | 'key.recover'> = {
  'recovery.set': (proposal, op) => {
    const { actor } = proposal;
    if (actor.rank !== 'owner' || actor.subject !== `principal/${op.principal}`) {
      throw new Refusal('rule_not_owner', 'recovery is set by somebody else than the person');
    }
    const person = principalOf(proposal, op.principal);
    requirePeople(proposal, op);
    const before = person.recovery?.key ?? null;
    if (op.key !== undefined && before !== null) markRevoked(proposal, before, null);
    const key = op.key === undefined ? before : proposal.enterKey(op.key, `recovery/${op.principal}`);
    proposal.putPrincipal(op.principal, person, {
      recovery: {
        key,
        people: [...op.people].sort(),
        threshold: op.threshold,
        setBy: actor.key,
        setSeq: proposal.seq,
      },
    });
  },

  'key.recover': (proposal, op) => {
    const person = principalOf(proposal, op.principal);
    if ((person.status !== 'active' && person.status !== 'suspended') || person.assurance === 'none') {
      throw new Refusal('rule_status', 'person is neither active nor suspended, or was never activated');
    }
    if (proposal.actor.rank !== 'admin') requireRecoverers(proposal, op.principal, person);
    const none = keepKeys(proposal, person.keys, []);
    const keys = addKey(proposal, none, op.key, `principal/${op.principal}`);
    proposal.putPrincipal(op.principal, person, {
      keys,
      epoch: person.epoch + 1,
      recoveredSeq: proposal.seq,
      recovery: endRecovery(proposal, person),
      ...(proposal.actor.rank === 'admin' && { assurance: 'admin' }),
    });
  },
};

/** Ends who may recover a person's key, the recovery key included. @returns what the record says then. */
export function endRecovery(proposal: Proposal, { recovery }: PrincipalRecord): null {
  if (recovery !== null && recovery.key !== null) markRevoked(proposal, recovery.key, null);
  return null;
}

/** After a resume: as it was where every key survives; where one is let go, whoever held it may have set it. */
export function recoveryAfter(
  proposal: Proposal,
  person: PrincipalRecord,
  survivors: readonly string[],
): PrincipalRecord['recovery'] {
  return person.keys.every((key) => survivors.includes(key))
    ? person.recovery
    : endRecovery(proposal, person);
}

/** After one key was revoked: what it set falls with it; the recovery key itself may be revoked like any other. */
export function dropRecovery(
  proposal: Proposal,
  person: PrincipalRecord,
  thumbprint: string,
): PrincipalRecord['recovery'] {
  const { recovery } = person;
  if (recovery === null) return null;
  if (recovery.setBy === thumbprint) return endRecovery(proposal, person);
  return recovery.key === thumbprint ? { ...recovery, key: null } : recovery;
}

function requirePeople(
  proposal: Proposal,
  {
    principal,
    people,
    threshold,
  }: { readonly principal: string; readonly people: readonly string[]; readonly threshold: number },
): void {
  if (threshold > people.length || (threshold === 0) !== (people.length === 0)) {
    throw new Refusal('rule_recovery_people', 'threshold does not fit the number of people');
  }
  if (!people.every((id) => id !== principal && isConfirmed(proposal, id))) {
    throw new Refusal('rule_recovery_people', 'one of the people is not another active, confirmed person');
  }
}

/** Active, and not by a delegate's word alone. */
function isConfirmed(proposal: Proposal, id: string): boolean {
  const person = livePrincipal(proposal.read, id);
  return person !== undefined && person.assurance !== 'delegate';
}

/** The recovery key, or enough different people of those named, each signing with a key in force. Nobody confirmed becomes unconfirmed. */
function requireRecoverers(proposal: Proposal, id: string, person: PrincipalRecord): void {
  const { actor } = proposal;
  const { recovery } = person;
  if (person.status !== 'active') throw new Refusal('rule_subject_not_active', 'person is not active');
  if (recovery === null || !recoveryStands(proposal.read, recovery)) {
    throw new Refusal('rule_recovery_unmet', 'nobody but an admin may recover this key');
  }
  if (actor.rank === 'owner' && actor.subject === `recovery/${id}`) return;
  const signed = new Set<string>();
  for (const signature of proposal.signatures) {
    const subject = liveKey(proposal.read, signature.thumbprint)?.subject;
    const signer = subject?.startsWith('principal/') === true ? subject.slice('principal/'.length) : '';
    const key = storedKey(proposal.read, signature.thumbprint);
    if (key === undefined || signed.has(signer) || !recovery.people.includes(signer)) continue;
    proposal.claim(signature, key);
    signed.add(signer);
  }
  if (recovery.threshold === 0 || signed.size < recovery.threshold) {
    throw new Refusal('rule_recovery_unmet', 'too few of the people named have signed');
  }
}
