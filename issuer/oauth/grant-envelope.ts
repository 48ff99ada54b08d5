import { checkEnvelope, limits } from '@bulla/verifier';
import { type InspectedEnvelope, inspect } from '@bulla/verifier/envelope';
import type { Account } from '../account.ts';
import { IssuerRefusal } from '../errors.ts';
import type { EnvelopeCredential } from './credential.ts';
import type { ExchangeGrant, TokenParameters } from './parameters.ts';
import type { RequestProof } from './proof.ts';

/**
 * An envelope that its holder wants less of (docs/spec/issuer.md section 3.4). It is checked as an API would, for each audience that
 * is kept; what comes of it is the same envelope and one more block.
 *
 * @throws {IssuerRefusal} `subject_token_refused`, `target_refused`, `proof_refused`.
 * @throws {Refusal} the codes of `checkEnvelope`.
 */
export function credentialOfEnvelope(
  { log }: Account,
  { subjectToken, subjectTokenType, clientId, resources }: ExchangeGrant & TokenParameters,
  { key }: RequestProof,
  now: number,
): EnvelopeCredential {
  if (subjectTokenType !== 'access_token') {
    throw new IssuerRefusal('subject_token_refused', 'an envelope is exchanged as an access token');
  }
  const { effective, root } = inspect(subjectToken);
  for (const audience of keptAudiences(effective, resources)) {
    const checked = checkEnvelope(subjectToken, { trust: log.trust, audience, now });
    if (checked.holder !== key.thumbprint) {
      throw new IssuerRefusal('proof_refused', 'proof is not by the holder of the envelope');
    }
  }
  if (effective.depth === 0) {
    throw new IssuerRefusal('subject_token_refused', 'envelope is sealed: nothing can be appended to it');
  }
  const party = root.client_id ?? root.sub;
  if (clientId !== undefined && clientId !== party) {
    throw new IssuerRefusal('subject_token_refused', '`client_id` is another than that of the envelope');
  }
  return {
    kind: 'envelope',
    clientId: party,
    rate: `envelope/${root.jti}`,
    envelope: subjectToken,
    effective,
    useKeys: [],
    useUntil: 0,
  };
}

/** None named: all that it has. */
export function keptAudiences(
  { aud }: Pick<InspectedEnvelope['effective'], 'aud'>,
  resources: readonly string[],
): readonly string[] {
  if (resources.some((resource) => !aud.includes(resource))) {
    throw new IssuerRefusal(
      'target_refused',
      '`resource` is not an audience of the envelope: it only shrinks',
    );
  }
  return resources.length === 0 ? aud : resources;
}

/** Whether a subject token claims to be an envelope. Nothing is verified. */
export function looksLikeEnvelope(token: string): boolean {
  if (token.includes('~')) return true;
  if (token.length > limits.maxEnvelopeBytes) return false;
  try {
    const header: unknown = JSON.parse(Buffer.from(token.split('.', 1)[0] ?? '', 'base64url').toString());
    return (header as { readonly typ?: unknown } | null)?.typ === 'bulla+jwt';
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}
