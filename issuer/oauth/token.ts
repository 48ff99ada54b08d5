import type { Nonces } from '@bulla/verifier';
import type { Account } from '../account.ts';
import { IssuerRefusal } from '../errors.ts';
import type { Minted, Target } from '../mint/mint.ts';
import type { Credential } from './credential.ts';
import { type Limits, readLimits } from './details.ts';
import { credentialOfAssertion } from './grant-assertion.ts';
import { credentialOfEnvelope, keptAudiences, looksLikeEnvelope } from './grant-envelope.ts';
import { credentialOfOutsideToken } from './grant-outside.ts';
import { credentialOfSecret } from './grant-secret.ts';
import { accessTokenType, readTokenParameters, type TokenParameters } from './parameters.ts';
import { checkRequestProof, type RequestProof } from './proof.ts';

/** A token request as it stood on the wire. */
export interface TokenRequest {
  readonly body: Uint8Array;
  readonly authorization: string | undefined;
  readonly proof: string | undefined;
}

/** RFC 6749 section 5.1, RFC 8693 section 2.2.1, RFC 9449 section 5, RFC 9396 section 7. */
export interface TokenResponse {
  readonly access_token: string;
  /** Of an exchange. */
  readonly issued_token_type?: string;
  readonly token_type: 'DPoP';
  readonly expires_in: number;
  readonly scope?: string;
  readonly authorization_details?: Limits['granted'];
}

/**
 * Exchanges what a client has for an envelope. The order is that of docs/spec/issuer.md section 3: cheap refusals before
 * signatures, signatures before the store, and nothing is minted for an assertion or proof that was used before.
 *
 * @throws {IssuerRefusal} every code of the token endpoint.
 * @throws {Refusal} the verifier's own codes for a subject token that it would not take.
 */
export async function exchange(
  account: Account,
  nonces: Nonces,
  request: TokenRequest,
): Promise<TokenResponse> {
  const { ports, config, mint, endpoints } = account;
  const now = ports.now();

  // 1. The request has the form of one of the grants.
  const parameters = readTokenParameters(request.body, request.authorization);

  // 2. It comes with a proof of this very request, by the key that the envelope will be bound to.
  const proof = checkRequestProof(request.proof, {
    tokenEndpoint: endpoints.token,
    body: request.body,
    nonces,
    requireNonce: config.requireDpopNonce,
    now,
  });

  // 3. The credential holds, that key may come with it, and whom it stands for is active.
  const credential = await readCredential(account, parameters, proof, now);
  await requireOwn(account, credential, proof, now);
  // Not before: a credential that somebody else has seen would do to spend the client's rate.
  account.limitClient(credential.rate ?? credential.clientId);
  account.limitAll('');

  // 4. What it asks for exists, and this issuer may mint for it.
  const target = targetOf(account, parameters, credential);
  const limits = readLimits(
    { ...parameters, tokenScope: credential.tokenScope },
    account.engine,
    await mint.policySet(target),
  );

  // 5. Assertion and proof work once.
  await spend(account, credential, proof, now);

  // 6. Minted on what the log says by now: the store may have taken a moment.
  const minted = mintFor(account, credential, proof, target, limits);
  const { kind, clientId } = credential;
  const event = kind === 'envelope' ? 'envelope.downscoped' : 'envelope.minted';
  ports.log({ level: 'info', event, account: account.log.account, client: clientId, id: minted.id });
  return {
    access_token: minted.envelope,
    ...(parameters.grant === 'exchange' && { issued_token_type: accessTokenType }),
    token_type: 'DPoP',
    expires_in: minted.expiresInSeconds,
    ...(limits.scope !== undefined && { scope: limits.scope }),
    ...(limits.granted !== undefined && { authorization_details: limits.granted }),
  };
}

async function readCredential(
  account: Account,
  parameters: TokenParameters,
  proof: RequestProof,
  now: number,
): Promise<Credential> {
  if (parameters.grant === 'assertion') return credentialOfAssertion(account, parameters, proof, now);
  if (parameters.grant === 'secret') return credentialOfSecret(account, parameters, proof);
  return looksLikeEnvelope(parameters.subjectToken)
    ? credentialOfEnvelope(account, parameters, proof, now)
    : credentialOfOutsideToken(account, parameters, proof, now);
}

function targetOf({ mint }: Account, { resources }: TokenParameters, credential: Credential): Target {
  return mint.target(
    credential.kind === 'envelope' ? keptAudiences(credential.effective, resources) : resources,
  );
}

/** What is bound to no key belongs to the first that came with it. */
async function requireOwn(
  { store }: Account,
  { tie }: Credential,
  { key }: RequestProof,
  now: number,
): Promise<void> {
  if (tie === undefined || (await store.tie(tie.name, key.thumbprint, tie.until, now))) return;
  throw new IssuerRefusal(
    'subject_token_taken',
    'subject token was exchanged by another key before: get a new one, and find out who that was',
  );
}

async function spend(
  { store }: Account,
  { useKeys, useUntil }: Credential,
  { useKey, expiresAt }: RequestProof,
  now: number,
): Promise<void> {
  const spent = await store.useOnce([...useKeys, useKey], Math.max(useUntil, expiresAt), now);
  if (spent.length === 0) return;
  throw spent.some((name) => useKeys.includes(name))
    ? new IssuerRefusal('client_unauthenticated', 'assertion was used before: make a new one')
    : new IssuerRefusal('proof_refused', 'proof was used before: make a new one');
}

function mintFor(
  { mint }: Account,
  credential: Credential,
  { key }: RequestProof,
  target: Target,
  { narrow }: Limits,
): Minted {
  if (credential.kind === 'envelope') {
    const { envelope, effective } = credential;
    return mint.downscope({ envelope, effective, target, narrow, holder: key });
  }
  const { holder, expiresBy } = credential;
  return mint.mint({ party: credential.stand(), target, narrow, holder, expiresBy });
}
