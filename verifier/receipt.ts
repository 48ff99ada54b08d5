import type { Access, Resource, RouteOptions, WireRequest } from './access.ts';
import type { SignedEnvelope } from './envelope/signatures.ts';
import type { Code } from './errors.ts';
import type { Assurance } from './log/records.ts';
import type { TrustView } from './log/view.ts';
import type { KeyStanding, Parties } from './parties.ts';
import type { CheckedProof } from './proof/dpop.ts';
import { replayKey } from './proof/replay.ts';
import type { PresentedRequest } from './proof/request.ts';

/** Why a decision fell as it did, one item for each policy or error that had a part in it. */
export interface Reason {
  /**
   * `admin`: the account's policy set. `narrow`, `agent`, `api`: limits added by holder, agent record, route. `builtin`: what the
   * verifier forbids whatever the others say.
   */
  readonly layer: 'admin' | 'narrow' | 'agent' | 'api' | 'builtin';
  /** The policy's id as its author gave it; of `builtin`, `assurance_too_low`; absent when no policy spoke (nothing permits). */
  readonly policy?: string;
  /** The policy's `@reason`; from the admin layer only, since a holder writes the others (F27). */
  readonly reason?: string;
}

/**
 * What was asked, what was answered, and on what knowledge. Made for every decision and every refusal, and safe to
 * store: it holds ids and digests, never an envelope, a proof or a key.
 */
export interface Receipt {
  readonly version: 1;
  /** Unix seconds. */
  readonly time: number;
  readonly outcome: 'allow' | 'deny' | 'refuse';
  /** Present when refused. */
  readonly code?: Code;
  readonly reasons: readonly Reason[];
  readonly account: string;
  readonly audience: string;
  readonly request: { readonly method: string; readonly path?: string };
  readonly action: string;
  /** Present once the route was asked for it, after the proof. */
  readonly resource?: { readonly type: string; readonly id: string };
  /** Present once the signatures were verified: before that, every claim is the caller's word. */
  readonly envelope?: {
    readonly id: string;
    readonly blocks: number;
    readonly mint: string;
    readonly subject: string;
    readonly actors: readonly string[];
    readonly policy: string;
    /** How the holders' keys are known; present once the parties were found. */
    readonly key?: KeyStanding;
    /** By whose word the people of the chain have their keys, the weakest; present once the parties were found. */
    readonly assurance?: Assurance;
    /** Name of the trust in an outside issuer, where the envelope stands on one. */
    readonly federation?: string;
  };
  /** Present once the proof was verified. `id`: base64url SHA-256 of key and `jti`, as replay stores have it. */
  readonly proof?: { readonly id: string; readonly key: string };
  /** Ids of the people who approved, present once they were looked up for the last time. */
  readonly approvers?: readonly string[];
  /** `ageSeconds` is null where nothing fresh enough was ever applied. */
  readonly trust: { readonly size: number; readonly root: string; readonly ageSeconds: number | null };
  /** Protections this route switched off in code. */
  readonly weakened: readonly string[];
}

/** One request on its way through the steps: what was asked, and what the steps have established so far. */
export interface Attempt {
  readonly wire: WireRequest;
  readonly access: Access;
  readonly route: RouteOptions;
  /** Unix seconds, when it came in. */
  now: number;
  request?: PresentedRequest;
  envelope?: SignedEnvelope;
  parties?: Parties;
  resource?: Resource;
  proof?: CheckedProof;
  /** Ids of the people whose approvals hold. */
  approvers?: readonly string[];
}

export interface Outcome {
  readonly outcome: Receipt['outcome'];
  readonly code?: Code;
  readonly reasons: readonly Reason[];
}

/** Tells as much as the steps have established, and nothing that is only the caller's word. */
export function writeReceipt(
  verifier: { readonly trust: TrustView; readonly account: string; readonly audience: string },
  attempt: Attempt,
  { outcome, code, reasons }: Outcome,
): Receipt {
  const { wire, access, route, request, envelope, parties, proof, approvers, resource, now } = attempt;
  const federation = envelope?.root.federated?.trust ?? envelope?.root.vouched?.trust;
  const age = verifier.trust.age(now);
  return {
    version: 1,
    time: now,
    outcome,
    ...(code !== undefined && { code }),
    reasons,
    account: verifier.account,
    audience: verifier.audience,
    request: { method: wire.method, ...(request !== undefined && { path: request.path }) },
    action: access.action,
    ...(resource?.type !== undefined && { resource: { type: resource.type, id: resource.id } }),
    ...(envelope !== undefined && {
      envelope: {
        id: envelope.root.jti,
        blocks: envelope.blocks.length,
        mint: envelope.mint,
        subject: envelope.root.sub,
        actors: parties?.actors ?? [],
        policy: envelope.root.policy,
        ...(parties !== undefined && { key: parties.key, assurance: parties.assurance }),
        ...(federation !== undefined && { federation }),
      },
    }),
    ...(proof !== undefined && { proof: { id: replayKey(proof), key: proof.keyThumbprint } }),
    ...(approvers !== undefined && approvers.length > 0 && { approvers }),
    trust: {
      size: verifier.trust.size,
      root: verifier.trust.root,
      ageSeconds: Number.isFinite(age) ? age : null,
    },
    // oxlint-disable-next-line typescript/no-deprecated -- receipts tell where the escape hatch is in use
    weakened: route.dangerouslyPlainDpop === true ? ['plain-dpop'] : [],
  };
}
