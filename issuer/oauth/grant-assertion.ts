import { keyIsLive } from '@bulla/verifier/log';
import type { Account } from '../account.ts';
import { IssuerRefusal } from '../errors.ts';
import { findParty, type Party } from '../mint/party.ts';
import { authenticateClient } from './client.ts';
import type { RootCredential } from './credential.ts';
import type { AssertionGrant } from './parameters.ts';
import type { RequestProof } from './proof.ts';

/**
 * A client that authenticates with a key of its own, and proves with one (docs/spec/issuer.md section 3.1): `key: "logged"`.
 *
 * @throws {IssuerRefusal} `client_unauthenticated`, `client_inactive`, `proof_refused`.
 */
export function credentialOfAssertion(
  { log, endpoints }: Account,
  grant: AssertionGrant,
  { key }: RequestProof,
  now: number,
): RootCredential {
  const { read } = log;
  const { party, useKey, expiresAt } = authenticateClient(grant.assertion, {
    audiences: [endpoints.issuer, endpoints.token],
    clientId: grant.clientId,
    now,
    read,
  });
  const { thumbprint } = key;
  if (read(`key/${thumbprint}`)?.subject !== party.subject || !keyIsLive(read, thumbprint)) {
    throw new IssuerRefusal('proof_refused', 'proof is not by a live logged key of the client');
  }
  return {
    kind: 'root',
    clientId: party.clientId,
    holder: { cnf: { jkt: thumbprint }, key: 'logged' },
    useKeys: [useKey],
    useUntil: expiresAt,
    stand: (): Party => {
      if (!keyIsLive(read, thumbprint)) throw new IssuerRefusal('client_inactive', 'key was just revoked');
      return findParty(read, party.clientId);
    },
  };
}
