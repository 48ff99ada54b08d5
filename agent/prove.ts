import { Refusal } from '@bulla/verifier';
import { createProof } from '@bulla/verifier/envelope';
import type { ProvingConfig } from './config.ts';
import type { HeldEnvelope } from './envelope.ts';
import { AgentError } from './errors.ts';
import type { OriginNonces } from './nonces.ts';

/** One request as it will be sent. */
export interface RequestToProve {
  readonly method: string;
  /** Absolute URL, within the agent's origins. */
  readonly url: string | URL;
  readonly body?: Uint8Array | string | undefined;
  /** All header fields; only `content-type` and the agent's `bindHeaders` are bound. Names in any case. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * Approvals of this exact request, from people who were sent `approvalRequest`'s answer. The envelope that they were asked
   * about is spent, as long as it lives.
   */
  readonly approvals?: readonly string[];
}

/** Header fields that make a request provable, once. */
export interface ProofHeaders {
  readonly authorization: string;
  readonly dpop: string;
  /** Present where approvals were given. */
  readonly 'bulla-approval'?: string;
}

export type Prover = (request: RequestToProve, held: HeldEnvelope) => ProofHeaders;

export function createProver(config: ProvingConfig, nonces: OriginNonces): Prover {
  return (request, held) => {
    const { method, url, body, approvals = [] } = request;
    const target = requireAllowedOrigin(config, url);
    const nonce = nonces.get(target.origin);
    const hasBody = body !== undefined && body.length > 0;
    try {
      const dpop = createProof({
        method,
        url: target,
        envelope: held.text,
        signer: config.signer,
        now: config.ports.now(),
        headers: Object.fromEntries(boundFields(config, request)),
        ...(hasBody && { body }),
        ...(nonce !== undefined && { nonce }),
      });
      return {
        authorization: `DPoP ${held.text}`,
        dpop,
        ...(approvals.length > 0 && { 'bulla-approval': approvals.join(', ') }),
      };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      throw new AgentError('request_not_provable', error.message, { reason: error.code });
    }
  };
}

/** The fields that a proof of this request binds, names in lower case. */
export function boundFields(
  { bindHeaders }: ProvingConfig,
  { headers = {}, body }: RequestToProve,
): readonly (readonly [string, string])[] {
  const hasBody = body !== undefined && body.length > 0;
  return Object.entries(headers)
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .filter(([name]) => (name === 'content-type' ? hasBody : bindHeaders.includes(name)));
}

/**
 * The envelope goes to no other origin: a server that received it could not spend it, but would learn who may do what.
 *
 * @throws {AgentError} `origin_not_allowed`.
 */
export function requireAllowedOrigin(config: ProvingConfig, url: string | URL): URL {
  if (typeof url === 'string' && !URL.canParse(url))
    throw new AgentError('request_not_provable', 'not an absolute URL');
  const target = new URL(url);
  if (!config.origins.has(target.origin)) {
    throw new AgentError(
      'origin_not_allowed',
      `\`${target.origin}\` is not an origin of this agent's audiences`,
    );
  }
  return target;
}
