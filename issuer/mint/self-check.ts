import { checkEnvelope } from '@bulla/verifier';
import { canonicalJson, type RootClaims } from '@bulla/verifier/envelope';
import type { TrustView } from '@bulla/verifier/log';
import { IssuerRefusal } from '../errors.ts';

/**
 * Has the verifier check an envelope just minted, for each of its audiences, on the log as it is now: what is handed out
 * says what was meant, and will be accepted.
 *
 * @throws {IssuerRefusal} `mint_self_check`.
 */
export function requireSound(envelope: string, claims: RootClaims, trust: TrustView, now: number): void {
  try {
    for (const audience of claims.aud) {
      const { root, blocks } = checkEnvelope(envelope, { trust, audience, now });
      if (blocks !== 0 || canonicalJson(root) !== canonicalJson(claims)) throw new Error('claims differ');
    }
  } catch (cause) {
    throw new IssuerRefusal('mint_self_check', 'envelope just minted did not verify', { cause });
  }
}
