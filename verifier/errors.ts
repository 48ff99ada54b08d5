/**
 * Every way in which this package refuses. A code, once released, keeps its name and its meaning.
 *
 * `status`: HTTP status of the answer. `oauth`: `error` of RFC 6750 section 3.1, RFC 6749 section 5.2 or RFC 9449,
 * absent where none fits. A refusal's message may be shown to the caller: it never quotes a token, key or claim value.
 */
export const codes = {
  // encodings
  encoding_invalid: { status: 400, oauth: 'invalid_request', meaning: 'text is not canonical base64url' },
  json_invalid: { status: 400, oauth: 'invalid_request', meaning: 'text is not strict JSON' },
  key_invalid: {
    status: 400,
    oauth: 'invalid_request',
    meaning: 'public key is malformed, of an unsupported kind, small-order or not canonical',
  },
  jws_malformed: { status: 400, oauth: 'invalid_request', meaning: 'text is not a strict compact JWS' },
  jws_header_invalid: {
    status: 400,
    oauth: 'invalid_request',
    meaning: 'JWS header has a missing, unknown or forbidden member',
  },
  jws_type_wrong: {
    status: 400,
    oauth: 'invalid_request',
    meaning: 'JWS `typ` is not the one demanded here',
  },
  jws_algorithm_wrong: {
    status: 400,
    oauth: 'invalid_request',
    meaning: 'JWS `alg` does not belong to the key',
  },
  jws_signature_invalid: { status: 400, oauth: 'invalid_request', meaning: 'JWS signature does not verify' },

  // envelope
  envelope_missing: { status: 401, meaning: 'request carries no envelope' },
  envelope_too_large: {
    status: 401,
    oauth: 'invalid_token',
    meaning: 'envelope is larger than `maxEnvelopeBytes`',
  },
  envelope_malformed: { status: 401, oauth: 'invalid_token', meaning: 'envelope is not `root~block~…`' },
  envelope_claim_invalid: {
    status: 401,
    oauth: 'invalid_token',
    meaning: 'a claim is missing, malformed or unknown',
  },
  envelope_link_wrong: {
    status: 401,
    oauth: 'invalid_token',
    meaning: 'a block does not follow the bytes before it',
  },
  envelope_widened: {
    status: 401,
    oauth: 'invalid_token',
    meaning: 'a block lengthens the life, widens the audience or does not lower the depth',
  },
  narrow_too_large: { status: 401, oauth: 'invalid_token', meaning: 'narrowing exceeds its caps' },
  envelope_signature_invalid: {
    status: 401,
    oauth: 'invalid_token',
    meaning: 'a block is not signed by the key it must be signed by',
  },
  envelope_expired: { status: 401, oauth: 'invalid_token', meaning: 'envelope has expired' },
  envelope_not_yet_valid: {
    status: 401,
    oauth: 'invalid_token',
    meaning: 'envelope was issued in the future',
  },
  account_mismatch: { status: 401, oauth: 'invalid_token', meaning: 'envelope stands on another trust log' },
  audience_mismatch: { status: 401, oauth: 'invalid_token', meaning: 'envelope is not meant for this API' },
  mint_not_trusted: {
    status: 401,
    oauth: 'invalid_token',
    meaning: 'mint key holds no lease in force that covers this envelope',
  },
  mint_lifetime_exceeded: {
    status: 401,
    oauth: 'invalid_token',
    meaning: 'envelope lives longer than the mint lease allows',
  },
  subject_not_active: {
    status: 401,
    oauth: 'invalid_token',
    meaning: 'the person is not active, or was suspended since minting',
  },
  agent_not_active: {
    status: 401,
    oauth: 'invalid_token',
    meaning: 'the agent is not active, or was suspended since minting, or its owner is another person',
  },
  holder_key_not_live: {
    status: 401,
    oauth: 'invalid_token',
    meaning: 'a holder key is not in the log, is revoked, or belongs to someone else',
  },
  envelope_revoked: { status: 401, oauth: 'invalid_token', meaning: 'this capability was revoked' },
  policy_superseded: {
    status: 401,
    oauth: 'invalid_token',
    meaning: 'minted under a policy set that is no longer current: exchange again',
  },

  authorization_details_invalid: {
    status: 400,
    oauth: 'invalid_authorization_details',
    meaning: '`authorization_details` is malformed or of an unknown type',
  },

  // proof
  proof_missing: { status: 401, oauth: 'invalid_dpop_proof', meaning: 'request carries no DPoP proof' },
  request_method_refused: {
    status: 405,
    meaning: 'method is malformed, CONNECT, or overridden by a header field',
  },
  request_target_invalid: {
    status: 400,
    oauth: 'invalid_request',
    meaning: 'request-target is not a canonical origin-form path and query',
  },
  request_field_repeated: {
    status: 400,
    oauth: 'invalid_request',
    meaning: 'header field that must be single is repeated or holds a list',
  },
  request_field_refused: {
    status: 400,
    oauth: 'invalid_request',
    meaning: 'request carries Upgrade, Trailer or another field refused on guarded routes',
  },
  request_host_wrong: {
    status: 421,
    oauth: 'invalid_request',
    meaning: 'Host does not belong to a configured public origin',
  },
  request_encoding_refused: {
    status: 415,
    oauth: 'invalid_request',
    meaning: 'content is encoded (Content-Encoding other than identity)',
  },
  authorization_malformed: {
    status: 401,
    oauth: 'invalid_request',
    meaning: 'Authorization is not `DPoP` followed by one envelope',
  },
  proof_too_large: {
    status: 401,
    oauth: 'invalid_dpop_proof',
    meaning: 'proof is larger than `maxProofBytes`',
  },
  proof_malformed: {
    status: 401,
    oauth: 'invalid_dpop_proof',
    meaning: 'proof is not a strict `dpop+jwt`, or has an unknown, missing or wrongly typed claim',
  },
  proof_algorithm_wrong: {
    status: 401,
    oauth: 'invalid_dpop_proof',
    meaning: "proof's `alg` does not belong to its key",
  },
  proof_key_mismatch: {
    status: 401,
    oauth: 'invalid_dpop_proof',
    meaning: "proof is by a key other than the last holder's",
  },
  proof_signature_invalid: {
    status: 401,
    oauth: 'invalid_dpop_proof',
    meaning: "proof's signature does not verify",
  },
  proof_method_mismatch: {
    status: 401,
    oauth: 'invalid_dpop_proof',
    meaning: '`htm` is not the method on the wire',
  },
  proof_target_mismatch: {
    status: 401,
    oauth: 'invalid_dpop_proof',
    meaning: '`htu` is not the public origin and raw path of the request',
  },
  proof_query_mismatch: {
    status: 401,
    oauth: 'invalid_dpop_proof',
    meaning: '`htq` is not the digest of the query, or is missing while there is one',
  },
  proof_content_mismatch: {
    status: 401,
    oauth: 'invalid_dpop_proof',
    meaning: '`content_digest` is not the digest of the content, or is missing while there is some',
  },
  proof_header_unbound: {
    status: 401,
    oauth: 'invalid_dpop_proof',
    meaning: 'header field that the proof must bind is not in `htb`',
  },
  proof_header_mismatch: {
    status: 401,
    oauth: 'invalid_dpop_proof',
    meaning: 'header field bound by `htb` has another value or is absent',
  },
  proof_envelope_mismatch: {
    status: 401,
    oauth: 'invalid_dpop_proof',
    meaning: '`ath` is not the digest of the envelope as sent',
  },
  proof_time: {
    status: 401,
    oauth: 'invalid_dpop_proof',
    meaning: '`iat` is outside the window, or too old to tell the proof from a replay',
  },
  proof_replayed: { status: 401, oauth: 'invalid_dpop_proof', meaning: 'proof was used before' },
  proof_nonce_wrong: {
    status: 401,
    oauth: 'use_dpop_nonce',
    meaning: "proof's nonce was not issued by this process or has expired",
  },
  proof_nonce_required: {
    status: 401,
    oauth: 'use_dpop_nonce',
    meaning: 'process is too young to tell the proof from a replay without a nonce',
  },
  replay_quota_reached: {
    status: 429,
    meaning: 'this key has used more proofs than the replay store keeps for one key',
  },
  replay_store_full: { status: 503, meaning: 'replay store is full' },
  replay_store_unavailable: { status: 503, meaning: 'replay store did not answer' },

  // trust log: formats and transport
  entry_too_large: { status: 413, meaning: 'leaf or request is larger than `maxLeafBytes`' },
  entry_malformed: { status: 400, meaning: 'entry, request or operation is not of its exact form' },
  entry_unknown: {
    status: 400,
    meaning: 'entry version, operation or rules number has no rules in this version: a follower halts',
  },
  note_malformed: { status: 400, meaning: 'text is not a signed note, or larger than the caps' },
  checkpoint_malformed: { status: 400, meaning: 'note text is not a checkpoint with a state root' },
  checkpoint_origin_wrong: { status: 400, meaning: 'checkpoint is of another log' },
  checkpoint_unsigned: { status: 400, meaning: 'checkpoint does not carry one signature by the log key' },
  checkpoint_signature_invalid: { status: 400, meaning: 'signature of the log does not verify' },
  inclusion_invalid: { status: 400, meaning: 'inclusion proof does not lead to the root' },
  consistency_invalid: { status: 400, meaning: 'consistency proof does not lead to both roots' },
  state_proof_invalid: { status: 400, meaning: 'state proof does not lead to the root' },
  state_proof_too_long: { status: 400, meaning: 'state proof has over `maxStateProofSiblings` siblings' },
  tile_name_invalid: { status: 404, meaning: 'path does not name a tile' },
  tile_unknown: { status: 404, meaning: 'log has no such tile at this size' },
  tile_malformed: { status: 400, meaning: 'entry bundle is cut, or of another width' },

  // trust log: rules
  rule_seq_mismatch: { status: 409, meaning: 'entry was signed for another place in the log' },
  rule_prev_mismatch: { status: 409, meaning: 'entry does not follow the leaf before it' },
  rule_account_mismatch: { status: 403, meaning: 'entry or request belongs to another account' },
  rule_time_backwards: { status: 409, meaning: 'entry is older than the last applied one' },
  rule_time_ahead: { status: 400, meaning: 'entry is later than the clock of whoever reads it live' },
  rule_time_backdated: { status: 400, meaning: 'delegate entry is older than a checkpoint that lacks it' },
  rule_signer_unknown: { status: 403, meaning: 'signer is neither admin nor delegate of this account' },
  rule_threshold_unmet: { status: 403, meaning: 'too few admins have signed, or too few would remain' },
  rule_signature_unneeded: { status: 400, meaning: 'a signature has no part in the operation' },
  rule_not_permitted: { status: 403, meaning: 'signers of this kind may not ask for this operation' },
  rule_lease_revoked: { status: 403, meaning: "delegate's lease was revoked" },
  rule_lease_ended: { status: 403, meaning: "delegate's lease has ended" },
  rule_lease_rate: { status: 429, meaning: 'lease allows no further entry yet' },
  rule_lease_exhausted: { status: 403, meaning: "lease's lifetime total is used up" },
  rule_operation_unlisted: { status: 403, meaning: 'lease does not list this operation' },
  rule_attribute_unlisted: { status: 403, meaning: 'lease does not list this attribute' },
  rule_group_unlisted: {
    status: 403,
    meaning: 'lease does not list this group, or one that is reached from it',
  },
  rule_group_protected: { status: 403, meaning: 'group is protected, or a protected one is reached from it' },
  rule_lease_operation: { status: 400, meaning: 'lease lists an operation that no delegate may sign' },
  rule_lease_lifetime: {
    status: 400,
    meaning: '`maxLifetimeSeconds` is set without `capability.mint`, or missing with it',
  },
  rule_lease_length: { status: 400, meaning: 'lease would not end within `maxLeaseSeconds`' },
  rule_delegate_unknown: { status: 404, meaning: 'no active delegate has this key' },
  rule_admin_unknown: { status: 404, meaning: 'no active admin has this key' },
  rule_admins_too_many: { status: 400, meaning: 'account has `maxAdmins` admins' },
  rule_log_key_kind: { status: 400, meaning: 'log key is not Ed25519' },
  rule_seal_size: { status: 400, meaning: 'seal is not between the last seal and its own entry' },
  rule_rules_lowered: { status: 400, meaning: 'rules number is not raised' },
  rule_key_known: { status: 409, meaning: 'key has been in the log before' },
  rule_possession_unproven: { status: 400, meaning: 'new key has not signed' },
  rule_key_unknown: { status: 404, meaning: 'key is not one of this subject, or not in the log' },
  rule_key_revoked: { status: 409, meaning: 'key was revoked already' },
  rule_key_not_live: {
    status: 403,
    meaning: 'key is revoked, fell with another key, or its subject is not active',
  },
  rule_keys_too_many: { status: 400, meaning: 'subject has `maxKeysPerSubject` keys' },
  rule_key_chain: { status: 400, meaning: 'key is too many links away from one that an admin added' },
  rule_revoke_since: { status: 400, meaning: '`since` lies after the entry' },
  rule_request_expired: { status: 403, meaning: 'request has expired' },
  rule_request_too_long: {
    status: 400,
    meaning: 'request is good for longer than `maxRequestLifetimeSeconds`',
  },
  rule_subject_mismatch: { status: 400, meaning: 'request names another subject than its operation' },
  rule_subject_version: {
    status: 409,
    meaning: 'subject has changed since the request was signed, or does not exist',
  },
  rule_subject_unknown: { status: 404, meaning: 'no such person or agent' },
  rule_subject_not_active: { status: 409, meaning: 'person is not active' },
  rule_status: { status: 409, meaning: 'status of the subject does not allow this operation' },
  rule_rank_too_low: {
    status: 403,
    meaning: 'a higher rank suspended the subject, or it is suspended with its owner',
  },
  rule_not_owner: { status: 403, meaning: 'asked for by somebody else than the owner' },
  rule_not_sponsor: { status: 403, meaning: 'activation is signed by neither an admin nor a sponsor' },
  rule_agents_too_many: { status: 400, meaning: 'owner has `maxAgentsPerOwner` agents' },
  rule_limit_not_forbid: { status: 400, meaning: 'agent limits are not `forbid` policies within their caps' },
  rule_attribute_kind: {
    status: 400,
    meaning: 'attribute has an odd name, another kind of value, or is too much',
  },
  rule_group_known: { status: 409, meaning: 'group name was used before' },
  rule_group_unknown: { status: 404, meaning: 'no such group' },
  rule_group_cycle: { status: 400, meaning: 'a group would be in itself' },
  rule_groups_too_many: { status: 403, meaning: 'more than `maxAncestors` groups are reached' },
  rule_member_known: { status: 409, meaning: 'already in this group' },
  rule_member_unknown: { status: 404, meaning: 'not in this group' },
  rule_slot_unknown: { status: 404, meaning: 'no such policy slot' },
  rule_slot_retired: { status: 409, meaning: 'policy slot was retired' },
  rule_policy_unchanged: { status: 409, meaning: 'this policy set is the current one' },
  rule_overlap: { status: 400, meaning: 'overlap has no set before it, or lies in the past' },
  rule_audience_unknown: { status: 404, meaning: 'no such active audience' },
  rule_audience_retired: { status: 409, meaning: 'audience was retired' },

  // follower
  genesis_mismatch: {
    status: 503,
    meaning: 'first entry of the log is not the genesis of the pinned account',
  },
  log_unreachable: { status: 503, meaning: 'log does not answer, or answers with another status than 200' },
  log_answer_invalid: { status: 503, meaning: 'answer of the log is malformed or larger than the caps' },
  log_incomplete: { status: 503, meaning: 'log sent a checkpoint before its first entry' },
  log_root_differs: { status: 503, meaning: 'leaves do not hash to the root that the log signed' },
  log_forked: { status: 503, meaning: 'log signed two roots for one size: the follower halts' },
  state_root_differs: {
    status: 503,
    meaning: 'recomputed world state differs from the signed one: the follower halts',
  },
  checkpoint_rolled_back: { status: 503, meaning: 'checkpoint is smaller than one seen or locked' },
  checkpoint_time_back: { status: 503, meaning: 'checkpoint is older than one seen or locked' },
  checkpoint_future: { status: 503, meaning: 'checkpoint is from the future' },
  entry_backdated: {
    status: 503,
    meaning: 'delegate signed with a time long before a checkpoint that lacks the entry: the follower halts',
  },
  lock_missing: { status: 503, meaning: 'lock file cannot be read' },
  lock_invalid: { status: 503, meaning: 'lock file is not a lock' },
  lock_mismatch: { status: 503, meaning: 'lock is of another account, or has another root at its size' },
  lock_lowered: { status: 400, meaning: 'lock would go back' },
  policy_document_invalid: { status: 503, meaning: 'published policy set is not the one that the log names' },
  stop_not_restrictive: { status: 400, meaning: 'direct stop is not an operation that only takes away' },
  stop_unauthorised: {
    status: 403,
    meaning: 'direct stop is not signed by the threshold of admin keys in force, and by nobody else',
  },
  follower_closed: { status: 503, meaning: 'follower was closed' },
  follower_disk_failed: { status: 503, meaning: 'follower cannot write to its directory or lock file' },
  follower_disk_invalid: {
    status: 503,
    meaning: 'directory of the follower does not verify: the follower halts',
  },
  follower_failed: { status: 503, meaning: 'follower met a failure it has no code for' },

  // policy
  policy_unavailable: { status: 503, meaning: 'current policy set has not been fetched yet' },
  policy_invalid: { status: 400, meaning: 'policy, schema or policy set is malformed' },
  policy_too_deep: { status: 400, meaning: 'policy or schema is nested deeper than `maxPolicyDepth`' },
  policy_set_too_large: { status: 400, meaning: 'policy set has too many policies or bytes' },
  policy_not_valid: { status: 400, meaning: 'policy does not validate against the schema' },
  policy_quarantined: { status: 503, meaning: 'these policies have made the policy engine fail before' },
  policy_error: { status: 403, meaning: 'a policy could not be evaluated: an error is a deny' },
  policy_text_invalid: { status: 400, meaning: 'policy or schema text does not parse or validate' },
  case_invalid: { status: 400, meaning: 'a test case of a policy set is malformed' },
  narrow_not_forbid: {
    status: 401,
    oauth: 'invalid_token',
    meaning: 'a limit (of an envelope, an agent or a route) is not a `forbid`',
  },
  action_unknown: { status: 500, meaning: 'the route asks for an action that the schema does not have' },
  entity_missing: { status: 500, meaning: 'an entity that policies depend on was not supplied' },
  entity_invalid: { status: 500, meaning: 'an entity does not fit the schema or the limits' },
  value_invalid: { status: 400, meaning: 'an attribute is unknown, missing or not of its declared type' },
  request_not_in_schema: {
    status: 500,
    meaning: 'the schema does not allow this principal, action, resource and context together',
  },
  engine_failed: { status: 503, meaning: 'the policy engine failed and was replaced' },

  // decision
  policy_denied: {
    status: 403,
    oauth: 'insufficient_scope',
    meaning: 'the policy or a limit denies this request',
  },
  trust_stale: {
    status: 503,
    meaning: 'what the verifier knows of the trust log is older than this route allows',
  },
  audience_not_active: {
    status: 503,
    meaning: 'this API is not registered in the trust log, or was retired',
  },
  policy_retired: { status: 503, meaning: 'the policy slot of this API has no current set' },
  receipt_failed: { status: 500, meaning: 'the receipt of an allowed request could not be handed over' },
  internal_error: { status: 500, meaning: 'the decision failed for a reason inside the verifier' },

  // adapters
  route_unknown: { status: 404, meaning: 'no handler matches method and path' },
  route_unmapped: { status: 403, meaning: 'handler that would run has no row in the table of routes' },
  route_method_unmapped: {
    status: 405,
    meaning: 'path has a handler, but this method has no row in the table of routes',
  },
  route_input_invalid: {
    status: 400,
    oauth: 'invalid_request',
    meaning: 'path, query or content does not fit what the route maps to a resource',
  },
  content_too_large: { status: 413, meaning: 'content is larger than `maxBodyBytes`' },
  content_refused: {
    status: 400,
    oauth: 'invalid_request',
    meaning: 'GET or HEAD request carries content, or content ended in trailers',
  },
} as const;

/** Every code of the table: stable, once released. */
export type Code = keyof typeof codes;

/** A row of the table of codes. */
export interface CodeEntry {
  readonly status: number;
  readonly oauth?: string;
  readonly meaning: string;
}

/** The row of a code: HTTP status, OAuth error where one fits, meaning. */
export function describeCode(code: Code): CodeEntry {
  return codes[code];
}

/**
 * Not acceptable: thrown wherever input, state or configuration is refused. A policy's "no" is not a refusal;
 * it is returned as a decision.
 */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: Code;

  /** `message`: lower case, one line, no period; never a token, key or claim value. */
  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
