import { randomUUID } from 'node:crypto';
import { createProof, isJsonObject, signJws } from '@bulla/verifier/envelope';
import type { AgentConfig } from './config.ts';
import { AgentError } from './errors.ts';
import { type Answer, readAnswer, reasonOf } from './http.ts';
import type { OriginNonces } from './nonces.ts';
import { subjectTokenTypeUrn } from './source.ts';

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';
const assertionLifeSeconds = 60;

/**
 * Exchanges what the agent has for an envelope: its logged key by `client_credentials` with `private_key_jwt` (RFC 7523), or a
 * credential of its source by token exchange (RFC 8693). Either way with DPoP (RFC 9449, one retry with the nonce the issuer
 * asks for), `resource` (RFC 8707) and `authorization_details` (RFC 9396).
 *
 * Does NOT check the envelope: `acceptEnvelope` does.
 *
 * @throws {AgentError} `exchange_refused`, `exchange_answer_invalid`, `issuer_unreachable`,
 *   and those of the source.
 */
export async function exchange(config: AgentConfig, endpoint: URL, nonces: OriginNonces): Promise<string> {
  const grant = await grantOf(config);
  let answer = await requestToken(config, endpoint, nonces, grant);
  if (isNonceDemand(answer)) answer = await requestToken(config, endpoint, nonces, grant);
  if (answer.status !== 200) throw refusedBy(answer);
  const { body } = answer;
  const envelope = isJsonObject(body) ? body['access_token'] : undefined;
  const type = isJsonObject(body) ? body['token_type'] : undefined;
  if (typeof envelope !== 'string' || typeof type !== 'string' || type.toLowerCase() !== 'dpop') {
    throw new AgentError('exchange_answer_invalid', 'the issuer answered without a DPoP-bound envelope');
  }
  return envelope;
}

/** What proves who asks, as parameters of the form. A source is asked once, an assertion made anew for each request. */
type GrantParameters = () => Readonly<Record<string, string>>;

async function grantOf(config: AgentConfig): Promise<GrantParameters> {
  const { clientId, credential } = config;
  const client = clientId === undefined ? {} : { client_id: clientId };
  if (credential === undefined) {
    return () => ({
      ...client,
      grant_type: 'client_credentials',
      client_assertion_type: assertionType,
      client_assertion: assertionOf(config, Math.floor(config.ports.now())),
    });
  }
  const { token, type } = await credential.source.subjectToken(credential.binding);
  return () => ({
    ...client,
    grant_type: exchangeGrant,
    subject_token: token,
    subject_token_type: subjectTokenTypeUrn(type),
  });
}

async function requestToken(
  config: AgentConfig,
  endpoint: URL,
  nonces: OriginNonces,
  grant: GrantParameters,
): Promise<Answer> {
  const now = config.ports.now();
  const nonce = nonces.get(endpoint.origin);
  const proof = createProof({
    method: 'POST',
    url: endpoint,
    signer: config.signer,
    now,
    plain: true,
    ...(nonce !== undefined && { nonce }),
  });
  const body = new URLSearchParams(grant());
  for (const resource of config.resources) body.append('resource', resource);
  if (config.details.length > 0) body.append('authorization_details', JSON.stringify(config.details));
  const answer = await readAnswer(config, endpoint, {
    method: 'POST',
    headers: {
      dpop: proof,
      accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: body.toString(),
  });
  nonces.keep(endpoint.origin, answer.headers);
  return answer;
}

/** RFC 7523 section 3, with the issuer as the only audience. A fresh one for every request: `jti` works once. */
function assertionOf(config: AgentConfig, now: number): string {
  const { clientId = '', issuer, signer } = config;
  return signJws(
    'JWT',
    { kid: signer.publicKey.thumbprint },
    {
      iss: clientId,
      sub: clientId,
      aud: issuer,
      jti: randomUUID(),
      iat: now,
      exp: now + assertionLifeSeconds,
    },
    signer,
  );
}

function isNonceDemand(answer: Answer): boolean {
  const { body } = answer;
  return answer.status === 400 && isJsonObject(body) && body['error'] === 'use_dpop_nonce';
}

function refusedBy(answer: Answer): AgentError {
  const reason = reasonOf(answer.body);
  const { status } = answer;
  return new AgentError(
    'exchange_refused',
    `the issuer refused the exchange: ${reason ?? `status ${status}`}`,
    {
      reason,
      status,
    },
  );
}
