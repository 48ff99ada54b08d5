import type { ApprovalUse, ProofUse, ReplayStore } from '@bulla/verifier';
import { describe, expect, test } from 'vitest';
import { codeOf } from './deciding.ts';

export interface ApprovalReplayConformance {
  readonly name: string;
  /** A store that has been up since `startedAt` and holds `approvals`, `approvalsPerKey` of one key, where it is bounded. */
  readonly create: (bounds: {
    readonly startedAt: number;
    readonly approvals: number;
    readonly approvalsPerKey: number;
  }) => ReplayStore | Promise<ReplayStore>;
  readonly survivesRestart: boolean;
}

const now = 1_800_000_000;
const skew = 5;
let proofs = 0;

const approval = (jti: string, more: Partial<ApprovalUse> = {}): ApprovalUse => ({
  keyThumbprint: 'b'.repeat(43),
  jti,
  issuedAt: now,
  expiresAt: now + 3600,
  ...more,
});

/** A proof that was never seen, with these approvals. */
function use(approvals: readonly ApprovalUse[], more: Partial<ProofUse> = {}): ProofUse {
  proofs += 1;
  return {
    keyThumbprint: 'k'.repeat(43),
    jti: `proof-${proofs}`,
    issuedAt: now,
    nonceBound: false,
    approvals,
    ...more,
  };
}

const claim = (store: ReplayStore, proof: ProofUse, at = now) => codeOf(() => store.claim(proof, at));
/** At another time, with a proof of then. */
const claimAt = (store: ReplayStore, approvals: readonly ApprovalUse[], at: number) =>
  claim(store, use(approvals, { issuedAt: at }), at);

/** Law 6 of `ReplayStore`, for every implementation that knows approvals. */
export function approvalReplayConformance({
  name,
  create,
  survivesRestart,
}: ApprovalReplayConformance): void {
  const open = (startedAt = now - 3600) => create({ startedAt, approvals: 1000, approvalsPerKey: 1000 });

  describe(`approvals in the replay store ${name}`, () => {
    test('an approval works once, whatever proof it comes with', async () => {
      const store = await open();
      expect(store.claimsApprovals).toBe(true);
      expect(await claim(store, use([approval('a')]))).toBe('accepted');
      expect(await claim(store, use([approval('a')]))).toBe('approval_replayed');
      expect(await claim(store, use([approval('b')]))).toBe('accepted');
    });
    test('one that comes twice with one proof is a replay', async () => {
      const store = await open();
      expect(await claim(store, use([approval('a'), approval('a')]))).toBe('approval_replayed');
      expect(await claim(store, use([approval('a')]))).toBe('accepted');
    });
    test('all or nothing: neither the proof nor another approval is spent where one is refused', async () => {
      const store = await open();
      await claim(store, use([approval('a')]));
      const proof = use([approval('b'), approval('a')]);
      expect(await claim(store, proof)).toBe('approval_replayed');
      expect(await claim(store, { ...proof, approvals: [approval('b')] })).toBe('accepted');
    });
    test('all or nothing: no approval is spent where the proof is a replay', async () => {
      const store = await open();
      const proof = use([approval('a')]);
      expect(await claim(store, proof)).toBe('accepted');
      expect(await claim(store, { ...proof, approvals: [approval('b')] })).toBe('proof_replayed');
      expect(await claim(store, use([approval('b')]))).toBe('accepted');
    });
    test('of many at once, one wins', async () => {
      const store = await open();
      const codes = await Promise.all(Array.from({ length: 20 }, () => claim(store, use([approval('a')]))));
      expect(codes.filter((code) => code === 'accepted')).toHaveLength(1);
      expect(codes.filter((code) => code === 'approval_replayed')).toHaveLength(19);
    });
    test('of two that overlap in one approval, at once and in either order, one wins', async () => {
      const store = await open();
      const one = use([approval('a'), approval('b')]);
      const other = use([approval('b'), approval('a')]);
      const codes = await Promise.all([claim(store, one), claim(store, other)]);
      expect([...codes].sort()).toEqual(['accepted', 'approval_replayed']);
    });
    test('the same jti by another key, and of a proof by the same key, is another', async () => {
      const store = await open();
      expect(await claim(store, use([approval('a')]))).toBe('accepted');
      expect(await claim(store, use([approval('a', { keyThumbprint: 'c'.repeat(43) })]))).toBe('accepted');
      const proof = { ...use([]), keyThumbprint: 'b'.repeat(43), jti: 'a' };
      expect(await claim(store, proof)).toBe('accepted');
    });
    test('the same jti with another end is a replay', async () => {
      const store = await open();
      expect(await claim(store, use([approval('a', { expiresAt: now + 60 })]))).toBe('accepted');
      expect(await claim(store, use([approval('a')]))).toBe('approval_replayed');
    });
    test('is remembered to its end and skew, long after its proof was forgotten', async () => {
      const store = await open();
      expect(await claim(store, use([approval('a')]))).toBe('accepted');
      expect(await claimAt(store, [approval('a')], now + 1800)).toBe('approval_replayed');
      expect(await claimAt(store, [approval('a')], now + 3600 + skew)).toBe('approval_replayed');
    });
    test('a clock that steps forward and is set back opens nothing', async () => {
      const store = await open();
      expect(await claim(store, use([approval('a')]))).toBe('accepted');
      expect(
        await claimAt(store, [approval('far', { issuedAt: now + 9000, expiresAt: now + 9060 })], now + 9000),
      ).toBe('accepted');
      expect(await claimAt(store, [approval('a')], now + 1)).not.toBe('accepted');
      const fresh = approval('fresh', { issuedAt: now + 2, expiresAt: now + 3602 });
      expect(await claimAt(store, [fresh], now + 2)).toBe('accepted');
    });
    test('what it might have seen before a restart is refused, bound to a nonce or not', async () => {
      const before = await open();
      const early = approval('a', { issuedAt: now + skew });
      expect(await claim(before, use([early]))).toBe('accepted');
      const after = await open(now + 0.5);
      const code = survivesRestart ? 'approval_replayed' : 'approval_too_old';
      expect(await claim(after, use([early], { nonceBound: true }), now + 1)).toBe(code);
      expect(await claimAt(after, [early], now + 600)).toBe(code);
      const later = approval('b', { issuedAt: now + 6, expiresAt: now + 60 });
      expect(await claimAt(after, [later], now + 6)).toBe('accepted');
    });
  });
}

/** For stores with bounds of their own: law 3. */
export function boundedApprovalReplayConformance({ name, create }: ApprovalReplayConformance): void {
  const other = { keyThumbprint: 'c'.repeat(43) };

  describe(`approvals in the bounded replay store ${name}`, () => {
    test('full refuses whole requests and forgets nothing, until time makes room', async () => {
      const store = await create({ startedAt: 0, approvals: 2, approvalsPerKey: 2 });
      expect(await claim(store, use([approval('a')]))).toBe('accepted');
      const proof = use([approval('b', other), approval('c', other)]);
      expect(await claim(store, proof)).toBe('replay_store_full');
      expect(await claim(store, { ...proof, approvals: [approval('b', other)] })).toBe('accepted');
      expect(await claim(store, use([approval('a')]))).toBe('approval_replayed');
      expect(await claim(store, use([]))).toBe('accepted');
      const at = now + 3600 + skew + 1;
      const later = approval('c', { issuedAt: at, expiresAt: at + 60 });
      expect(await claimAt(store, [later], at)).toBe('accepted');
    });
    test('one key cannot fill it, nor pass its share in one request', async () => {
      const store = await create({ startedAt: 0, approvals: 10, approvalsPerKey: 2 });
      const three = ['a', 'b', 'c'].map((jti) => approval(jti));
      expect(await claim(store, use(three))).toBe('approval_quota_reached');
      expect(await claim(store, use(three.slice(0, 2)))).toBe('accepted');
      expect(await claim(store, use(three.slice(2)))).toBe('approval_quota_reached');
      expect(await claim(store, use([approval('c', other)]))).toBe('accepted');
    });
    test('short ones make room while long ones stay', async () => {
      const store = await create({ startedAt: 0, approvals: 2, approvalsPerKey: 2 });
      expect(await claim(store, use([approval('long'), approval('short', { expiresAt: now + 60 })]))).toBe(
        'accepted',
      );
      const at = now + 60 + skew + 1;
      const next = approval('next', { issuedAt: at, expiresAt: at + 60 });
      expect(await claimAt(store, [next], at)).toBe('accepted');
      expect(await claimAt(store, [approval('long')], at)).toBe('approval_replayed');
    });
  });
}
