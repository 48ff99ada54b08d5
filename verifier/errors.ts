import { approvalCodes } from './approval/codes.ts';
import { requestCodes } from './codes.ts';
import { logCodes } from './log/codes.ts';

/**
 * Every way in which this package refuses. A code, once released, keeps its name and its meaning.
 *
 * `status`: HTTP status of the answer. `oauth`: `error` of RFC 6750 section 3.1, RFC 6749 section 5.2 or RFC 9449,
 * absent where none fits. What the caller can do about a code: `nextStep`. A refusal's message may be shown to the caller: it
 * never quotes a token, key or claim value.
 */
export const codes: typeof requestCodes & typeof approvalCodes & typeof logCodes = {
  ...requestCodes,
  ...approvalCodes,
  ...logCodes,
};

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
