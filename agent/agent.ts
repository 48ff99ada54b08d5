import type { PublicJwk } from '@bulla/verifier';
import type { ApprovalRequest } from '@bulla/verifier/envelope';
import { createAwaitedApprovals } from './approvals.ts';
import type { AgentOptions, HandedOptions } from './config.ts';
import { createProvingFetch, type ProvingFetch } from './fetch.ts';
import {
  type NarrowedEnvelope,
  type Narrowing,
  type NarrowingSurroundings,
  narrowEnvelope,
} from './narrow.ts';
import { createParts } from './parts.ts';
import { type ProofHeaders, type RequestToProve, requireAllowedOrigin } from './prove.ts';

/** A program that holds a key and spends envelopes. */
export interface Agent {
  /** RFC 7638 thumbprint of its key. */
  readonly keyThumbprint: string;
  /**
   * `fetch` with an envelope and a proof for exactly this request. Bodies and streams are read whole first. Redirects
   * are not followed. Sends again, once each, with the nonce an API asks for and with a new envelope when the policy
   * changed (not with approvals: they are for one envelope). Takes `fetch`'s arguments and `approvals`, throws its errors, and
   *
   * @throws {AgentError} `origin_not_allowed`, `header_reserved`, `redirect_refused`, `request_not_provable`,
   *   `approvals_unusable`, and those of `envelope`.
   */
  readonly fetch: ProvingFetch;
  /**
   * Header fields for one request that another client will send, exactly as described. Each answer works once.
   *
   * @throws {AgentError} `origin_not_allowed`, `request_not_provable`, `approvals_unusable`, and those of `envelope`.
   */
  prove(request: RequestToProve): Promise<ProofHeaders>;
  /**
   * What people are sent so that they can approve one request: the request, its content, and the envelope it will be made under,
   * which this agent keeps for it. A JSON document for approvers alone: it shows the content, and the root block of the
   * envelope. Their approvals go with exactly this request into `fetch` or `prove`.
   *
   * @throws {AgentError} `origin_not_allowed`, `request_not_provable`, and those of `envelope`.
   */
  approvalRequest(request: RequestToProve): Promise<ApprovalRequest>;
  /**
   * The envelope as it will be sent, exchanged or renewed if need be. Worth nothing without the key, but not for logs.
   *
   * @throws {AgentError} `issuer_unreachable`, `issuer_metadata_invalid`, `exchange_refused`, `exchange_answer_invalid`,
   *   `envelope_not_ours`, `narrowing_missing`, and those of a source; where it was handed over, `envelope_expired`.
   */
  envelope(): Promise<string>;
  /**
   * Hands on less than the agent holds, to another key. No issuer is asked; the one that is handed the envelope goes on with
   * `createAgent({ envelope, key })`.
   *
   * @throws {AgentError} those of `envelope` and of {@link narrowEnvelope}.
   */
  delegate(delegation: Delegation): Promise<NarrowedEnvelope>;
}

/** To whom an agent hands an envelope, and how much of it. */
export interface Delegation extends Narrowing, Pick<NarrowingSurroundings, 'schema' | 'maxEnvelopeBytes'> {
  readonly next: PublicJwk;
}

/**
 * Makes an agent that exchanges its key, or a credential of its `source`, at an issuer, or, given an `envelope`, one that spends what it was handed and has
 * nobody to ask for more. Nothing is fetched before the first use.
 *
 * @throws {AgentError} `config_invalid`; with an `envelope` also `envelope_malformed`, `envelope_not_ours`.
 */
export function createAgent(options: AgentOptions | HandedOptions): Agent {
  const { config, holder, prover, nonces } = createParts(options);
  const awaited = createAwaitedApprovals(config, holder);
  return {
    keyThumbprint: config.signer.publicKey.thumbprint,
    fetch: createProvingFetch(config, holder, prover, nonces, awaited),
    prove: async (request) => {
      requireAllowedOrigin(config, request.url);
      const { approvals = [] } = request;
      const held = await (approvals.length > 0 ? awaited.holdFor(approvals) : holder.current());
      return prover(request, held);
    },
    approvalRequest: (request) => awaited.describe(request),
    envelope: async () => (await holder.current()).text,
    delegate: async ({ schema, maxEnvelopeBytes, ...narrowing }) =>
      narrowEnvelope(
        (await holder.current()).text,
        { holder: config.signer, ...narrowing },
        {
          ports: config.ports,
          ...(schema !== undefined && { schema }),
          ...(maxEnvelopeBytes !== undefined && { maxEnvelopeBytes }),
        },
      ),
  };
}
