import type { Access, RouteOptions, WireRequest } from './access.ts';
import type { Grant } from './grant.ts';
import type { TrustView } from './log/view.ts';
import type { Next } from './next.ts';
import type { Ports } from './ports.ts';
import type { Nonces } from './proof/nonce.ts';
import type { ReplayStore } from './proof/replay.ts';
import type { Reason, Receipt } from './receipt.ts';

/** What a verifier believes, answers for and remembers with. Nothing here has a default that weakens it. */
export interface VerifierOptions {
  /** The trust log to believe, `acct_…`: the hash of its genesis, so it certifies itself. */
  readonly account: string;
  /** What this API is called in the log (`audience.register`). */
  readonly audience: string;
  /** Every origin under which clients reach this API, e.g. `https://api.example`. Never taken from the request. */
  readonly publicOrigins: readonly string[];
  /** What is known of the log: a follower's `trust`. */
  readonly trust: TrustView;
  readonly replay: ReplayStore;
  /**
   * Told of every decision and refusal, before the caller is. If it throws, the caller gets `receipt_failed` whatever
   * the outcome was: a decision that cannot be accounted for is not made.
   */
  readonly onReceipt?: (receipt: Receipt) => void;
  /**
   * Longest envelope taken. Default 7168 bytes, a root with about six blocks; 16 blocks want more, at most 12288. Every
   * proxy on the way must let a header of that size pass. Node takes 16 KiB of headers in all (`maxHeaderSize`): with a
   * proof (under 2 KiB) that leaves 2 KiB for the rest, beyond which it answers 431 by itself.
   */
  readonly maxEnvelopeBytes?: number;
  readonly ports?: Pick<Ports, 'now'>;
}

/** The answer of the policy, with the receipt that was handed to `onReceipt`. */
export type Decision =
  | { readonly allowed: true; readonly grant: Grant; readonly receipt: Receipt }
  | {
      readonly allowed: false;
      readonly reasons: readonly Reason[];
      /** What could turn this into an allow. */
      readonly next: Next;
      readonly receipt: Receipt;
    };

/** Decides the requests of one API. `createVerifier` makes one. */
export interface Verifier {
  /**
   * Decides one request, from memory: nothing is fetched (law 3). A bad envelope or proof, stale knowledge and every
   * failure are thrown; the policy's no is returned (adapters answer it as `policy_denied`).
   *
   * Does NOT route: that `access` fits the request is the adapter's word.
   *
   * @throws {Refusal} nothing else. The codes stand at the steps in verify.ts, `codes` says what each means. Beside them:
   *   `internal_error` for whatever fails that is not a refusal, at any step (`cause` holds it); `receipt_failed` where
   *   `onReceipt` throws, in place of an allow, a deny or another refusal.
   */
  decide(request: WireRequest, access: Access, route?: RouteOptions): Promise<Decision>;
  /** Issues the `DPoP-Nonce` (RFC 9449 section 8) that goes with `proof_nonce_required`. */
  readonly nonces: Nonces;
}
