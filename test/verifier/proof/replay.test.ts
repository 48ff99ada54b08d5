import { createNonces, memoryReplay } from '@bulla/verifier';
import { describe, expect, test } from 'vitest';
import {
  approvalReplayConformance,
  boundedApprovalReplayConformance,
} from '../../kit/approval-replay-conformance.ts';
import { codeOf } from '../../kit/deciding.ts';
import { boundedReplayConformance, replayConformance } from '../../kit/replay-conformance.ts';

const memory = {
  name: 'in memory',
  create: (bounds: { startedAt: number; capacity: number; perKey: number }) =>
    memoryReplay({ processes: 1, ...bounds }),
  survivesRestart: false,
};
replayConformance(memory);
boundedReplayConformance(memory);

const approvals = {
  name: 'in memory',
  create: (bounds: { startedAt: number; approvals: number; approvalsPerKey: number }) =>
    memoryReplay({ processes: 1, ...bounds }),
  survivesRestart: false,
};
approvalReplayConformance(approvals);
boundedApprovalReplayConformance(approvals);

test('a store for more than one process is not to be had in memory', () => {
  expect(() => memoryReplay({ processes: 2 as 1 })).toThrow(TypeError);
  expect(() => memoryReplay({} as { processes: 1 })).toThrow(TypeError);
});

test('forgets what is over: 300,000 proofs pass through a store for 66,000', async () => {
  const store = memoryReplay({ processes: 1, startedAt: 0, capacity: 66_000, perKey: 66_000 });
  for (let index = 0; index < 300_000; index += 1) {
    const issuedAt = 1_800_000_000 + Math.floor(index / 1000);
    void store.claim({ keyThumbprint: 'k', jti: String(index), issuedAt, nonceBound: false }, issuedAt);
  }
  const last = { keyThumbprint: 'k', jti: '299999', issuedAt: 1_800_000_299, nonceBound: false };
  expect(await codeOf(() => store.claim(last, last.issuedAt))).toBe('proof_replayed');
});

test('forgets approvals that are over: 30,000 pass through a store for 4,000', async () => {
  const store = memoryReplay({ processes: 1, startedAt: 0, approvals: 4000, approvalsPerKey: 4000 });
  for (let index = 0; index < 30_000; index += 1) {
    const issuedAt = 1_800_000_000 + index;
    const approval = { keyThumbprint: 'b', jti: String(index), issuedAt, expiresAt: issuedAt + 3600 };
    void store.claim(
      { keyThumbprint: 'k', jti: String(index), issuedAt, nonceBound: false, approvals: [approval] },
      issuedAt,
    );
  }
  const issuedAt = 1_800_029_999;
  const last = { keyThumbprint: 'b', jti: '29999', issuedAt, expiresAt: issuedAt + 3600 };
  const again = { keyThumbprint: 'k', jti: 'again', issuedAt, nonceBound: false, approvals: [last] };
  expect(await codeOf(() => store.claim(again, issuedAt))).toBe('approval_replayed');
});

describe('nonces', () => {
  let clock = 1_800_000_000;
  const nonces = createNonces({ now: () => clock, lifetimeSeconds: 100 });

  test('are accepted by the process that issued them, for their lifetime', () => {
    clock = 1_800_000_000;
    const nonce = nonces.issue();
    expect(nonces.check(nonce)).toBe(true);
    clock += 100;
    expect(nonces.check(nonce)).toBe(true);
    clock += 1;
    expect(nonces.check(nonce)).toBe(false);
  });

  test('are refused by every other process', () => {
    clock = 1_800_000_000;
    expect(createNonces({ now: () => clock }).check(nonces.issue())).toBe(false);
  });

  test('are refused when anything about them was changed', () => {
    clock = 1_800_000_000;
    const nonce = nonces.issue();
    const bytes = Buffer.from(nonce, 'base64url');
    for (let index = 0; index < bytes.length; index += 1) {
      const changed = Buffer.from(bytes);
      changed[index] = (changed[index] ?? 0) ^ 1;
      expect(nonces.check(changed.toString('base64url'))).toBe(false);
    }
    for (const odd of ['', 'x', `${nonce}=`, `${nonce}A`, `${nonce} `]) expect(nonces.check(odd)).toBe(false);
  });

  test('of the future are refused: the clock was set back', () => {
    clock = 1_800_000_000;
    const nonce = nonces.issue();
    clock -= 60;
    expect(nonces.check(nonce)).toBe(false);
  });
});
