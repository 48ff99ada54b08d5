import type { Operations, OperationType } from '../operation-formats.ts';
import type { Operation } from '../operations.ts';
import type { Proposal } from '../proposal.ts';
import { accountRules } from './account.ts';
import { activationRules } from './activation.ts';
import { agentRules } from './agent.ts';
import { authorityRules } from './authority.ts';
import { domainRules } from './domain.ts';
import { federationRules } from './federation.ts';
import { groupRules } from './group.ts';
import { keyRules } from './key.ts';
import { loginRules } from './login.ts';
import { policyRules } from './policy.ts';
import { principalRules } from './principal.ts';
import { recoveryRules } from './recovery.ts';
import type { Rules } from './rule.ts';

const rules: Rules<OperationType> = {
  ...accountRules,
  ...authorityRules,
  ...domainRules,
  ...principalRules,
  ...agentRules,
  ...activationRules,
  ...recoveryRules,
  ...federationRules,
  ...loginRules,
  ...keyRules,
  ...groupRules,
  ...policyRules,
};

function run<T extends OperationType>(proposal: Proposal, type: T, op: Operations[T]): void {
  rules[type](proposal, op);
}

/** Asks the rules of this operation's noun. @throws {Refusal} with the code of the rule that was broken. */
export function runRule(proposal: Proposal, op: Operation): void {
  run(proposal, op.type, op);
}
