import type { RootClaims } from './envelope/root.ts';
import { createSignatureCache } from './envelope/signatures.ts';
import { Refusal } from './errors.ts';
import { createKeyring } from './keyring.ts';
import { limits } from './limits.ts';
import { audienceKey } from './log/records.ts';
import type { TrustView } from './log/view.ts';
import { envelopeDigest } from './proof/content.ts';
import { readAudience } from './standing.ts';
import { requireInForce } from './verify.ts';

/** What can be known of an envelope without a request. Not a grant: nobody has proved to hold it, no policy was asked. */
export interface CheckedEnvelope {
  readonly root: RootClaims;
  /** Number of blocks after the root. */
  readonly blocks: number;
  /** Thumbprint of the key that must prove each request. */
  readonly holder: string;
  /** Everyone the envelope passed through, the person first. */
  readonly actors: readonly string[];
}

/**
 * Checks an envelope the way a decision does, as far as that goes without a request: signatures, account, audience, life,
 * mint lease, standing of person, agent and keys, revocation, current policy (steps 3 to 8 of verify.ts).
 *
 * Does NOT check possession (there is no proof), how old the trust state is, which actions a vouched key may do, or the policy.
 * Not for guarding an API.
 *
 * @throws {Refusal} the codes of those steps.
 */
export function checkEnvelope(
  text: string,
  demands: {
    readonly trust: TrustView;
    readonly audience: string;
    readonly now: number;
    /** As in `VerifierOptions`. */
    readonly maxEnvelopeBytes?: number;
  },
): CheckedEnvelope {
  const { trust, audience, now } = demands;
  if (typeof text !== 'string') throw new Refusal('envelope_malformed', 'envelope is not text');
  if (text.length > (demands.maxEnvelopeBytes ?? limits.maxEnvelopeBytes)) {
    throw new Refusal('envelope_too_large', 'envelope is too large');
  }
  const envelope = createSignatureCache(1).open(text, envelopeDigest(text), createKeyring(trust, 32));
  const standing = readAudience(trust, audienceKey(audience), now);
  const parties = requireInForce(demands, envelope, { standing, staleness: Infinity, now });
  return {
    root: envelope.root,
    blocks: envelope.blocks.length,
    holder: envelope.holder.thumbprint,
    actors: parties.actors,
  };
}
