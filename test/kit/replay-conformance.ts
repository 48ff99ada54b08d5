import type { ProofUse, ReplayStore } from '@bulla/verifier';
import { describe, expect, test } from 'vitest';
import { codeOf } from './deciding.ts';

export interface ReplayConformance {
  readonly name: string;
  /** A store that has been up since `startedAt` and holds `capacity` proofs, `perKey` of one key, where it is bounded. */
  readonly create: (bounds: {
    readonly startedAt: number;
    readonly capacity: number;
    readonly perKey: number;
  }) => ReplayStore | Promise<ReplayStore>;
  /** Whether a store made anew still knows what was claimed before (a shared store does). */
  readonly survivesRestart: boolean;
}

const now = 1_800_000_000;
const window = 60;
const skew = 5;
const use = (jti: string, more: Partial<ProofUse> = {}): ProofUse => ({
  keyThumbprint: 'k'.repeat(43),
  jti,
  issuedAt: now,
  nonceBound: false,
  ...more,
});

/** The laws of `ReplayStore`, for every implementation. */
export function replayConformance({ name, create, survivesRestart }: ReplayConformance): void {
  const open = (bounds: { startedAt?: number; capacity?: number; perKey?: number } = {}) =>
    create({ startedAt: now - 3600, capacity: 1000, perKey: 1000, ...bounds });
  const claim = (store: ReplayStore, proof: ProofUse, at = now) => codeOf(() => store.claim(proof, at));

  describe(`replay store ${name}`, () => {
    test('a proof works once', async () => {
      const store = await open();
      expect(await claim(store, use('a'))).toBe('accepted');
      expect(await claim(store, use('a'))).toBe('proof_replayed');
      expect(await claim(store, use('b'))).toBe('accepted');
    });

    test('of many at once, one wins', async () => {
      const store = await open();
      const codes = await Promise.all(Array.from({ length: 20 }, () => claim(store, use('a'))));
      expect(codes.filter((code) => code === 'accepted')).toHaveLength(1);
    });

    test('the same jti by another key is another proof', async () => {
      const store = await open();
      expect(await claim(store, use('a'))).toBe('accepted');
      expect(await claim(store, use('a', { keyThumbprint: 'm'.repeat(43) }))).toBe('accepted');
    });

    test('the same jti in a proof made later is a replay', async () => {
      const store = await open();
      expect(await claim(store, use('a'))).toBe('accepted');
      expect(await claim(store, use('a', { issuedAt: now + 1 }))).toBe('proof_replayed');
    });

    test('is remembered to the end of its window and skew', async () => {
      const store = await open();
      expect(await claim(store, use('a', { issuedAt: now + skew }))).toBe('accepted');
      const last = now + skew + window;
      await claim(store, use('tick', { issuedAt: last }), last);
      expect(await claim(store, use('a', { issuedAt: now + skew }), last)).toBe('proof_replayed');
    });

    test('is remembered until its window and skew are over, not a second less', async () => {
      const store = await open();
      expect(await claim(store, use('a'))).toBe('accepted');
      const last = now + window + skew;
      expect(await claim(store, use('a'), last)).toBe('proof_replayed');
    });

    test('a clock that steps forward and is set back opens nothing', async () => {
      const store = await open();
      expect(await claim(store, use('a'))).toBe('accepted');
      const far = now + 86_400;
      expect(await claim(store, use('tick', { issuedAt: far }), far)).toBe('accepted');
      expect(await claim(store, use('a'))).not.toBe('accepted');
      expect(await claim(store, use('fresh', { issuedAt: now + 1 }), now + 1)).toBe('accepted');
    });

    test('a clock that steps back and forward again opens nothing', async () => {
      const store = await open();
      expect(await claim(store, use('a'))).toBe('accepted');
      expect(await claim(store, use('b', { issuedAt: now - 1800 }), now - 1800)).toBe('accepted');
      expect(await claim(store, use('a'))).toBe('proof_replayed');
    });

    test('what it might have seen before a restart is refused', async () => {
      const before = await open();
      const proof = use('a', { issuedAt: now + skew });
      expect(await claim(before, proof)).toBe('accepted');
      const after = await open({ startedAt: now + 0.5 });
      expect(await claim(after, proof, now + 1)).toBe(
        survivesRestart ? 'proof_replayed' : 'proof_nonce_required',
      );
      expect(await claim(after, use('b', { issuedAt: now + 6 }), now + 6)).toBe('accepted');
    });

    test('a proof bound to a nonce of this process is taken at once, once', async () => {
      const store = await open({ startedAt: now });
      expect(await claim(store, use('n', { nonceBound: true }))).toBe('accepted');
      expect(await claim(store, use('n', { nonceBound: true }))).toBe('proof_replayed');
    });
  });
}

/** For stores with bounds of their own: law 3. */
export function boundedReplayConformance({ name, create }: ReplayConformance): void {
  const claim = (store: ReplayStore, proof: ProofUse, at = now) => codeOf(() => store.claim(proof, at));

  describe(`bounded replay store ${name}`, () => {
    test('full refuses and forgets nothing, until time makes room', async () => {
      const store = await create({ startedAt: 0, capacity: 2, perKey: 2 });
      const bob = { keyThumbprint: 'b'.repeat(43) };
      expect(await claim(store, use('a'))).toBe('accepted');
      expect(await claim(store, use('b', bob))).toBe('accepted');
      expect(await claim(store, use('c', bob))).toBe('replay_store_full');
      expect(await claim(store, use('a'))).toBe('proof_replayed');
      const later = now + window + skew + 1;
      expect(await claim(store, use('c', { ...bob, issuedAt: later }), later)).toBe('accepted');
    });

    test('one key cannot fill it', async () => {
      const store = await create({ startedAt: 0, capacity: 10, perKey: 2 });
      await claim(store, use('a'));
      await claim(store, use('b'));
      expect(await claim(store, use('c'))).toBe('replay_quota_reached');
      expect(await claim(store, use('c', { keyThumbprint: 'b'.repeat(43) }))).toBe('accepted');
      const later = now + window + skew + 1;
      expect(await claim(store, use('c', { issuedAt: later }), later)).toBe('accepted');
    });
  });
}
