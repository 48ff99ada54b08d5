/**
 * Refusals of requests: form, envelope, proof, policy, decision. One part of the table in errors.ts, which says what a
 * row means. Where a guarded request is answered, the codes of encodings are about its envelope.
 */
export const requestCodes = {
  // encodings
  encoding_invalid: { status: 401, oauth: 'invalid_token', meaning: 'text is not canonical base64url' },
  json_invalid: { status: 401, oauth: 'invalid_token', meaning: 'text is not strict JSON' },
  key_invalid: {
    status: 401,
    oauth: 'invalid_token',
    meaning: 'public key is malformed, of an unsupported kind, small-order or not canonical',
  },
  jws_malformed: { status: 401, oauth: 'invalid_token', meaning: 'text is not a strict compact JWS' },
  jws_header_invalid: {
    status: 401,
    oauth: 'invalid_token',
    meaning: 'JWS header has a missing, unknown or forbidden member',
  },
  jws_type_wrong: {
    status: 401,
    oauth: 'invalid_token',
    meaning: 'JWS `typ` is not the one demanded here',
  },
  jws_algorithm_wrong: {
    status: 401,
    oauth: 'invalid_token',
    meaning: 'JWS `alg` does not belong to the key',
  },
  jws_signature_invalid: { status: 401, oauth: 'invalid_token', meaning: 'JWS signature does not verify' },

  // envelope
  envelope_missing: { status: 401, meaning: 'request carries no envelope' },
  envelope_too_large: {
    status: 401,
    oauth: 'invalid_token',
    meaning: 'envelope is larger than `maxEnvelopeBytes` of this API',
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
    meaning:
      'the agent is not active, or was suspended since minting or since it was handed the envelope, or its owner is another person',
  },
  holder_key_not_live: {
    status: 401,
    oauth: 'invalid_token',
    meaning: 'a holder key is not in the log, is revoked, or belongs to someone else',
  },
  federation_not_trusted: {
    status: 401,
    oauth: 'invalid_token',
    meaning: 'outside issuer is not trusted under this name, not with this key, or not for this agent',
  },
  federation_token_invalid: {
    status: 401,
    oauth: 'invalid_token',
    meaning: 'outside token is malformed, of a refused kind, or its signature does not verify',
  },
  federation_claims_mismatch: {
    status: 401,
    oauth: 'invalid_token',
    meaning: 'outside token is by another issuer, or does not say what the log demands of it',
  },
  federation_not_bound: {
    status: 401,
    oauth: 'invalid_token',
    meaning:
      'outside token does not name the holder key in `aud` or `nonce`, or is bound and was called an access token',
  },
  federation_time: {
    status: 401,
    oauth: 'invalid_token',
    meaning:
      'outside token had expired at minting, was not issued shortly before, or is from before the agent was resumed',
  },
  action_not_vouched: {
    status: 403,
    oauth: 'insufficient_scope',
    meaning: "the agent's record does not list this action for a key that the mint alone vouches for",
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
  receipt_failed: { status: 500, meaning: 'the receipt of a decision or refusal could not be handed over' },
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
    meaning: 'GET or HEAD request carries content, or content ended early or in trailers',
  },
  content_too_slow: { status: 408, meaning: 'content did not arrive whole within `contentSeconds`' },
} as const;
