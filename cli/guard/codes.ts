/** Ways in which guard itself says no, beside the verifier's codes. `status` is what a proxy that shows it would answer. */
export const guardCodes = {
  caller_not_trusted: {
    status: 403,
    meaning: 'whoever asks guard did not show the secret that proxies and other callers were given',
  },
  proxy_field_missing: {
    status: 403,
    meaning:
      'the proxy did not hand over, exactly once, a field that guard must see: it is not configured as documented',
  },
  content_unseen: {
    status: 403,
    meaning: 'request carries, or could carry, content that guard was not shown whole',
  },
  guard_path_unknown: {
    status: 404,
    meaning: 'guard serves nothing at this path, or the form is not switched on',
  },
  evaluation_invalid: { status: 400, meaning: 'AuthZEN evaluation is malformed' },
  evaluation_request_missing: {
    status: 403,
    meaning: 'AuthZEN evaluation does not carry the HTTP request in `context.request`',
  },
  evaluation_action_mismatch: {
    status: 403,
    meaning: 'action of the AuthZEN evaluation is not the one that the route asks for',
  },
  evaluation_subject_mismatch: {
    status: 403,
    meaning: 'subject of the AuthZEN evaluation is not the person whom the envelope speaks for',
  },
  evaluation_resource_mismatch: {
    status: 403,
    meaning: 'resource of the AuthZEN evaluation is not the one that the route maps the request to',
  },
} as const;

export type GuardCode = keyof typeof guardCodes;

/** Guard's own no. The message is for the caller: never a token, key or claim value. */
export class GuardRefusal extends Error {
  override readonly name = 'GuardRefusal';
  readonly code: GuardCode;

  constructor(code: GuardCode, message: string) {
    super(message);
    this.code = code;
  }
}
