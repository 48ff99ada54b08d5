import type { ReplayStore } from '@bulla/verifier';
import { memoryReplay } from '@bulla/verifier';
import { expect, test } from 'vitest';
import { ApiWorld, outcomeOf, readNote } from '../../kit/api.ts';

// A store and a mapper may take their time. What an admin takes away meanwhile is not given.

const waits: Record<string, (world: ApiWorld, change: () => void) => Promise<string>> = {
  'the replay store': (world, change) => {
    const memory = memoryReplay({ processes: 1, startedAt: world.now - 3600 });
    const replay: ReplayStore = {
      claim: async (use, now) => {
        await memory.claim(use, now);
        change();
      },
    };
    const request = world.request({ envelope: world.envelope({ jti: 'slow' }) });
    return outcomeOf(world.verifierWith({ replay }).decide(request, readNote()));
  },
  'the resource mapper': (world, change) => {
    const access = readNote();
    const resource = async () => {
      await Promise.resolve();
      change();
      return access.resource();
    };
    const request = world.request({ envelope: world.envelope({ jti: 'slow' }) });
    return outcomeOf(world.decide(request, { ...access, resource }));
  },
};

const changes: readonly [string, (world: ApiWorld) => void, string][] = [
  [
    'the agent is suspended',
    (w) => w.ledger.do({ type: 'agent.suspend', agent: w.agent.id }),
    'agent_not_active',
  ],
  ['the person is stopped', (w) => w.stops.add(`principal/${w.alice.id}`), 'subject_not_active'],
  [
    'the mint is revoked',
    (w) => w.ledger.do({ type: 'delegate.revoke', key: w.mint.publicKey.thumbprint }),
    'mint_not_trusted',
  ],
  ['the slot is retired', (w) => w.ledger.do({ type: 'policy.retire', slot: 'main' }), 'policy_retired'],
  [
    'the capability is revoked',
    (w) => w.ledger.do({ type: 'capability.revoke', jti: 'slow', exp: w.now + 300 }),
    'envelope_revoked',
  ],
  ['the envelope expires', (w) => (w.now += 301), 'envelope_expired'],
  ['the follower stops following', (w) => (w.age = Number.POSITIVE_INFINITY), 'trust_stale'],
];

test.each(
  Object.keys(waits).flatMap((who) =>
    changes.map(([what, change, code]) => [who, what, change, code] as const),
  ),
)('while %s takes its time, %s', async (who, _, change, code) => {
  const world = new ApiWorld();
  expect(await waits[who]?.(world, () => change(world))).toBe(code);
});

test.each(Object.keys(waits))('while %s takes its time, nothing happens', async (who) => {
  expect(await waits[who]?.(new ApiWorld(), () => {})).toBe('allow');
});
