import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';

/** A request as it stood on the wire. The adapter fills this in; nothing is normalised before the proof is checked. */
export interface WireRequest {
  readonly method: string;
  /** The raw request-target, origin-form: path and query as sent (`/orders/1?x=y`). */
  readonly target: string;
  /** Header fields as sent, duplicates kept, names in any case. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The content as sent (after transfer coding). Empty where there is none. */
  readonly body: Uint8Array;
}

/** What a request is about, as a Cedar entity. Attributes are read by the types of the schema, and only plain objects are. */
export interface Resource {
  readonly type: string;
  readonly id: string;
  readonly attributes?: Readonly<Record<string, unknown>>;
  /** Every entity this resource is in, directly or not: an ancestor left out silences `in` (at most `maxAncestors`). */
  readonly ancestors?: readonly Resource[];
  /**
   * Entities that attributes refer to, needed where policies look into those (`resource.owner.team`): one that is
   * looked into and not here is a deny. What is said here of the person who acts is ignored: the log knows.
   */
  readonly related?: readonly Resource[];
}

/** What a route asks the policy. */
export interface Access {
  /** Id of a Cedar action of the published schema. */
  readonly action: string;
  /** Called once the proof has been claimed: what it looks up is never looked up for a stranger. */
  readonly resource: () => Resource | Promise<Resource>;
  /** Values for the context attributes that the schema declares for the action, beside the reserved ones. */
  readonly context?: () => Readonly<Record<string, unknown>> | Promise<Readonly<Record<string, unknown>>>;
}

/** Per route, fixed in code. */
export interface RouteOptions {
  /** How old the trust state may be, seconds. Default 60, capped by the audience's record and by the envelope. */
  readonly stalenessSeconds?: number;
  /** Header fields the proof must bind in `htb`, beside `content-type`, which it must bind whenever there is a body. */
  readonly bindHeaders?: readonly string[];
  /** `forbid` policies (EST) of the API itself, added to the limits. */
  readonly forbids?: readonly PolicyJson[];
  /**
   * Accept a plain RFC 9449 proof: query and body are then not bound to it, and whoever captures a proof in flight
   * can use it once for another query or body on the same path.
   *
   * @deprecated weakens law 5 on this route.
   */
  readonly dangerouslyPlainDpop?: boolean;
}
