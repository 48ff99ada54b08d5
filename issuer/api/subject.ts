import { leavingOf, type Read, suspensionSource } from '@bulla/verifier/log';
import type { Account } from '../account.ts';
import type { ApiLeaving } from './shapes.ts';

/** Under which name the log keeps the suspensions of this API. */
export function sourceOf({ log, usersApi }: Account): string {
  return suspensionSource(log.read, usersApi?.signer.publicKey.thumbprint ?? '');
}

/** What falls with a person or agent in the state that `read` shows. */
export function leavingWith({ log }: Account, read: Read, id: string): ApiLeaving {
  const { agents, keys, federations, groups } = leavingOf(read, log.world.records(), id);
  return { agents: agents.map((each) => ({ id: each.agent, keys: each.keys })), keys, federations, groups };
}
