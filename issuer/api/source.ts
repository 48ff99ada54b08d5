import { suspensionSource } from '@bulla/verifier/log';
import type { Account } from '../account.ts';

/** Under which name the log keeps the suspensions of this API: that of its lease. */
export function sourceOf({ log, usersApi }: Account): string {
  const thumbprint = usersApi?.signer.publicKey.thumbprint ?? '';
  return suspensionSource(log.read(`delegate/${thumbprint}`)?.lease ?? {}, thumbprint);
}
