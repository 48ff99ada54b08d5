import { Refusal } from '../../errors.ts';
import { parsePublicJwk } from '../../keys.ts';
import { reachesProtected } from '../groups.ts';
import { checkLogin, identityKey } from '../login.ts';
import type { Operations } from '../operation-formats.ts';
import type { Proposal } from '../proposal.ts';
import type { Assurance, PrincipalRecord } from '../records.ts';
import { livePrincipal } from '../standing.ts';
import { requireReachedBy } from './connection.ts';
import { principalOf } from './known.ts';
import { requireTrustedLogin } from './login.ts';
import { endRecovery } from './recovery.ts';
import type { Rules } from './rule.ts';
import { addKey, keepKeys } from './subject-keys.ts';

type Activation = Operations['principal.activate'];

/** A person's first key, on a word that the issuer cannot give (F2). */
export const activationRules: Rules<'principal.activate'> = {
  'principal.activate': (proposal, op) => {
    const person = principalOf(proposal, op.principal);
    const again = person.status === 'active' && person.assurance === 'delegate';
    if (person.status !== 'pending' && !again) throw new Refusal('rule_status', 'person is not pending');
    const assurance = assuranceOf(proposal, op, person);
    if (again && assurance === 'delegate') throw new Refusal('rule_status', 'person is active');
    const none = keepKeys(proposal, person.keys, []);
    endRecovery(proposal, person);
    proposal.putPrincipal(op.principal, person, {
      status: 'active',
      epoch: person.epoch + 1,
      keys: addKey(proposal, none, op.key, `principal/${op.principal}`),
      assurance,
      // Whoever was active on a delegate's word may have been somebody else: what their keys added does not survive.
      recoveredSeq: again ? proposal.seq : person.recoveredSeq,
      recovery: recoveryOf(proposal, op),
    });
  },
};

function recoveryOf(proposal: Proposal, { principal, recovery }: Activation): PrincipalRecord['recovery'] {
  if (recovery === undefined) return null;
  const key = proposal.enterKey(recovery, `recovery/${principal}`);
  return { key, people: [], threshold: 0, setBy: proposal.askingKey, setSeq: proposal.seq };
}

/** By whose word this is the person's key. */
function assuranceOf(proposal: Proposal, op: Activation, person: PrincipalRecord): Assurance {
  const { actor } = proposal;
  const byItself = actor.rank === 'owner' && actor.subject === 'new';
  if (!byItself && op.login !== undefined) {
    throw new Refusal('rule_login_unneeded', 'log-in beside the word of an admin or sponsor');
  }
  if (actor.rank !== 'owner') return 'admin';
  if (op.login !== undefined) {
    requireLogin(proposal, op, person);
    return 'login';
  }
  if (!byItself) {
    requireSponsor(proposal, actor.subject);
    return 'sponsor';
  }
  const { lent } = actor;
  if (lent?.operations.includes('principal.activate') !== true) {
    throw new Refusal('rule_not_sponsor', "activation carries nobody's word but that of its own key");
  }
  requireReachedBy(lent, person);
  requireUnprotected(proposal, person);
  return 'delegate';
}

function requireLogin(
  proposal: Proposal,
  { principal, key, login }: Activation,
  person: PrincipalRecord,
): void {
  if (person.login === null || login === undefined) {
    throw new Refusal('rule_login_untrusted', 'no log-in may confirm this person');
  }
  const trusted = requireTrustedLogin(proposal, person.login.trust);
  const { thumbprint: jkt } = parsePublicJwk(key);
  const identity = checkLogin(login, { trusted, commitment: person.login, jkt, now: proposal.time });
  const name = identityKey(identity);
  const other = proposal.read(name)?.principal ?? principal;
  // Else one account at the IdP, in league with a delegate, could be as many people as it likes.
  if (other !== principal && proposal.read(`principal/${other}`)?.status !== 'deprovisioned') {
    throw new Refusal('rule_login_known', 'this log-in has confirmed another person');
  }
  proposal.put(name, { principal });
}

function requireSponsor(proposal: Proposal, subject: string): void {
  const id = subject.startsWith('principal/') ? subject.slice('principal/'.length) : '';
  const sponsor = livePrincipal(proposal.read, id);
  if (sponsor?.sponsor !== true || sponsor.assurance === 'delegate') {
    throw new Refusal('rule_not_sponsor', 'activation is signed by neither an admin nor a sponsor');
  }
}

/** Nobody is in a protected group on a delegate's word. */
function requireUnprotected(proposal: Proposal, { groups }: PrincipalRecord): void {
  if (reachesProtected(proposal.read, groups)) {
    throw new Refusal('rule_not_confirmed', 'person is in a protected group');
  }
}
