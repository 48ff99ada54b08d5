import { IssuerRefusal, type issuerCodes } from '../errors.ts';

/** `err` of RFC 8935 section 2.4, which RFC 8936 shares. */
export type SetError =
  | 'invalid_request'
  | 'invalid_key'
  | 'invalid_issuer'
  | 'invalid_audience'
  | 'authentication_failed';

const errors: Readonly<Partial<Record<keyof typeof issuerCodes, SetError>>> = {
  set_malformed: 'invalid_request',
  set_too_old: 'invalid_request',
  set_key_wrong: 'invalid_key',
  set_issuer_wrong: 'invalid_issuer',
  set_audience_wrong: 'invalid_audience',
  set_sender_wrong: 'authentication_failed',
  body_invalid: 'invalid_request',
  body_too_large: 'invalid_request',
};

/** What a transmitter is told of a SET that never will be acceptable. Undefined: it may be later, so it should come again. */
export function setErrorOf(
  error: unknown,
): { readonly err: SetError; readonly description: string } | undefined {
  if (!(error instanceof IssuerRefusal)) return undefined;
  const err = errors[error.code];
  return err === undefined ? undefined : { err, description: error.message };
}
