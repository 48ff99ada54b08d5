import type { Account } from '../account.ts';
import { findParty, type Party } from '../mint/party.ts';
import type { RootCredential } from './credential.ts';
import type { SecretGrant } from './parameters.ts';
import type { RequestProof } from './proof.ts';
import { requireUnlogged, requireVouched } from './vouched.ts';

/**
 * An agent that has a client secret and nothing else (docs/spec/issuer.md section 3.2). A secret cannot be bound to a key:
 * `key: "vouched"`.
 *
 * @throws {IssuerRefusal} `client_unauthenticated`, `client_locked`, `client_inactive`, `proof_refused`, `nothing_vouched`.
 */
export function credentialOfSecret(
  { log, checkSecret }: Account,
  { clientId, secret }: SecretGrant,
  { key }: RequestProof,
): RootCredential {
  const { read } = log;
  checkSecret({ clientId, secret, keyThumbprint: key.thumbprint });
  requireUnlogged(read, key);
  const stand = (): Party => requireVouched(findParty(read, clientId));
  stand();
  return {
    kind: 'root',
    clientId,
    holder: { cnf: { jwk: key.jwk }, key: 'vouched' },
    useKeys: [],
    useUntil: 0,
    stand,
  };
}
