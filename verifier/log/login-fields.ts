import { type OutsideJwk, readOutsideJwk } from '../federation/key.ts';
import { limits } from '../limits.ts';
import { type Field, malformed, shape, text } from './fields.ts';
import type { LoginProof } from './operations.ts';

const outsideJwk: Field<OutsideJwk> = (value) => {
  try {
    return readOutsideJwk(value);
  } catch (cause) {
    throw malformed('not a public key of an IdP with exactly its members', cause);
  }
};

const token = text(/^[A-Za-z0-9_.-]+$/u);

/** The log-in itself. Nothing in it is verified. */
export const loginProof: Field<LoginProof> = shape({
  token: (value) => {
    const compact = token(value);
    if (compact.length > limits.maxOutsideTokenBytes) throw malformed('token is too long');
    return compact;
  },
  jwk: outsideJwk,
  salt: text(/^[A-Za-z0-9_-]{22,86}$/u),
});
