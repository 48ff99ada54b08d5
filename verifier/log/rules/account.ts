import { Refusal } from '../../errors.ts';
import type { Proposal } from '../proposal.ts';
import type { AccountRecord } from '../records.ts';
import type { Rules } from './rule.ts';

/** The rules number this version knows. */
const rulesNumber = 1;

export const accountRules: Rules<'account.create' | 'account.seal' | 'account.rules'> = {
  'account.create': (proposal, op) => {
    requireRulesNumber(op.rules);
    if (op.threshold > op.admins.length) {
      throw new Refusal('rule_threshold_unmet', 'fewer admins than the threshold');
    }
    if (op.logKey.kty !== 'OKP') throw new Refusal('rule_log_key_kind', 'log key is not Ed25519');
    for (const jwk of op.admins) {
      const admin = proposal.enterKey(jwk, 'admin');
      proposal.put(`admin/${admin}`, { status: 'active' });
    }
    proposal.put('account', {
      rules: op.rules,
      origin: op.origin,
      threshold: op.threshold,
      admins: op.admins.length,
      logKey: proposal.enterKey(op.logKey, 'log'),
      seal: null,
    });
  },

  'account.seal': (proposal, op) => {
    const account = accountOf(proposal);
    if (op.size > proposal.seq || op.size <= (account.seal?.size ?? 0)) {
      throw new Refusal('rule_seal_size', 'seal is not between the last seal and this entry');
    }
    proposal.put('account', { ...account, seal: { size: op.size, root: op.root, state: op.state } });
  },

  'account.rules': (proposal, op) => {
    const account = accountOf(proposal);
    if (op.rules <= account.rules) throw new Refusal('rule_rules_lowered', 'rules number is not raised');
    requireRulesNumber(op.rules);
    proposal.put('account', { ...account, rules: op.rules });
  },
};

function requireRulesNumber(rules: number): void {
  if (rules > rulesNumber) throw new Refusal('entry_unknown', 'rules number of a later version');
}

export function accountOf(proposal: Proposal): AccountRecord {
  const account = proposal.read('account');
  if (account === undefined) throw new Refusal('rule_account_mismatch', 'log has no genesis');
  return account;
}
