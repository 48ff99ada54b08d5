import { checkEnvelope } from '@bulla/verifier';
import { canonicalJson, type RootClaims } from '@bulla/verifier/envelope';
import type { TrustView } from '@bulla/verifier/log';
import { IssuerRefusal } from '../errors.ts';

/** What an envelope was meant to be. */
interface Meant {
  readonly root: RootClaims;
  /** Number of blocks after the root. */
  readonly blocks: number;
  readonly audiences: readonly string[];
}

/**
 * Has the verifier check an envelope just signed, for each of its audiences, on the log as it is now: what is handed out
 * says what was meant, and will be accepted.
 *
 * @throws {IssuerRefusal} `mint_self_check`.
 */
export function requireSound(envelope: string, meant: Meant, trust: TrustView, now: number): void {
  try {
    for (const audience of meant.audiences) {
      const { root, blocks } = checkEnvelope(envelope, { trust, audience, now });
      if (blocks !== meant.blocks || canonicalJson(root) !== canonicalJson(meant.root)) {
        throw new Error('claims differ');
      }
    }
  } catch (cause) {
    throw new IssuerRefusal('mint_self_check', 'envelope just minted did not verify', { cause });
  }
}
