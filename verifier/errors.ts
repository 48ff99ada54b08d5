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

  // proof
  proof_missing: { status: 401, oauth: 'invalid_dpop_proof', meaning: 'request carries no DPoP proof' },

  // trust log: formats and transport

  // trust log: rules
  rule_broken: { status: 400, meaning: 'entry breaks a rule of the trust log' },

  // follower

  // policy
  policy_unavailable: { status: 503, meaning: 'current policy set has not been fetched yet' },

  // decision

  // adapters
} as const;

export type Code = keyof typeof codes;

export interface CodeEntry {
  readonly status: number;
  readonly oauth?: string;
  readonly meaning: string;
}

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
