import { audienceKey, type Operation, revokedKey } from '@bulla/verifier/log';
import { expect, test } from 'vitest';
import { createLedger, type Ledger, someDigest } from '../../kit/log.ts';

const attempt = (ledger: Ledger, op: Operation): string => ledger.force(ledger.sign({ op }));
const publish = (text: string, overlapUntil?: number): Operation => ({
  type: 'policy.publish',
  slot: 'main',
  digest: someDigest(text),
  ...(overlapUntil === undefined ? {} : { overlapUntil }),
});

test('a slot has one current set; the one before is kept only for an overlap', () => {
  const ledger = createLedger();
  const until = ledger.time + 100;
  expect(attempt(ledger, publish('a', until))).toBe('rule_overlap');
  ledger.do(publish('a'));
  expect(attempt(ledger, publish('a'))).toBe('rule_policy_unchanged');
  ledger.do(publish('b'));
  expect(ledger.read('slot/main')).toEqual({ status: 'active', digest: someDigest('b'), previous: null });
  expect(attempt(ledger, publish('c', ledger.time))).toBe('rule_overlap');
  ledger.do(publish('c', until));
  expect(ledger.read('slot/main')?.previous).toEqual({ digest: someDigest('b'), until });
  ledger.do(publish('d'));
  expect(ledger.read('slot/main')?.previous).toBeNull();
});

test('an overlap is prolonged or ended, never begun, by `policy.overlap`', () => {
  const ledger = createLedger();
  const overlap = (until: number): Operation => ({ type: 'policy.overlap', slot: 'main', until });
  expect(attempt(ledger, overlap(ledger.time + 1))).toBe('rule_slot_unknown');
  ledger.do(publish('a'));
  expect(attempt(ledger, overlap(ledger.time + 1))).toBe('rule_overlap');
  ledger.do(publish('b', ledger.time + 100));
  ledger.do(overlap(ledger.time + 200));
  expect(ledger.read('slot/main')?.previous?.until).toBe(ledger.time + 200);
  ledger.do(overlap(ledger.time));
  expect(ledger.read('slot/main')?.previous).toBeNull();
});

test('a retired slot stays retired', () => {
  const ledger = createLedger();
  ledger.do(publish('a'));
  ledger.do({ type: 'policy.retire', slot: 'main' });
  const audience: Operation = {
    type: 'audience.register',
    audience: 'https://api.example',
    slot: 'main',
    maxStalenessSeconds: 60,
  };
  const ops: readonly Operation[] = [
    publish('b'),
    { type: 'policy.retire', slot: 'main' },
    { type: 'policy.overlap', slot: 'main', until: ledger.time + 1 },
    audience,
  ];
  for (const op of ops) expect(attempt(ledger, op)).toBe('rule_slot_retired');
});

test('an audience names a slot that exists; retired, it stays so', () => {
  const ledger = createLedger();
  const register = (slot: string, maxStalenessSeconds = 60): Operation => ({
    type: 'audience.register',
    audience: 'https://api.example',
    slot,
    maxStalenessSeconds,
  });
  expect(attempt(ledger, register('main'))).toBe('rule_slot_unknown');
  ledger.policy('main');
  ledger.policy('other');
  expect(attempt(ledger, register('main'))).toBe('accepted');
  expect(attempt(ledger, register('other', 30))).toBe('accepted');
  expect(ledger.read(audienceKey('https://api.example'))).toMatchObject({
    slot: 'other',
    maxStalenessSeconds: 30,
  });
  const retire: Operation = { type: 'audience.retire', audience: 'https://api.example' };
  expect([attempt(ledger, retire), attempt(ledger, retire), attempt(ledger, register('main'))]).toEqual([
    'accepted',
    'rule_audience_unknown',
    'rule_audience_retired',
  ]);
});

test('a capability is revoked once', () => {
  const ledger = createLedger();
  const revoke: Operation = { type: 'capability.revoke', jti: 'j1', exp: ledger.time + 60 };
  expect([attempt(ledger, revoke), attempt(ledger, revoke)]).toEqual(['accepted', 'rule_status']);
  expect(ledger.read(revokedKey('j1'))).toEqual({ exp: ledger.time + 60 });
});
