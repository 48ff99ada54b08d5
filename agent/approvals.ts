import { Refusal } from '@bulla/verifier';
import { type ApprovalRequest, approvalRequest, parseApproval, rootHash } from '@bulla/verifier/envelope';
import type { ProvingConfig } from './config.ts';
import type { HeldEnvelope } from './envelope.ts';
import { AgentError } from './errors.ts';
import type { Holder } from './holder.ts';
import { boundFields, type RequestToProve, requireAllowedOrigin } from './prove.ts';

/** Envelopes for which people were asked to approve something: an approval is of one root block, and renewal makes another. */
export interface AwaitedApprovals {
  /** @throws {AgentError} `request_not_provable`, `origin_not_allowed`, and those of `Holder.current`. */
  describe(request: RequestToProve): Promise<ApprovalRequest>;
  /** The envelope to spend: the one that these approvals are for. @throws {AgentError} `approvals_unusable`. */
  holdFor(approvals: readonly string[]): Promise<HeldEnvelope>;
}

const maxKept = 256;

export function createAwaitedApprovals(config: ProvingConfig, holder: Holder): AwaitedApprovals {
  const kept = new Map<string, HeldEnvelope>();
  const forget = (): void => {
    for (const [hash, { expiresAt }] of kept) {
      if (expiresAt <= config.ports.now() || kept.size >= maxKept) kept.delete(hash);
    }
  };
  return {
    describe: async (request) => {
      const target = requireAllowedOrigin(config, request.url);
      const held = await longLived(config, holder);
      const described = describe(config, { ...request, url: target }, held);
      forget();
      kept.set(described.envelope, held);
      return described;
    },
    holdFor: async (approvals) => {
      const wanted = wantedRoot(approvals);
      const known = kept.get(wanted);
      const held = known ?? (await holder.current());
      if (held.expiresAt <= config.ports.now() || rootHash(held.text) !== wanted) {
        throw unusable('the envelope that was approved for is no longer held');
      }
      return held;
    },
  };
}

/** People need time: where more than half of an envelope's life is over, they are asked about a new one. */
async function longLived({ ports }: ProvingConfig, holder: Holder): Promise<HeldEnvelope> {
  const held = await holder.current();
  if (held.expiresAt - ports.now() >= (held.expiresAt - held.issuedAt) / 2) return held;
  return (await holder.replace(held)) ?? held;
}

function describe(config: ProvingConfig, request: RequestToProve, held: HeldEnvelope): ApprovalRequest {
  const { method, url, body } = request;
  try {
    const headers = Object.fromEntries(boundFields(config, request));
    return approvalRequest({ method, url, body, headers, envelope: held.text });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new AgentError('request_not_provable', error.message, { reason: error.code });
  }
}

function wantedRoot(approvals: readonly string[]): string {
  try {
    const roots = new Set(approvals.map((text) => parseApproval(text).claims.envelope));
    const [root] = roots;
    if (root !== undefined && roots.size === 1) return root;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw unusable('an approval is malformed', error.code);
  }
  throw unusable('the approvals are for several envelopes, or there are none');
}

function unusable(message: string, reason?: string): AgentError {
  return new AgentError('approvals_unusable', message, { reason });
}
