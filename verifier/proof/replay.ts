import { hash } from 'node:crypto';
import { Refusal } from '../errors.ts';
import { limits } from '../limits.ts';
import { systemPorts } from '../ports.ts';
import { UseMemory } from './use-memory.ts';

/** One use of one proof, after its signature was verified. */
export interface ProofUse {
  /** Thumbprint of the key that signed the proof. */
  readonly keyThumbprint: string;
  /** Attacker-controlled, at most `maxJtiBytes`. */
  readonly jti: string;
  /** The proof's `iat`, inside the window when this is called. */
  readonly issuedAt: number;
  /** The proof carries a nonce that this very process issued: it cannot have been used before the process started. */
  readonly nonceBound: boolean;
  /** Approvals that were sent with the proof, each checked: spent with it, or not at all. Absent where there are none. */
  readonly approvals?: readonly ApprovalUse[];
}

/** One use of one approval, after its signature was verified. */
export interface ApprovalUse {
  /** Thumbprint of the key that signed the approval. */
  readonly keyThumbprint: string;
  /** Chosen by the approver, at most `maxJtiBytes`. */
  readonly jti: string;
  /** The approval's `iat`, at most `maxApprovalLifetimeSeconds` before `expiresAt`. */
  readonly issuedAt: number;
  /** The approval's `exp`: in the future when this is called. */
  readonly expiresAt: number;
}

/**
 * Remembers used proofs. Laws, each checked by the conformance suite:
 *
 * 1. Of any number of `claim`s for one (key, jti), concurrent ones included, exactly one succeeds.
 * 2. What was claimed stays refused until `issuedAt + window + skew`, whatever the clock does meanwhile.
 * 3. Nothing is forgotten to make room: a full store refuses.
 * 4. A store that lost its memory (restart) refuses every proof it might have seen, unless the proof is nonce-bound.
 * 5. A store that cannot answer refuses.
 * 6. Proof and approvals are claimed in one step: all of them, or none. Laws 1 and 3 hold for each approval; it stays refused
 *    until `expiresAt + skew`, and a store that lost its memory refuses every approval it might have seen.
 */
export interface ReplayStore {
  /** Says that the store knows law 6. Of one that does not, requests with approvals are refused (`replay_store_unavailable`). */
  readonly claimsApprovals?: true;
  /**
   * @param now Unix time, seconds.
   * @throws {Refusal} (or rejects with) `proof_replayed`, `proof_time`, `proof_nonce_required`, `replay_quota_reached`,
   * `replay_store_full`, `replay_store_unavailable`, `approval_replayed`, `approval_too_old`, `approval_quota_reached`.
   */
  claim(use: ProofUse, now: number): void | Promise<void>;
}

/**
 * Claims a use in a store that others may have written: one that does not know approvals is not asked for any, and one that
 * answers instead of throwing has not claimed.
 *
 * @throws {Refusal} the codes of {@link ReplayStore.claim}.
 */
export async function claimUse(replay: ReplayStore, use: ProofUse, now: number): Promise<void> {
  if (use.approvals !== undefined && replay.claimsApprovals !== true) {
    throw new Refusal('replay_store_unavailable', 'replay store does not know approvals');
  }
  const claimed: unknown = await replay.claim(use, now);
  if (claimed === undefined) return;
  throw new Refusal('replay_store_unavailable', 'replay store gave an answer it may not give');
}

/** What the store in memory must be told. */
export interface MemoryReplayOptions {
  /**
   * How many processes verify for these origins. This store knows only its own process: with two, every proof works
   * twice. Say 1, or take a shared store.
   */
  readonly processes: 1;
  /** Proofs kept at most. Default 262,144: 4,000 requests a second over the 65 s that a proof is kept. */
  readonly capacity?: number;
  /** Proofs kept at most for one key. Default a quarter of `capacity`. */
  readonly perKey?: number;
  /** Approvals kept at most, each for up to an hour. Default 65,536: 18 a second. */
  readonly approvals?: number;
  /** Approvals kept at most for one key. Default a 64th of `approvals`. */
  readonly approvalsPerKey?: number;
  /** When this process started, Unix seconds. Default: the system clock, now. */
  readonly startedAt?: number;
}

const keptSeconds: number = limits.proofWindowSeconds + limits.clockSkewSeconds;

/** Key of one use for stores: base64url SHA-256 of thumbprint and `jti` (the thumbprint's length is fixed). */
export function replayKey(use: Pick<ProofUse, 'keyThumbprint' | 'jti'>): string {
  return hash('sha256', `${use.keyThumbprint}.${use.jti}`, 'base64url');
}

/** As {@link replayKey}, for an approval: a person's key may sign proofs too, and the two never meet. */
export function approvalKey(use: Pick<ApprovalUse, 'keyThumbprint' | 'jti'>): string {
  return hash('sha256', `approval.${use.keyThumbprint}.${use.jti}`, 'base64url');
}

/** The replay store of a single process, in memory and bounded. */
export function memoryReplay(options: MemoryReplayOptions): ReplayStore {
  if (options.processes !== 1) throw new TypeError('memoryReplay serves exactly one process');
  return new MemoryReplay(options);
}

class MemoryReplay implements ReplayStore {
  readonly claimsApprovals = true;
  readonly #proofs: UseMemory;
  readonly #approvals: UseMemory;
  readonly #acceptFrom: number;

  constructor(options: MemoryReplayOptions) {
    const capacity = options.capacity ?? 262_144;
    const approvals = options.approvals ?? 65_536;
    this.#proofs = new UseMemory(capacity, options.perKey ?? Math.ceil(capacity / 4));
    this.#approvals = new UseMemory(approvals, options.approvalsPerKey ?? Math.ceil(approvals / 64));
    this.#acceptFrom = (options.startedAt ?? systemPorts.now()) + limits.clockSkewSeconds;
  }

  /** INVARIANT: nothing waits in here, and nothing is remembered before everything was looked at. */
  claim(use: ProofUse, now: number): void {
    const { approvals = [] } = use;
    this.#proofs.evict(now - keptSeconds);
    const proof = { keyThumbprint: use.keyThumbprint, at: use.issuedAt, key: replayKey(use) };
    if (this.#proofs.mayHaveForgotten(proof.at)) {
      throw new Refusal('proof_time', 'proof is too old to tell it from a replay');
    }
    if (use.issuedAt < this.#acceptFrom && !use.nonceBound) {
      throw new Refusal('proof_nonce_required', 'process is too young to know this proof without a nonce');
    }
    if (this.#proofs.has(proof.key)) throw new Refusal('proof_replayed', 'proof was used before');
    const room = this.#proofs.room([proof]);
    if (room === 'full') throw new Refusal('replay_store_full', 'replay store is full');
    if (room === 'quota') throw new Refusal('replay_quota_reached', 'this key has used too many proofs');
    if (approvals.length > 0) this.#claimApprovals(approvals, now);
    this.#proofs.remember(proof);
  }

  #claimApprovals(approvals: readonly ApprovalUse[], now: number): void {
    this.#approvals.evict(now - limits.clockSkewSeconds);
    const uses = approvals.map((use) => ({ ...use, at: use.expiresAt, key: approvalKey(use) }));
    for (const { issuedAt, at } of uses) {
      if (issuedAt < this.#acceptFrom || this.#approvals.mayHaveForgotten(at)) {
        throw new Refusal('approval_too_old', 'approval is too old to tell it from one used before');
      }
    }
    const keys = new Set(uses.map(({ key }) => key));
    if (keys.size !== uses.length || uses.some(({ key }) => this.#approvals.has(key))) {
      throw new Refusal('approval_replayed', 'approval was used before');
    }
    const room = this.#approvals.room(uses);
    if (room === 'full') throw new Refusal('replay_store_full', 'replay store is full');
    if (room === 'quota') throw new Refusal('approval_quota_reached', 'a key has used too many approvals');
    for (const use of uses) this.#approvals.remember(use);
  }
}
