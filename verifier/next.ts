import type { Code } from './errors.ts';
import type { logCodes } from './log/codes.ts';

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

/**
 * Codes that no guarded request is refused with: those of the log, and of people who write policies. A policy's no is neither,
 * and its answer says more than a step ({@link Next}).
 */
type CodeWithoutStep =
  | Exclude<keyof typeof logCodes, 'rule_groups_too_many'>
  | 'policy_text_invalid'
  | 'case_invalid'
  | 'policy_denied';

/** The column `next` of the table of codes. A new code has a row here, or is listed above: it does not compile otherwise. */
const steps: Readonly<Record<Exclude<Code, CodeWithoutStep>, NextStep>> = {
  encoding_invalid: 'exchange',
  json_invalid: 'exchange',
  key_invalid: 'exchange',
  jws_malformed: 'exchange',
  jws_header_invalid: 'exchange',
  jws_type_wrong: 'exchange',
  jws_algorithm_wrong: 'exchange',
  jws_signature_invalid: 'exchange',
  envelope_missing: 'exchange',
  envelope_too_large: 'exchange',
  envelope_malformed: 'exchange',
  envelope_claim_invalid: 'exchange',
  envelope_link_wrong: 'exchange',
  envelope_widened: 'exchange',
  narrow_too_large: 'exchange',
  envelope_signature_invalid: 'exchange',
  envelope_expired: 'exchange',
  account_mismatch: 'exchange',
  audience_mismatch: 'exchange',
  mint_not_trusted: 'exchange',
  mint_lifetime_exceeded: 'exchange',
  subject_not_active: 'exchange',
  agent_not_active: 'exchange',
  envelope_revoked: 'exchange',
  policy_superseded: 'exchange',
  federation_token_invalid: 'exchange',
  federation_not_bound: 'exchange',
  federation_time: 'exchange',
  authorization_malformed: 'exchange',
  narrow_not_forbid: 'exchange',
  proof_missing: 'prove_again',
  proof_too_large: 'prove_again',
  proof_malformed: 'prove_again',
  proof_algorithm_wrong: 'prove_again',
  proof_key_mismatch: 'prove_again',
  proof_signature_invalid: 'prove_again',
  proof_method_mismatch: 'prove_again',
  proof_target_mismatch: 'prove_again',
  proof_query_mismatch: 'prove_again',
  proof_content_mismatch: 'prove_again',
  proof_header_unbound: 'prove_again',
  proof_header_mismatch: 'prove_again',
  proof_envelope_mismatch: 'prove_again',
  proof_time: 'prove_again',
  proof_replayed: 'prove_again',
  proof_nonce_wrong: 'prove_again',
  proof_nonce_required: 'prove_again',
  content_too_slow: 'retry_later',
  envelope_not_yet_valid: 'retry_later',
  replay_quota_reached: 'retry_later',
  replay_store_full: 'retry_later',
  replay_store_unavailable: 'retry_later',
  policy_unavailable: 'retry_later',
  engine_failed: 'retry_later',
  trust_stale: 'retry_later',
  receipt_failed: 'retry_later',
  internal_error: 'retry_later',
  approval_quota_reached: 'retry_later',
  authorization_details_invalid: 'change_request',
  request_method_refused: 'change_request',
  request_target_invalid: 'change_request',
  request_field_repeated: 'change_request',
  request_field_refused: 'change_request',
  request_host_wrong: 'change_request',
  request_encoding_refused: 'change_request',
  value_invalid: 'change_request',
  route_unknown: 'change_request',
  route_method_unmapped: 'change_request',
  route_input_invalid: 'change_request',
  content_too_large: 'change_request',
  content_refused: 'change_request',
  approvals_too_large: 'change_request',
  approvals_not_taken: 'change_request',
  approval_malformed: 'approval',
  approval_request_invalid: 'approval',
  approval_account_mismatch: 'approval',
  approval_request_mismatch: 'approval',
  approval_envelope_mismatch: 'approval',
  approval_time: 'approval',
  approval_signature_invalid: 'approval',
  approver_not_active: 'approval',
  approver_not_person: 'approval',
  approver_not_independent: 'approval',
  approval_replayed: 'approval',
  approval_too_old: 'approval',
  holder_key_not_live: 'ask_admin',
  federation_not_trusted: 'ask_admin',
  federation_claims_mismatch: 'ask_admin',
  action_not_vouched: 'ask_admin',
  rule_groups_too_many: 'ask_admin',
  policy_invalid: 'ask_admin',
  policy_too_deep: 'ask_admin',
  policy_set_too_large: 'ask_admin',
  policy_not_valid: 'ask_admin',
  policy_quarantined: 'ask_admin',
  policy_error: 'ask_admin',
  action_unknown: 'ask_admin',
  entity_missing: 'ask_admin',
  entity_invalid: 'ask_admin',
  request_not_in_schema: 'ask_admin',
  audience_not_active: 'ask_admin',
  policy_retired: 'ask_admin',
  route_unmapped: 'ask_admin',
};

/** What the caller can do about a refusal with this code; undefined where the code alone does not say it. */
export function nextStep(code: Code): NextStep | undefined {
  return hasStep(code) ? steps[code] : undefined;
}

function hasStep(code: Code): code is keyof typeof steps {
  return Object.hasOwn(steps, code);
}
