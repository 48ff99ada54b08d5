import type { SignedEnvelope } from './envelope/signatures.ts';
import type { KeyStanding, Parties } from './parties.ts';

/**
 * An allowed request: proof that `decide` said yes to this very request. Only the verifier makes one; a handler that
 * takes a `Grant` cannot be called with anything less.
 */
class VerifiedGrant {
  /** The envelope's `jti`. */
  readonly envelopeId: string;
  /** The person, `prn_…`. */
  readonly subject: string;
  /** The agent it was minted for, `agt_…`; undefined when a person acts with an own key. */
  readonly agent: string | undefined;
  /** Everyone the envelope passed through, the person first. */
  readonly actors: readonly string[];
  /** Thumbprint of the key that signed the proof. */
  readonly keyThumbprint: string;
  /** How the holders' keys are known: `logged`, `federated`, `unlogged` or `vouched`. */
  readonly key: KeyStanding;
  readonly action: string;
  /** Unix seconds: nothing in this grant outlives the request, but what it starts may want to end here. */
  readonly expiresAt: number;
  /** Names of the header fields that the proof bound, lower case. */
  readonly boundHeaders: readonly string[];
  /** Ids of the people who approved this request, each once; it counted for the policy in which groups they are. */
  readonly approvers: readonly string[];

  constructor(
    envelope: SignedEnvelope,
    parties: Parties,
    action: string,
    boundHeaders: readonly string[],
    approvers: readonly string[],
  ) {
    this.envelopeId = envelope.root.jti;
    this.subject = parties.principal.id;
    this.agent = parties.agent?.id;
    this.actors = parties.actors;
    this.keyThumbprint = envelope.holder.thumbprint;
    this.key = parties.key;
    this.action = action;
    this.expiresAt = envelope.effective.exp;
    this.boundHeaders = boundHeaders;
    this.approvers = approvers;
  }
}

/** The verified grant of an allowed request; only `decide` makes one. */
export type Grant = VerifiedGrant;

/** @internal */
export function createGrant(...parts: ConstructorParameters<typeof VerifiedGrant>): Grant {
  return Object.freeze(new VerifiedGrant(...parts));
}
