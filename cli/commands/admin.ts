import type { BullaCommand } from '../command.ts';
import { registerAccount } from './account.ts';
import { registerAgentCommands } from './agent.ts';
import { registerAudienceCommands } from './audience.ts';
import { registerDomain } from './domain.ts';
import { registerFederation } from './federation.ts';
import { registerGroup } from './group.ts';
import { registerKey } from './key.ts';
import { registerLease } from './lease.ts';
import { registerLogin } from './login.ts';
import { registerPerson } from './person.ts';
import { registerSigner } from './signer.ts';

export function registerAdmin(program: BullaCommand): void {
  const admin = program
    .command('admin')
    .description('Provision people, agents, groups, keys, leases and audiences. Every change is signed here.')
    .example('bulla admin person list');
  for (const register of registrations) register(admin);
}

const registrations: readonly ((admin: BullaCommand) => void)[] = [
  registerAccount,
  registerPerson,
  registerAgentCommands,
  registerDomain,
  registerFederation,
  registerLogin,
  registerGroup,
  registerKey,
  registerLease,
  registerAudienceCommands,
  registerSigner,
];
