import { type Nonces, Refusal } from '@bulla/verifier';
import { keyIsLive } from '@bulla/verifier/log';
import type { LoadedSet } from '@bulla/verifier/policy';
import type { Account } from '../account.ts';
import { IssuerRefusal } from '../errors.ts';
import { findParty } from '../mint/party.ts';
import { authenticateClient } from './client.ts';
import { type RequestedDetails, readDetails } from './details.ts';
import { readTokenParameters } from './parameters.ts';
import { checkClientProof } from './proof.ts';

/** A token request as it stood on the wire. */
export interface TokenRequest {
  readonly body: Uint8Array;
  readonly authorization: string | undefined;
  readonly proof: string | undefined;
}

/** RFC 6749 section 5.1, RFC 9449 section 5, RFC 9396 section 7. */
export interface TokenResponse {
  readonly access_token: string;
  readonly token_type: 'DPoP';
  readonly expires_in: number;
  readonly authorization_details?: RequestedDetails['granted'];
}

/**
 * Exchanges a client's key for an envelope. The order is that of docs/spec/issuer.md section 3: cheap refusals before
 * signatures, signatures before the store, and nothing is minted for an assertion or proof that was used before.
 *
 * @throws {IssuerRefusal} every code of the token endpoint.
 */
export async function exchange(
  account: Account,
  nonces: Nonces,
  request: TokenRequest,
): Promise<TokenResponse> {
  const { ports, config, mint, log, endpoints } = account;
  const now = ports.now();
  const { read } = log;

  // 1. The request has the form of a client_credentials request with an assertion.
  if (request.authorization !== undefined) {
    throw new IssuerRefusal('client_unauthenticated', 'clients authenticate with `private_key_jwt` only');
  }
  const parameters = readTokenParameters(request.body);

  // 2. The client is who it says, and active.
  const client = authenticateClient(parameters.assertion, {
    audiences: [endpoints.issuer, endpoints.token],
    clientId: parameters.clientId,
    now,
    read,
  });

  // 3. It holds a logged key of its own.
  const proof = checkClientProof(request.proof, {
    tokenEndpoint: endpoints.token,
    body: request.body,
    party: client.party,
    read,
    nonces,
    requireNonce: config.requireDpopNonce,
    now,
  });
  // Not before: an assertion that somebody else has seen would do to spend the client's rate.
  account.limitClient(client.party.clientId);
  account.limitAll('');

  // 4. What it asks for exists, and this issuer may mint for it.
  const target = mint.target(parameters.resources);
  const set = await mint.policySet(target);
  const details = readDetails(parameters.authorizationDetails, set.document);
  requireValid(account, set, details);

  // 5. Assertion and proof work once.
  const expiresAt = Math.max(client.expiresAt, proof.expiresAt);
  const spent = await account.store.useOnce([client.useKey, proof.useKey], expiresAt, now);
  if (spent.length !== 0) {
    throw spent.includes(client.useKey)
      ? new IssuerRefusal('client_unauthenticated', 'assertion was used before: make a new one')
      : new IssuerRefusal('proof_refused', 'proof was used before: make a new one');
  }

  // 6. Minted on what the log says by now: the store may have taken a moment.
  const party = findParty(read, client.party.clientId);
  if (!keyIsLive(read, proof.keyThumbprint))
    throw new IssuerRefusal('client_inactive', 'key was just revoked');
  const minted = mint.mint({ party, target, narrow: details.narrow, keyThumbprint: proof.keyThumbprint });
  ports.log({
    level: 'info',
    event: 'envelope.minted',
    account: log.account,
    client: party.clientId,
    id: minted.id,
  });
  return {
    access_token: minted.envelope,
    token_type: 'DPoP',
    expires_in: minted.expiresInSeconds,
    ...(details.granted !== undefined && { authorization_details: details.granted }),
  };
}

function requireValid({ engine }: Account, set: LoadedSet, { narrow }: RequestedDetails): void {
  if (narrow.length === 0) return;
  try {
    engine.validateNarrow(set, 'asked', narrow);
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause;
    throw new IssuerRefusal('details_refused', `\`authorization_details\`: ${cause.message}`, { cause });
  }
}
