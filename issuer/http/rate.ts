import { IssuerRefusal } from '../errors.ts';

const maxBuckets = 10_000;

/** Takes one from the bucket of `key`. @throws {IssuerRefusal} `rate_limited`. */
export type RateLimit = (key: string) => void;

/**
 * Token buckets in memory, one per key, each holding half a minute's worth. When there are too many keys the least
 * recently used is forgotten, which at worst gives its owner a full bucket again.
 */
export function createRateLimit(perMinute: number, now: () => number): RateLimit {
  const capacity = Math.max(1, perMinute / 2);
  const perSecond = perMinute / 60;
  const buckets = new Map<string, { left: number; at: number }>();
  return (key) => {
    const at = now();
    const bucket = buckets.get(key) ?? { left: capacity, at };
    buckets.delete(key);
    const left = Math.min(capacity, bucket.left + Math.max(0, at - bucket.at) * perSecond);
    buckets.set(key, { left: Math.max(0, left - 1), at });
    if (buckets.size > maxBuckets) buckets.delete(buckets.keys().next().value ?? key);
    if (left < 1) throw new IssuerRefusal('rate_limited', 'too many requests; wait a little and try again');
  };
}
