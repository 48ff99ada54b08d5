import { Refusal } from '../../errors.ts';
import type { Proposal } from '../proposal.ts';
import type { Rules } from './rule.ts';

/** In which e-mail domains delegates may provision people. Admin only. */
export const domainRules: Rules<'domain.trust' | 'domain.distrust'> = {
  'domain.trust': (proposal, op) => {
    if (proposal.read(`domain/${op.domain}`)?.status === 'trusted') {
      throw new Refusal('rule_domain_known', 'domain is trusted already');
    }
    proposal.put(`domain/${op.domain}`, { status: 'trusted' });
  },

  'domain.distrust': (proposal, op) => {
    requireTrustedDomain(proposal, op.domain);
    proposal.put(`domain/${op.domain}`, { status: 'distrusted' });
  },
};

/** Where a delegate says which domain a person is in: one that its lease lists and the account trusts. */
export function requireDomain(proposal: Proposal, domain: string | undefined): void {
  const { actor } = proposal;
  if (actor.rank !== 'delegate') return;
  if (domain === undefined || actor.lease.domains?.includes(domain) !== true) {
    throw new Refusal('rule_domain_unlisted', 'domain is missing, or not in the lease');
  }
  requireTrustedDomain(proposal, domain);
}

function requireTrustedDomain(proposal: Proposal, domain: string): void {
  if (proposal.read(`domain/${domain}`)?.status !== 'trusted') {
    throw new Refusal('rule_domain_untrusted', 'domain is not trusted');
  }
}
