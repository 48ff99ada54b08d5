import { decodeBase64url } from '../base64url.ts';
import { Refusal } from '../errors.ts';
import { type JsonObject, parseForeignJsonObject } from '../json.ts';
import { limits } from '../limits.ts';
import { type OutsideJwk, type OutsideKey, parseOutsideJwk } from './key.ts';

/** A JWT of an outside issuer whose form is acceptable. Its signature is not verified: nothing in it is to be believed. */
export interface UnverifiedOutsideToken {
  /** Where the issuer says which of its keys it used: a hint for looking that key up, never more. */
  readonly keyId: string | undefined;
  readonly algorithm: string;
  readonly claims: JsonObject;
  readonly signingInput: Buffer;
  readonly signature: Buffer;
}

/** A JWT that carries a valid signature by this key. Whose key it is, and what the claims are good for, is asked elsewhere. */
export interface SignedOutsideToken {
  /** Thumbprint of the key that signed it. */
  readonly key: string;
  readonly claims: JsonObject;
}

/** `typ` (RFC 8725 section 3.11) of tokens that say who somebody is; logout tokens and security events are refused. */
const types: ReadonlySet<string> = new Set(['jwt', 'jose', 'at+jwt', 'application/at+jwt']);
/** Members by which a header would choose the key or the meaning. */
const refused = ['crit', 'jku', 'jwk', 'x5u', 'x5c', 'b64', 'zip', 'enc', 'cty'];

const invalid = (message: string, cause?: unknown): Refusal =>
  new Refusal('federation_token_invalid', message, cause === undefined ? undefined : { cause });

/**
 * Parses a JWT (RFC 7519, compact JWS) by an outside issuer. Strict where a second reading would be possible: canonical
 * base64url, UTF-8, no repeated member, no header member that chooses key or meaning. Tolerant where issuers differ:
 * further header members and claims are let through, and so are numbers with a fraction.
 *
 * @throws {Refusal} `federation_token_invalid`.
 */
export function parseOutsideToken(compact: string): UnverifiedOutsideToken {
  if (typeof compact !== 'string' || compact.length > limits.maxOutsideTokenBytes) {
    throw invalid('outside token is not text, or larger than `maxOutsideTokenBytes`');
  }
  const parts = compact.split('.', 4);
  const [header = '', payload = '', signature = ''] = parts;
  if (parts.length !== 3 || header === '' || payload === '' || signature === '') {
    throw invalid('outside token is not three non-empty parts');
  }
  try {
    const { keyId, algorithm } = readHeader(parseForeignJsonObject(decodeBase64url(header)));
    return {
      keyId,
      algorithm,
      claims: parseForeignJsonObject(decodeBase64url(payload)),
      signingInput: Buffer.from(`${header}.${payload}`, 'latin1'),
      signature: decodeBase64url(signature),
    };
  } catch (error) {
    if (error instanceof Refusal && error.code === 'federation_token_invalid') throw error;
    throw invalid('outside token is not strict base64url and JSON', error);
  }
}

function readHeader(header: JsonObject): Pick<UnverifiedOutsideToken, 'keyId' | 'algorithm'> {
  const { alg, typ, kid } = header;
  if (refused.some((member) => Object.hasOwn(header, member))) {
    throw invalid('header of the outside token has a member that is refused');
  }
  if (typ !== undefined && (typeof typ !== 'string' || !types.has(typ.toLowerCase()))) {
    throw invalid('outside token is of another type');
  }
  if (typeof alg !== 'string' || (kid !== undefined && typeof kid !== 'string')) {
    throw invalid('header of the outside token has no `alg`, or an odd `kid`');
  }
  return { keyId: kid, algorithm: alg };
}

/**
 * Verifies the signature of an outside token under the outside issuer's public JWK.
 *
 * Does NOT check whose key that is, nor any claim: a {@link SignedOutsideToken} of a key that no trust names is worth nothing.
 *
 * @throws {Refusal} `federation_token_invalid`; `key_invalid` for the key.
 */
export function verifyOutsideToken(compact: string, jwk: unknown): SignedOutsideToken {
  const token = parseOutsideToken(compact);
  const key: OutsideKey = parseOutsideJwk(jwk);
  if (!key.algorithms.includes(token.algorithm)) {
    throw invalid('`alg` of the outside token does not belong to the key');
  }
  if (!key.verify(token.algorithm, token.signingInput, token.signature)) {
    throw invalid('signature of the outside token does not verify');
  }
  return { key: key.thumbprint, claims: token.claims };
}

/**
 * Reads a token that {@link verifyOutsideToken} accepted before, under the same key.
 *
 * Does NOT verify the signature: only for text of which this process knows that it did.
 *
 * @throws {Refusal} `federation_token_invalid`, `key_invalid`.
 * @internal
 */
export function rereadOutsideToken(compact: string, jwk: OutsideJwk): SignedOutsideToken {
  return { key: parseOutsideJwk(jwk).thumbprint, claims: parseOutsideToken(compact).claims };
}
