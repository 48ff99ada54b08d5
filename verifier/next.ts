import type { Code } from './errors.ts';

/**
 * What a caller can do about a refusal, where the code alone says it:
 *
 * - `exchange`: get a new envelope from the issuer, then send the request again.
 * - `prove_again`: send the same request with a new proof (and the nonce of the answer, if it brought one).
 * - `retry_later`: nothing is wrong with the request.
 * - `change_request`: the same request will be refused again.
 * - `approval`: get new approvals of this request.
 * - `ask_admin`: a person has to change something in the trust log or the API.
 */
export type NextStep =
  | 'exchange'
  | 'prove_again'
  | 'retry_later'
  | 'change_request'
  | 'approval'
  | 'ask_admin';

/** What to ask people for, so that they approve one exact request (docs/spec/approval.md). */
interface NextApproval {
  readonly do: 'approval';
  /** Protected groups whose approval would help: names of the admins' schema, never words of a holder. */
  readonly groups: readonly string[];
  readonly account: string;
  /** Hash of the request, base64url. */
  readonly request: string;
  /** Hash of the envelope's root block, base64url. */
  readonly envelope: string;
}

/** What to ask the issuer, or whoever handed the envelope on, for: an envelope that is not limited against this. */
interface NextAsk {
  readonly do: 'ask';
  readonly authorization_details: readonly {
    readonly type: 'bulla';
    readonly actions: readonly [string];
    readonly resources: readonly [{ readonly type: string; readonly id: string }];
  }[];
}

/**
 * What could turn a denial into an allow. `none`: the API itself forbids this. Nothing in it was written by a holder
 * of the envelope: the reader may be a program that takes orders from text (F27).
 */
export type Next = NextApproval | NextAsk | { readonly do: 'ask_admin' | 'none' };

/** The column `next` of the table of codes, by step. A code that is in no list has none. */
const codesByStep = {
  exchange: [
    'encoding_invalid',
    'json_invalid',
    'key_invalid',
    'jws_malformed',
    'jws_header_invalid',
    'jws_type_wrong',
    'jws_algorithm_wrong',
    'jws_signature_invalid',
    'envelope_missing',
    'envelope_too_large',
    'envelope_malformed',
    'envelope_claim_invalid',
    'envelope_link_wrong',
    'envelope_widened',
    'narrow_too_large',
    'envelope_signature_invalid',
    'envelope_expired',
    'account_mismatch',
    'audience_mismatch',
    'mint_not_trusted',
    'mint_lifetime_exceeded',
    'subject_not_active',
    'agent_not_active',
    'envelope_revoked',
    'policy_superseded',
    'federation_token_invalid',
    'federation_not_bound',
    'federation_time',
    'authorization_malformed',
    'narrow_not_forbid',
  ],
  prove_again: [
    'proof_missing',
    'proof_too_large',
    'proof_malformed',
    'proof_algorithm_wrong',
    'proof_key_mismatch',
    'proof_signature_invalid',
    'proof_method_mismatch',
    'proof_target_mismatch',
    'proof_query_mismatch',
    'proof_content_mismatch',
    'proof_header_unbound',
    'proof_header_mismatch',
    'proof_envelope_mismatch',
    'proof_time',
    'proof_replayed',
    'proof_nonce_wrong',
    'proof_nonce_required',
  ],
  retry_later: [
    'content_too_slow',
    'envelope_not_yet_valid',
    'replay_quota_reached',
    'replay_store_full',
    'replay_store_unavailable',
    'policy_unavailable',
    'engine_failed',
    'trust_stale',
    'receipt_failed',
    'internal_error',
    'approval_quota_reached',
  ],
  change_request: [
    'authorization_details_invalid',
    'request_method_refused',
    'request_target_invalid',
    'request_field_repeated',
    'request_field_refused',
    'request_host_wrong',
    'request_encoding_refused',
    'value_invalid',
    'route_unknown',
    'route_method_unmapped',
    'route_input_invalid',
    'content_too_large',
    'content_refused',
    'approvals_too_large',
    'approvals_not_taken',
  ],
  approval: [
    'approval_malformed',
    'approval_request_invalid',
    'approval_account_mismatch',
    'approval_request_mismatch',
    'approval_envelope_mismatch',
    'approval_time',
    'approval_signature_invalid',
    'approver_not_active',
    'approver_not_person',
    'approver_not_independent',
    'approval_replayed',
    'approval_too_old',
  ],
  ask_admin: [
    'holder_key_not_live',
    'federation_not_trusted',
    'federation_claims_mismatch',
    'action_not_vouched',
    'rule_groups_too_many',
    'policy_invalid',
    'policy_too_deep',
    'policy_set_too_large',
    'policy_not_valid',
    'policy_quarantined',
    'policy_error',
    'action_unknown',
    'entity_missing',
    'entity_invalid',
    'request_not_in_schema',
    'audience_not_active',
    'policy_retired',
    'route_unmapped',
  ],
} as const satisfies Readonly<Record<NextStep, readonly Code[]>>;

const stepByCode: ReadonlyMap<string, NextStep> = new Map(
  Object.entries(codesByStep).flatMap(([step, list]) =>
    list.map((code) => [code, step as NextStep] as const),
  ),
);

/** What the caller can do about a refusal with this code; undefined where the code alone does not say it. */
export function nextStep(code: Code): NextStep | undefined {
  return stepByCode.get(code);
}
