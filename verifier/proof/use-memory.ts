/** One use as it is remembered. */
export interface RememberedUse {
  readonly keyThumbprint: string;
  /** Whole seconds that say when it may be forgotten. */
  readonly at: number;
  readonly key: string;
}

interface Bucket {
  readonly keys: string[];
  readonly perKey: Map<string, number>;
}

/** A bounded set of uses, forgotten by time alone: never to make room. */
export class UseMemory {
  readonly #capacity: number;
  readonly #perKeyCapacity: number;
  /** By `at`: no more than the seconds a use is kept, while the clock runs forward. */
  readonly #buckets = new Map<number, Bucket>();
  readonly #used = new Set<string>();
  readonly #countByKey = new Map<string, number>();
  /** INVARIANT: every use that was forgotten had `at` at or below this. */
  #evictedThrough = Number.NEGATIVE_INFINITY;
  #sweptAt = Number.NEGATIVE_INFINITY;

  constructor(capacity: number, perKeyCapacity: number) {
    this.#capacity = capacity;
    this.#perKeyCapacity = perKeyCapacity;
  }

  has(key: string): boolean {
    return this.#used.has(key);
  }

  /** Whether a use of that time might be among those forgotten: after a clock stepped forward and back. */
  mayHaveForgotten(at: number): boolean {
    return at <= this.#evictedThrough;
  }

  /** Whether all of these can be remembered beside what is held. */
  room(uses: readonly RememberedUse[]): 'enough' | 'full' | 'quota' {
    if (this.#used.size + uses.length > this.#capacity) return 'full';
    for (const { keyThumbprint } of uses) {
      const added = uses.filter((use) => use.keyThumbprint === keyThumbprint).length;
      if ((this.#countByKey.get(keyThumbprint) ?? 0) + added > this.#perKeyCapacity) return 'quota';
    }
    return 'enough';
  }

  remember({ keyThumbprint, at, key }: RememberedUse): void {
    const found = this.#buckets.get(at);
    const bucket = found ?? { keys: [], perKey: new Map<string, number>() };
    if (found === undefined) this.#buckets.set(at, bucket);
    this.#used.add(key);
    bucket.keys.push(key);
    bucket.perKey.set(keyThumbprint, (bucket.perKey.get(keyThumbprint) ?? 0) + 1);
    this.#countByKey.set(keyThumbprint, (this.#countByKey.get(keyThumbprint) ?? 0) + 1);
  }

  /** Forgets what has `at` below this. Looks at most once for each second. */
  evict(below: number): void {
    const second = Math.floor(below);
    if (second === this.#sweptAt) return;
    this.#sweptAt = second;
    for (const [at, bucket] of this.#buckets) {
      if (at >= below) continue;
      this.#buckets.delete(at);
      for (const key of bucket.keys) this.#used.delete(key);
      this.#evictedThrough = Math.max(this.#evictedThrough, at);
      for (const [thumbprint, count] of bucket.perKey) {
        const left = (this.#countByKey.get(thumbprint) ?? 0) - count;
        if (left > 0) this.#countByKey.set(thumbprint, left);
        else this.#countByKey.delete(thumbprint);
      }
    }
  }
}
