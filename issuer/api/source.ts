import type { Account } from '../account.ts';

/** Under which name the log keeps the suspensions of this API: that of its lease, as `rules/suspension.ts` has it. */
export function sourceOf({ log, usersApi }: Account): string {
  const thumbprint = usersApi?.signer.publicKey.thumbprint ?? '';
  const connection = log.read(`delegate/${thumbprint}`)?.lease.connection;
  return connection === undefined ? `delegate/${thumbprint}` : `connection/${connection}`;
}
