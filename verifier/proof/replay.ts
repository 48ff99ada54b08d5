import { hash } from 'node:crypto';
import { Refusal } from '../errors.ts';
import { limits } from '../limits.ts';
import { systemPorts } from '../ports.ts';

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
}

/**
 * Remembers used proofs. Laws, each checked by the conformance suite:
 *
 * 1. Of any number of `claim`s for one (key, jti), concurrent ones included, exactly one succeeds.
 * 2. What was claimed stays refused until `issuedAt + window + skew`, whatever the clock does meanwhile.
 * 3. Nothing is forgotten to make room: a full store refuses.
 * 4. A store that lost its memory (restart) refuses every proof it might have seen, unless the proof is nonce-bound.
 * 5. A store that cannot answer refuses.
 */
export interface ReplayStore {
  /**
   * @param now Unix time, seconds.
   * @throws {Refusal} (or rejects with) `proof_replayed`, `proof_time`, `proof_nonce_required`, `replay_quota_reached`,
   * `replay_store_full`, `replay_store_unavailable`.
   */
  claim(use: ProofUse, now: number): void | Promise<void>;
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
  /** When this process started, Unix seconds. Default: the system clock, now. */
  readonly startedAt?: number;
}

const keptSeconds: number = limits.proofWindowSeconds + limits.clockSkewSeconds;

/** Key of one use for stores: base64url SHA-256 of thumbprint and `jti` (the thumbprint's length is fixed). */
export function replayKey(use: Pick<ProofUse, 'keyThumbprint' | 'jti'>): string {
  return hash('sha256', `${use.keyThumbprint}.${use.jti}`, 'base64url');
}

interface Bucket {
  readonly keys: string[];
  readonly perKey: Map<string, number>;
}

/** The replay store of a single process, in memory and bounded. */
export function memoryReplay(options: MemoryReplayOptions): ReplayStore {
  if (options.processes !== 1) throw new TypeError('memoryReplay serves exactly one process');
  return new MemoryReplay(options);
}

class MemoryReplay implements ReplayStore {
  readonly #capacity: number;
  readonly #perKeyCapacity: number;
  readonly #acceptFrom: number;
  /** By `iat`: at most window + skew + 1 buckets while the clock runs forward. */
  readonly #buckets = new Map<number, Bucket>();
  readonly #used = new Set<string>();
  readonly #countByKey = new Map<string, number>();
  /** INVARIANT: every use this store has forgotten had `issuedAt` at or below this. */
  #evictedThrough = Number.NEGATIVE_INFINITY;
  #sweptAt = Number.NEGATIVE_INFINITY;

  constructor(options: MemoryReplayOptions) {
    this.#capacity = options.capacity ?? 262_144;
    this.#perKeyCapacity = options.perKey ?? Math.ceil(this.#capacity / 4);
    this.#acceptFrom = (options.startedAt ?? systemPorts.now()) + limits.clockSkewSeconds;
  }

  claim(use: ProofUse, now: number): void {
    this.#evict(now);
    if (use.issuedAt <= this.#evictedThrough) {
      throw new Refusal('proof_time', 'proof is too old to tell it from a replay');
    }
    if (use.issuedAt < this.#acceptFrom && !use.nonceBound) {
      throw new Refusal('proof_nonce_required', 'process is too young to know this proof without a nonce');
    }
    const key = replayKey(use);
    if (this.#used.has(key)) throw new Refusal('proof_replayed', 'proof was used before');
    this.#remember(use, key);
  }

  #remember(use: ProofUse, key: string): void {
    if (this.#used.size >= this.#capacity) throw new Refusal('replay_store_full', 'replay store is full');
    const held = this.#countByKey.get(use.keyThumbprint) ?? 0;
    if (held >= this.#perKeyCapacity) {
      throw new Refusal('replay_quota_reached', 'this key has used too many proofs');
    }
    const found = this.#buckets.get(use.issuedAt);
    const bucket = found ?? { keys: [], perKey: new Map<string, number>() };
    if (found === undefined) this.#buckets.set(use.issuedAt, bucket);
    this.#used.add(key);
    bucket.keys.push(key);
    bucket.perKey.set(use.keyThumbprint, (bucket.perKey.get(use.keyThumbprint) ?? 0) + 1);
    this.#countByKey.set(use.keyThumbprint, held + 1);
  }

  #evict(now: number): void {
    const second = Math.floor(now);
    if (second === this.#sweptAt) return;
    this.#sweptAt = second;
    for (const [issuedAt, bucket] of this.#buckets) {
      if (issuedAt + keptSeconds >= now) continue;
      this.#buckets.delete(issuedAt);
      for (const key of bucket.keys) this.#used.delete(key);
      this.#evictedThrough = Math.max(this.#evictedThrough, issuedAt);
      for (const [thumbprint, count] of bucket.perKey) {
        const left = (this.#countByKey.get(thumbprint) ?? 0) - count;
        if (left > 0) this.#countByKey.set(thumbprint, left);
        else this.#countByKey.delete(thumbprint);
      }
    }
  }
}
