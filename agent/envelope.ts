import { Refusal, type Signer } from '@bulla/verifier';
import {
  canonicalJson,
  holderOf,
  type InspectedEnvelope,
  inspect,
  narrowTo,
  signBlock,
} from '@bulla/verifier/envelope';
import { type AgentConfig, type HandedOptions, type ProvingConfig, readProvingConfig } from './config.ts';
import { AgentError } from './errors.ts';

/** An envelope this agent can spend. */
export interface HeldEnvelope {
  readonly text: string;
  /** Unix seconds. */
  readonly issuedAt: number;
  readonly expiresAt: number;
}

/**
 * Takes an envelope from the issuer: it must be for this key, agent, issuer and these audiences. Then adds the
 * agent's own narrowing block, which repeats what was asked for and which the issuer cannot take away.
 *
 * Does NOT verify signatures: the agent holds no trust log, and an API refuses what does not verify.
 *
 * @throws {AgentError} `exchange_answer_invalid`, `envelope_not_ours`, `narrowing_missing`.
 */
export function acceptEnvelope(config: AgentConfig, text: string): HeldEnvelope {
  const envelope = inspectAnswer(text);
  requireOurs(config, envelope);
  const { root, effective } = envelope;
  return {
    text: narrowed(config, text, envelope),
    issuedAt: root.iat,
    expiresAt: effective.exp,
  };
}

/**
 * Takes an envelope from whoever handed it over: it must name this key last. Its time is looked at when it is used.
 *
 * Does NOT verify signatures, as in {@link acceptEnvelope}.
 *
 * @throws {AgentError} `config_invalid`, `envelope_malformed`, `envelope_not_ours`.
 */
export function acceptHanded(options: HandedOptions): { config: ProvingConfig; held: HeldEnvelope } {
  const envelope = inspectHanded(options.envelope);
  const config = readProvingConfig(options, envelope.effective.aud);
  requireHolder(envelope, config.signer);
  const { root, effective } = envelope;
  return { config, held: { text: options.envelope, issuedAt: root.iat, expiresAt: effective.exp } };
}

/** @throws {AgentError} `envelope_malformed`. */
export function inspectHanded(text: string): InspectedEnvelope {
  if (typeof text !== 'string') throw new AgentError('envelope_malformed', 'the envelope is not text');
  try {
    return inspect(text);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new AgentError('envelope_malformed', error.message, { reason: error.code });
  }
}

/** @throws {AgentError} `envelope_not_ours`. */
export function requireHolder(envelope: InspectedEnvelope, { publicKey }: Signer): void {
  if (lastHolder(envelope) !== publicKey.thumbprint) {
    throw new AgentError('envelope_not_ours', 'the envelope is for another key');
  }
}

function lastHolder({ root, blocks }: InspectedEnvelope): string {
  return blocks.at(-1)?.holder ?? holderOf(root);
}

function inspectAnswer(text: string): InspectedEnvelope {
  try {
    return inspect(text);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new AgentError('exchange_answer_invalid', 'the issuer answered with a malformed envelope', {
      reason: error.code,
    });
  }
}

function requireOurs(config: AgentConfig, envelope: InspectedEnvelope): void {
  const { root, effective } = envelope;
  const wrong =
    (lastHolder(envelope) !== config.signer.publicKey.thumbprint && 'another key') ||
    (config.clientId !== undefined && root.client_id !== config.clientId && 'another agent') ||
    (root.iss !== config.issuer && 'another issuer') ||
    (config.resources.some((resource) => !effective.aud.includes(resource)) && 'another audience') ||
    (effective.exp <= config.ports.now() && 'a time that has passed');
  if (wrong !== false) throw new AgentError('envelope_not_ours', `the envelope is for ${wrong}`);
}

function narrowed(config: AgentConfig, text: string, { effective }: InspectedEnvelope): string {
  const narrow = narrowTo(config.details);
  if (narrow.length === 0) return text;
  if (effective.depth > 0) {
    const { signer, ports } = config;
    const block = { iat: Math.floor(ports.now()), depth: effective.depth - 1, narrow };
    return signBlock(text, { ...block, next: signer.publicKey.jwk }, signer);
  }
  const carried = new Set(effective.narrow.flat().map((policy) => canonicalJson(policy)));
  if (narrow.every((policy) => carried.has(canonicalJson(policy)))) return text;
  throw new AgentError('narrowing_missing', 'the envelope is sealed without the limits that were asked for');
}
