import type { PublicKey } from '@bulla/verifier';
import type { Read } from '@bulla/verifier/log';
import { IssuerRefusal } from '../errors.ts';
import type { Party } from '../mint/party.ts';

/** @throws {IssuerRefusal} `nothing_vouched`: an envelope that no API would take is not worth having. */
export function requireVouched(party: Party): Party {
  if ((party.agent?.vouched.length ?? 0) > 0) return party;
  throw new IssuerRefusal(
    'nothing_vouched',
    'this credential is bound to no key, and no admin listed what the agent may do on it: `bulla admin agent vouch`',
  );
}

/**
 * Who has a key in the log authenticates with it: verifiers refuse such a key where an outside token or a secret stands for it.
 *
 * @throws {IssuerRefusal} `proof_refused`.
 */
export function requireUnlogged(read: Read, { thumbprint }: PublicKey): void {
  if (read(`key/${thumbprint}`) === undefined) return;
  throw new IssuerRefusal(
    'proof_refused',
    'proof is by a key of the log, which authenticates with `private_key_jwt`: make a new key for this',
  );
}
