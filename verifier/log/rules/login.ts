import { Refusal } from '../../errors.ts';
import type { Proposal } from '../proposal.ts';
import type { LoginRecord } from '../records.ts';
import type { Rules } from './rule.ts';

/** IdPs whose log-ins confirm people. Admin only; apart from `federation.trust`, whose tokens stand for agents. */
export const loginRules: Rules<'login.trust' | 'login.distrust'> = {
  'login.trust': (proposal, op) => {
    if (proposal.read(`login/${op.name}`)?.status === 'distrusted') {
      throw new Refusal('rule_login_dead', 'this name was distrusted');
    }
    if (op.keys.length === 0) throw new Refusal('rule_login_untrusted', 'no key of the IdP is named');
    const { issuer, keys, audience, claim } = op;
    proposal.put(`login/${op.name}`, {
      status: 'trusted',
      issuer,
      keys: [...keys].sort(),
      audience,
      claim,
    });
  },

  'login.distrust': (proposal, op) => {
    const record = requireTrustedLogin(proposal, op.name);
    proposal.put(`login/${op.name}`, { ...record, status: 'distrusted' });
  },
};

/** @throws {Refusal} `rule_login_untrusted`. */
export function requireTrustedLogin(proposal: Proposal, name: string): LoginRecord {
  const record = proposal.read(`login/${name}`);
  if (record?.status !== 'trusted') {
    throw new Refusal('rule_login_untrusted', 'no IdP is trusted to confirm people under this name');
  }
  return record;
}
