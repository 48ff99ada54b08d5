import type { PolicySetDocument } from '../policy/document.ts';
import type { Read } from './records.ts';

/**
 * What a decision may know of the trust log: one consistent moment of it, in memory. The follower implements it;
 * every method is synchronous, so that nothing on the request path can wait (law 3).
 */
export interface TrustView {
  readonly account: string;
  /** Number of entries applied. */
  readonly size: number;
  /** RFC 6962 root at `size`, base64url. */
  readonly root: string;
  readonly read: Read;
  /**
   * Seconds since the log's signature on the newest checkpoint whose size is fully applied. Infinity before the
   * first checkpoint and after a halt; counted on while a larger checkpoint is known and not applied.
   */
  age(now: number): number;
  /** The published set with this digest, verified against it; undefined while it has not been fetched. */
  policySet(digest: string): PolicySetDocument | undefined;
  /** True where an admin-signed restriction handed over directly (`bulla stop`) names this state key. */
  stopped(key: string): boolean;
}
