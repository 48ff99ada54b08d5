import { type PublicKey, parsePublicJwk } from '@bulla/verifier';
import { keyIsLive, type Read } from '@bulla/verifier/log';
import { findParty, type Party } from '../mint/party.ts';
import { type AssertionDemands, type CheckedAssertion, checkAssertion } from './assertion.ts';

export interface AuthenticatedClient extends CheckedAssertion {
  readonly party: Party;
}

const maxKeysTried = 16;

/**
 * Authenticates a client by `private_key_jwt` (RFC 7523): signed by a live logged key of the agent or person that `sub`
 * names, for this issuer, for at most five minutes. Does NOT remember the assertion: take `useKey` in the store.
 *
 * @throws {IssuerRefusal} `client_unauthenticated`, `client_inactive`.
 */
export function authenticateClient(
  assertion: string,
  { read, ...demands }: Omit<AssertionDemands, 'keysOf'> & { readonly read: Read },
): AuthenticatedClient {
  const keysOf = (clientId: string, kid: unknown): PublicKey[] =>
    candidateKeys(read, findParty(read, clientId), kid);
  const checked = checkAssertion(assertion, { ...demands, keysOf });
  return { ...checked, party: findParty(read, checked.clientId) };
}

function candidateKeys(read: Read, party: Party, kid: unknown): PublicKey[] {
  const thumbprints = party.keys.includes(String(kid)) ? [String(kid)] : party.keys.slice(0, maxKeysTried);
  return thumbprints
    .filter((thumbprint) => keyIsLive(read, thumbprint))
    .map((thumbprint) => read(`key/${thumbprint}`))
    .filter((record) => record !== undefined)
    .map((record) => parsePublicJwk(record.jwk));
}
