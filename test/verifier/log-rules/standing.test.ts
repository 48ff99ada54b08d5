import { agentIsLive, keyIsLive, principalIsLive } from '@bulla/verifier/log';
import { expect, test } from 'vitest';
import { createLedger } from '../../kit/log.ts';

test('genesis, a person, an agent, a policy, an audience and a mint lease are applied', () => {
  const ledger = createLedger();
  const alice = ledger.person({ groups: [ledger.group('staff')] });
  const agent = ledger.agent(alice);
  ledger.policy();
  const mint = ledger.mint([ledger.audience('https://api.example')]);
  expect(principalIsLive(ledger.read, alice.id)).toBe(true);
  expect(agentIsLive(ledger.read, agent.id)).toBe(true);
  expect(keyIsLive(ledger.read, agent.signer.publicKey.thumbprint)).toBe(true);
  expect(ledger.read(`delegate/${mint.publicKey.thumbprint}`)?.status).toBe('active');
});
