import { Refusal } from '../../errors.ts';
import type { Operations } from '../operation-formats.ts';
import { requireAgent } from './agent.ts';
import type { Rules } from './rule.ts';

/** Which tokens of outside issuers stand for which agent. Admin only: this is what makes them stand for anybody. */
export const federationRules: Rules<'federation.trust' | 'federation.distrust'> = {
  'federation.trust': (proposal, op) => {
    if (proposal.read(`federation/${op.name}`)?.status === 'distrusted') {
      throw new Refusal('rule_federation_dead', 'this name was distrusted');
    }
    requireAgent(proposal, op.agent);
    requireTight(op);
    const { issuer, profile, keys, claims, audience = null, agent } = op;
    proposal.put(`federation/${op.name}`, {
      status: 'trusted',
      issuer,
      profile,
      keys: [...keys].sort(),
      claims,
      audience,
      agent,
    });
  },

  'federation.distrust': (proposal, op) => {
    const record = proposal.read(`federation/${op.name}`);
    if (record?.status !== 'trusted') {
      throw new Refusal('rule_federation_unknown', 'no outside issuer is trusted under this name');
    }
    proposal.put(`federation/${op.name}`, { ...record, status: 'distrusted' });
  },
};

/** An enterprise may have its own: with a slash and its name behind. */
const githubIssuer = 'https://token.actions.githubusercontent.com';

/**
 * What each profile demands of a trust, so that none is looser than it looks: a GitHub trust names a repository (an owner
 * at the least), a SPIFFE trust an id in its domain, and GitHub's issuer has GitHub's profile, which refuses events of strangers.
 */
function requireTight({ profile, issuer, claims, keys }: Operations['federation.trust']): void {
  const { repository, sub } = claims;
  if (keys.length === 0) throw new Refusal('rule_federation_loose', 'no key of the issuer is named');
  if ((profile === 'spiffe') !== issuer.startsWith('spiffe://')) {
    throw new Refusal('rule_federation_loose', 'profile and issuer do not fit together');
  }
  if (profile === 'oidc' && (issuer === githubIssuer || issuer.startsWith(`${githubIssuer}/`))) {
    throw new Refusal('rule_federation_loose', 'GitHub Actions has a profile of its own');
  }
  if (profile === 'github' && !/^[^*/]+\/./u.test(textOf(repository))) {
    throw new Refusal('rule_federation_loose', '`repository` with its owner is not among the claims');
  }
  if (profile === 'spiffe' && !textOf(sub).startsWith(`${issuer}/`)) {
    throw new Refusal('rule_federation_loose', 'a SPIFFE id of the trust domain is not among the claims');
  }
}

function textOf(demand: string | { readonly like: string } | undefined): string {
  return typeof demand === 'object' ? demand.like : (demand ?? '');
}
