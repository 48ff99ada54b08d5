import { IssuerRefusal } from '../errors.ts';

const maxBuckets = 10_000;

/** What is left of a bucket after one was taken. */
export interface Allowance {
  /** Requests that a full bucket allows. */
  readonly capacity: number;
  /** Seconds in which an empty bucket fills. */
  readonly windowSeconds: number;
  readonly remaining: number;
  /** Seconds until the bucket is full again. */
  readonly fullInSeconds: number;
}

/** Takes one from the bucket of `key`. @throws {IssuerRefusal} `rate_limited`, with `retryAfterSeconds`. */
export type RateLimit = (key: string) => Allowance;

/**
 * Token buckets in memory, one per key, each holding `capacity`: by default half a minute's worth. When there are too many keys the least
 * recently used is forgotten, which at worst gives its owner a full bucket again.
 */
export function createRateLimit(
  perMinute: number,
  now: () => number,
  capacity: number = Math.max(1, perMinute / 2),
): RateLimit {
  const perSecond = perMinute / 60;
  const buckets = new Map<string, { left: number; at: number }>();
  return (key) => {
    const at = now();
    const bucket = buckets.get(key) ?? { left: capacity, at };
    buckets.delete(key);
    const left = Math.min(capacity, bucket.left + Math.max(0, at - bucket.at) * perSecond);
    const remaining = left < 1 ? left : left - 1;
    buckets.set(key, { left: remaining, at });
    if (buckets.size > maxBuckets) buckets.delete(buckets.keys().next().value ?? key);
    if (left < 1) {
      throw new IssuerRefusal('rate_limited', 'too many requests; wait a little and try again', {
        details: { retryAfterSeconds: Math.max(1, Math.ceil((1 - left) / perSecond)) },
      });
    }
    return {
      capacity: Math.floor(capacity),
      windowSeconds: Math.ceil(capacity / perSecond),
      remaining: Math.floor(remaining),
      fullInSeconds: Math.ceil((capacity - remaining) / perSecond),
    };
  };
}
