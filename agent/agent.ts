import { type AgentOptions, readConfig } from './config.ts';
import { createProvingFetch } from './fetch.ts';
import { createHolder } from './holder.ts';
import { createOriginNonces } from './nonces.ts';
import { createProver, type ProofHeaders, type RequestToProve, requireAllowedOrigin } from './prove.ts';

/** A program that holds a key and spends envelopes. */
export interface Agent {
  /** RFC 7638 thumbprint of its key. */
  readonly keyThumbprint: string;
  /**
   * `fetch` with an envelope and a proof for exactly this request. Bodies and streams are read whole first. Redirects
   * are not followed. Sends again, once each, with the nonce an API asks for and with a new envelope when the policy
   * changed. Takes `fetch`'s arguments, throws its errors, and
   *
   * @throws {AgentError} `origin_not_allowed`, `header_reserved`, `redirect_refused`, `request_not_provable`, and those of `envelope`.
   */
  readonly fetch: typeof globalThis.fetch;
  /**
   * Header fields for one request that another client will send, exactly as described. Each answer works once.
   *
   * @throws {AgentError} `origin_not_allowed`, `request_not_provable`, and those of `envelope`.
   */
  prove(request: RequestToProve): Promise<ProofHeaders>;
  /**
   * The envelope as it will be sent, exchanged or renewed if need be. Worth nothing without the key, but not for logs.
   *
   * @throws {AgentError} `issuer_unreachable`, `issuer_metadata_invalid`, `exchange_refused`, `exchange_answer_invalid`,
   *   `envelope_not_ours`, `narrowing_missing`.
   */
  envelope(): Promise<string>;
}

/** @throws {AgentError} `config_invalid`. Nothing is fetched before the first use. */
export function createAgent(options: AgentOptions): Agent {
  const config = readConfig(options);
  const nonces = createOriginNonces();
  const holder = createHolder(config, nonces);
  const prover = createProver(config, nonces);
  return {
    keyThumbprint: config.signer.publicKey.thumbprint,
    fetch: createProvingFetch(config, holder, prover, nonces),
    prove: async (request) => {
      requireAllowedOrigin(config, request.url);
      return prover(request, await holder.current());
    },
    envelope: async () => (await holder.current()).text,
  };
}
