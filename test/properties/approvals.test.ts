import { createVerifier, memoryReplay, type Verifier } from '@bulla/verifier';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { audience, outcomeOf } from '../kit/api.ts';
import { PaymentsWorld, payment, paymentsPolicy } from '../kit/payments.ts';

// Approvals add to what the policy may read, and to nothing else.

const world = new PaymentsWorld();
const { api, bob, carol, dora } = world;
const signers = [bob, carol, dora].map(({ signer }) => signer);

const verifier: Verifier = createVerifier({
  account: api.ledger.account,
  audience,
  publicOrigins: [audience],
  trust: api.trust,
  replay: memoryReplay({
    processes: 1,
    startedAt: api.now - 3600,
    approvals: 100_000,
    approvalsPerKey: 100_000,
  }),
  ports: { now: () => api.now },
});

const amount = fc.constantFrom(0, 1, 100, 101, 5000, 5001, 100_000, 100_001);
const approvers = fc.subarray(signers);
const outcome = (value: number, chosen: readonly (typeof signers)[number][], envelope: string) => {
  const paid = { amount: value, envelope };
  const wire = world.request(
    paid,
    chosen.map((signer) => world.approve(paid, signer)),
  );
  return outcomeOf(verifier.decide(wire, payment(value)));
};

test('a policy that does not read approvals decides the same with and without', async () => {
  const unread = { ...paymentsPolicy.policies };
  for (const id of ['one-of-finance', 'two-of-finance', 'board']) delete unread[id];
  api.publish({ ...paymentsPolicy, policies: unread });
  const envelope = api.envelope();
  await fc.assert(
    fc.asyncProperty(amount, approvers, async (value, chosen) => {
      expect(await outcome(value, chosen, envelope)).toBe(await outcome(value, [], envelope));
    }),
    { numRuns: 60 },
  );
  api.publish(paymentsPolicy);
});

test('the shipped set: who approved decides as if counted by hand', async () => {
  const envelope = api.envelope();
  await fc.assert(
    fc.asyncProperty(amount, approvers, async (value, chosen) => {
      const finance = chosen.filter((signer) => signer !== dora.signer).length;
      const board = chosen.length - finance;
      const allowed =
        value >= 1 &&
        (value <= 100 || finance >= 1) &&
        (value <= 5000 || finance >= 2) &&
        (value <= 100_000 || board >= 1);
      expect(await outcome(value, chosen, envelope)).toBe(allowed ? 'allow' : 'deny');
    }),
    { numRuns: 100 },
  );
});
