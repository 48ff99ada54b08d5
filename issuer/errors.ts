/**
 * Every way in which the issuer refuses, beside the codes of `@bulla/verifier` (which it passes on as they are).
 * A code, once released, keeps its name and its meaning.
 *
 * `status`: HTTP status of the answer. `oauth`: `error` at the token endpoint (RFC 6749 section 5.2, RFC 8707, RFC 9396,
 * RFC 9449), absent where the refusal never happens there.
 */
export const issuerCodes = {
  // requests
  account_unknown: { status: 404, meaning: 'this issuer does not host the account' },
  path_unknown: { status: 404, meaning: 'nothing is served at this path' },
  method_refused: { status: 405, meaning: 'path does not take this method' },
  body_too_large: { status: 413, oauth: 'invalid_request', meaning: 'request body is larger than its cap' },
  body_invalid: {
    status: 400,
    oauth: 'invalid_request',
    meaning: 'request body is not of the demanded form',
  },
  parameter_invalid: {
    status: 400,
    oauth: 'invalid_request',
    meaning: 'request parameter is missing, repeated or malformed',
  },
  read_token_wrong: { status: 401, meaning: 'read token is missing or unknown' },
  activation_code_invalid: {
    status: 403,
    meaning: 'invitation is wrong, used, expired, replaced by a newer one or of another account',
  },
  person_confirmed: { status: 409, meaning: 'person has nothing left to confirm' },
  invitations_missing: { status: 409, meaning: 'this issuer is not configured to send invitations' },
  operator_unauthenticated: {
    status: 401,
    meaning: 'operator token is missing, unknown or expired',
  },
  operator_login_refused: {
    status: 403,
    meaning: 'log-in does not hold, is too old, was used before, or is of nobody who operates this account',
  },
  rate_limited: {
    status: 429,
    oauth: 'temporarily_unavailable',
    meaning: 'too many requests from this client or account',
  },
  internal: { status: 500, oauth: 'server_error', meaning: 'issuer failed; the cause is in its log' },
  closing: { status: 503, oauth: 'temporarily_unavailable', meaning: 'issuer is shutting down' },

  // log
  head_moved: { status: 409, meaning: 'entry was made for another head than the current one' },
  entry_time_off: { status: 400, meaning: 'time of the entry is too far from the clock of the issuer' },
  document_missing: {
    status: 400,
    meaning: 'entry publishes a policy set that neither comes with it nor is stored',
  },
  document_unused: {
    status: 400,
    meaning: 'policy set that comes with the entry is not the one it publishes',
  },
  document_unknown: { status: 404, meaning: 'no policy set has this digest' },
  range_invalid: { status: 400, meaning: 'part of the log that was asked for does not exist' },
  log_key_replaced: { status: 503, meaning: 'configured log key is not the log key of the account' },
  relay_unavailable: { status: 503, meaning: 'issuer holds no live lease to relay requests' },

  // store
  account_exists: { status: 409, meaning: 'account exists in the store already' },
  account_missing: { status: 503, meaning: 'account is not in the store' },
  store_rolled_back: { status: 503, meaning: 'store holds less than a checkpoint that was already served' },
  store_corrupt: { status: 503, meaning: 'store contradicts itself or the rules of the trust log' },
  store_version: { status: 503, meaning: 'database was made by another version of the issuer' },
  directory_full: { status: 403, meaning: 'connection has as many resources of this kind as it may have' },
  row_taken: { status: 409, meaning: 'name or id is taken by another row of the directory' },
  store_unavailable: { status: 503, oauth: 'temporarily_unavailable', meaning: 'store does not answer' },

  // directory
  person_unknown: { status: 404, meaning: 'no such person, or not of this connection' },
  connection_lease_wrong: {
    status: 503,
    meaning: 'lease of the key of this connection names another connection, or none',
  },
  group_unknown: { status: 404, meaning: 'no such group in this connection' },
  group_nested: { status: 403, meaning: 'a group would be put into one that stands for a group of the log' },
  member_unknown: { status: 400, meaning: 'a member is no user or group of this connection' },
  scim_token_wrong: {
    status: 401,
    meaning: 'bearer token of a connection is missing, unknown, revoked or expired',
  },
  scim_token_unknown: { status: 404, meaning: 'no token of a connection has this id' },
  login_trust_missing: {
    status: 503,
    meaning: 'log-in by which people of this connection confirm themselves is not trusted in the log',
  },
  erase_live: {
    status: 409,
    meaning: 'person is not deprovisioned, and no connection of this configuration may do that',
  },
  version_moved: { status: 412, meaning: 'resource is not in the version that was asked for' },

  // token endpoint
  grant_type_unsupported: {
    status: 400,
    oauth: 'unsupported_grant_type',
    meaning: 'grant type is neither `client_credentials` nor token exchange',
  },
  scope_refused: {
    status: 400,
    oauth: 'invalid_scope',
    meaning: 'scope is malformed, or names what is no action of the resource',
  },
  client_unauthenticated: {
    status: 401,
    oauth: 'invalid_client',
    meaning:
      'client assertion or secret is missing, wrong or expired, or an assertion is malformed, replayed or not by a live key of the client',
  },
  client_locked: {
    status: 429,
    oauth: 'temporarily_unavailable',
    meaning:
      'too many wrong secrets for this client from keys that were never right; `Retry-After` says how long',
  },
  client_inactive: {
    status: 401,
    oauth: 'invalid_client',
    meaning: 'agent or its owner is not active',
  },
  proof_refused: {
    status: 400,
    oauth: 'invalid_dpop_proof',
    meaning: 'DPoP proof is missing, malformed, replayed or not by the key that it must be by',
  },
  nonce_required: { status: 400, oauth: 'use_dpop_nonce', meaning: 'DPoP proof carries no current nonce' },
  target_refused: {
    status: 400,
    oauth: 'invalid_target',
    meaning: '`resource` is missing, not registered, retired or not in the mint lease',
  },
  details_refused: {
    status: 400,
    oauth: 'invalid_authorization_details',
    meaning: '`authorization_details` has an unknown type or member, or asks for what cannot be expressed',
  },
  subject_token_refused: {
    status: 400,
    oauth: 'invalid_request',
    meaning:
      'subject token is malformed, expired, not signed by its issuer, or not of the kind that was named',
  },
  subject_token_taken: {
    status: 400,
    oauth: 'invalid_request',
    meaning: 'subject token was exchanged by another key before: it belongs to that one until it expires',
  },
  federation_unknown: {
    status: 400,
    oauth: 'invalid_request',
    meaning: 'no federation that admins trusted fits issuer and claims of the subject token',
  },
  federation_ambiguous: {
    status: 400,
    oauth: 'invalid_request',
    meaning: 'subject token fits federations that stand for different agents, or more of them than are tried',
  },
  federation_keys_changed: {
    status: 400,
    oauth: 'invalid_request',
    meaning: 'outside issuer signs with a key that the log does not pin: an admin must look and pin it',
  },
  key_set_unavailable: {
    status: 503,
    oauth: 'temporarily_unavailable',
    meaning: 'key set of the outside issuer cannot be had, or is not one',
  },
  nothing_vouched: {
    status: 400,
    oauth: 'unauthorized_client',
    meaning: 'no admin listed actions that this agent may do on a credential that is bound to no key',
  },
  mint_unavailable: {
    status: 503,
    oauth: 'temporarily_unavailable',
    meaning: 'mint lease is missing, has ended or is about to',
  },

  // security events
  set_malformed: {
    status: 400,
    meaning: 'security event token is not of the demanded form, or says two things at once',
  },
  set_key_wrong: { status: 400, meaning: 'security event token is not signed by a key of the transmitter' },
  set_issuer_wrong: { status: 400, meaning: 'security event token is by another issuer than the stream' },
  set_audience_wrong: { status: 400, meaning: 'security event token is for somebody else' },
  set_too_old: { status: 400, meaning: 'security event token is older than the stream allows' },
  set_sender_wrong: {
    status: 400,
    meaning: 'no stream of this name, or who delivers did not authenticate as its transmitter',
  },
  event_not_applied: {
    status: 503,
    meaning: 'security event is right, but could not be applied now; deliver it again',
  },
  mint_self_check: { status: 500, oauth: 'server_error', meaning: 'envelope just minted did not verify' },

  // Users API
  api_token_wrong: { status: 401, meaning: 'access token of the Users API is missing, unknown or expired' },
  scope_insufficient: { status: 403, meaning: 'access token lacks the scope that this call needs' },
  target_unknown: { status: 404, meaning: 'no such person, agent or key' },
  cursor_invalid: {
    status: 400,
    meaning: 'cursor is malformed, or belongs to another account, client or query',
  },
  idempotency_key_invalid: { status: 400, meaning: '`Idempotency-Key` is not 1 to 128 visible characters' },
  idempotency_key_reused: { status: 422, meaning: '`Idempotency-Key` was used for another call' },

  // SCIM
  scim_scope_missing: { status: 403, meaning: 'SCIM token lacks the scope that this needs' },
  scim_resource_unknown: { status: 404, meaning: 'connection has no resource with this id' },
  scim_filter_invalid: {
    status: 400,
    meaning: 'filter is malformed, too long, too deep, or names what cannot be compared',
  },
  scim_filter_refused: { status: 403, meaning: 'schemas and resource types are not filtered' },
  scim_syntax_invalid: { status: 400, meaning: 'SCIM message is not of the demanded form' },
  scim_path_invalid: { status: 400, meaning: 'path of a PATCH operation is malformed or names no attribute' },
  scim_target_missing: { status: 400, meaning: 'path of a PATCH operation is missing or selects nothing' },
  scim_value_invalid: { status: 400, meaning: 'attribute is missing, or has a value it cannot have' },
  scim_attribute_fixed: { status: 400, meaning: 'attribute cannot be changed in this way' },
  scim_reference_unknown: { status: 409, meaning: '`bulkId` names no resource that the bulk request made' },
  scim_resource_large: { status: 413, meaning: 'resource is larger than one that is kept' },
  scim_too_many: { status: 413, meaning: 'more operations in one request than are taken' },
  scim_me_absent: { status: 501, meaning: 'token belongs to a connection, which is nobody' },
} as const;

export type IssuerCode = keyof typeof issuerCodes;

/** Not acceptable: thrown wherever the issuer refuses. */
export class IssuerRefusal extends Error {
  override readonly name = 'IssuerRefusal';
  readonly code: IssuerCode;
  /** Members that the problem+json answer carries beside the standard ones; shown to the caller. */
  readonly details: Readonly<Record<string, string | number>>;

  /** `message`: lower case, one line, no period; never a token, key, proof or assertion. */
  constructor(
    code: IssuerCode,
    message: string,
    options?: ErrorOptions & { readonly details?: Readonly<Record<string, string | number>> },
  ) {
    super(message, options);
    this.code = code;
    this.details = options?.details ?? {};
  }
}

/** Configuration that the issuer cannot start with. The process should print the message and exit with `exitCode`. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /** EX_CONFIG of sysexits.h. */
  readonly exitCode = 78;
}
