import { suspensionSource } from '@bulla/verifier/log';
import type { Account } from '../account.ts';

/** Under which name the log keeps the suspensions of this API. */
export function sourceOf({ log, usersApi }: Account): string {
  return suspensionSource(log.read, usersApi?.signer.publicKey.thumbprint ?? '');
}
