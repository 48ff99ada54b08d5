import { decodeBase64url, parseJsonObject } from '@bulla/verifier/envelope';
import { AgentError } from '../errors.ts';

/** Longer ones do not fit into an envelope, let alone into a header. */
const maxTokenBytes = 16_384;
const compact = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/u;

/** @throws {AgentError} `source_answer_invalid` for anything that is not a compact JWS. */
export function requireCompact(value: unknown): string {
  if (typeof value === 'string' && value.length <= maxTokenBytes && compact.test(value)) return value;
  throw new AgentError('source_answer_invalid', 'the source gave something that is not a compact JWT');
}

/**
 * Looks, without verifying anything, whether a token is bound to the holder key: a clear word here instead of a refusal
 * by the issuer.
 *
 * @throws {AgentError} `source_answer_invalid` where `aud` does not hold `binding`.
 */
export function requireBound(token: string, binding: string): string {
  let audience: unknown;
  try {
    audience = parseJsonObject(decodeBase64url(token.split('.')[1] ?? ''))['aud'];
  } catch {
    throw new AgentError('source_answer_invalid', 'the source gave a JWT whose payload cannot be read');
  }
  const audiences: readonly unknown[] = Array.isArray(audience) ? audience : [audience];
  if (audiences.includes(binding)) return token;
  throw new AgentError(
    'source_answer_invalid',
    'the source gave a JWT that is not bound to the holder key: its `aud` must hold `bulla:<account>:<thumbprint>`',
  );
}
