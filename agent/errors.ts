/** Every way in which this package fails by itself. A code, once released, keeps its name and its meaning. */
export const agentCodes = {
  config_invalid: { retry: false, meaning: 'an option of the agent is missing or malformed' },
  issuer_unreachable: { retry: true, meaning: 'the issuer did not answer, or answered 5xx or 429' },
  issuer_metadata_invalid: {
    retry: false,
    meaning: 'the issuer described itself wrongly or names another issuer',
  },
  exchange_refused: { retry: false, meaning: 'the issuer refused the exchange; `reason` holds its code' },
  exchange_answer_invalid: { retry: false, meaning: 'the issuer answered without a usable envelope' },
  envelope_not_ours: {
    retry: false,
    meaning: 'the envelope is for another key, agent, audience or issuer, or has expired',
  },
  narrowing_missing: {
    retry: false,
    meaning: 'the envelope is sealed and does not carry the limits that were asked for',
  },
  envelope_malformed: { retry: false, meaning: 'what was handed over is not an envelope' },
  envelope_expired: {
    retry: false,
    meaning: 'the envelope that was handed over has expired; only who handed it over can give another',
  },
  envelope_sealed: { retry: false, meaning: 'the envelope may not be narrowed or handed on any further' },
  narrowing_invalid: {
    retry: false,
    meaning:
      'the narrowing is malformed, would widen, or does not fit the schema; `reason` holds the code of the verifier that says so',
  },
  schema_missing: {
    retry: false,
    meaning: 'limits on actions, resources, paths or amounts need the schema they are written for',
  },
  schema_unusable: {
    retry: false,
    meaning: 'the policy set or schema is malformed, is not the one asked for, or is not given out',
  },
  source_unavailable: {
    retry: true,
    meaning: 'the source of the credential did not answer, failed, or has none now',
  },
  source_refused: { retry: false, meaning: 'the source of the credential refused; `reason` holds its code' },
  source_answer_invalid: {
    retry: false,
    meaning: 'the source gave no JWT, or one that is not bound to the holder key',
  },
  origin_not_allowed: { retry: false, meaning: 'the URL is outside the origins configured for this agent' },
  header_reserved: {
    retry: false,
    meaning: 'the request brings an `Authorization`, `DPoP` or `Bulla-Approval` field of its own',
  },
  approvals_unusable: {
    retry: false,
    meaning: 'the approvals are malformed, or for an envelope that this agent no longer holds',
  },
  redirect_refused: {
    retry: false,
    meaning: 'the API answered with a redirect: a proof is good for one URL only',
  },
  helper_not_found: { retry: false, meaning: 'helper: no such handle, or none at all' },
  helper_host_wrong: {
    retry: false,
    meaning: 'helper: the request names another host, as a page with a rebound name would',
  },
  helper_browser_refused: {
    retry: false,
    meaning: 'helper: the request carries a field that only browsers send',
  },
  helper_request_invalid: {
    retry: false,
    meaning: 'helper: a method, upgrade or document that is not taken',
  },
  helper_body_too_large: { retry: false, meaning: 'helper: the content is longer than it holds in memory' },
  helper_unreachable: { retry: true, meaning: 'the helper that would hand on an envelope did not answer' },
  helper_refused: {
    retry: false,
    meaning: 'the helper refused to hand on an envelope; `reason` holds its code',
  },
  api_unreachable: { retry: true, meaning: 'helper: the API did not answer' },
  request_not_provable: { retry: false, meaning: 'the URL has a form that no guarded route accepts' },
} as const;

/** Every code of the table: stable, once released. */
export type AgentCode = keyof typeof agentCodes;

/** The message is lower case, one line, and never quotes a token, key or claim value. */
export class AgentError extends Error {
  override readonly name = 'AgentError';
  readonly code: AgentCode;
  /** The other side's code (OAuth `error` or problem `code`), where it gave one. */
  readonly reason: string | undefined;
  /** HTTP status of the other side's answer, where there was one. */
  readonly status: number | undefined;

  constructor(
    code: AgentCode,
    message: string,
    details: {
      readonly reason?: string | undefined;
      readonly status?: number;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.reason = details.reason;
    this.status = details.status;
  }

  /** True where the same call may succeed later without a change. */
  get retry(): boolean {
    return agentCodes[this.code].retry;
  }
}
