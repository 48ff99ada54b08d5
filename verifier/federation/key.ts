import { constants, createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { decodeBase64url } from '../base64url.ts';
import { Refusal } from '../errors.ts';
import { isJsonObject, type JsonObject } from '../json.ts';
import { parsePublicJwk } from '../keys.ts';
import { limits } from '../limits.ts';

/** Public key of an outside issuer: exactly the members of RFC 7638. */
export type OutsideJwk =
  | { readonly kty: 'RSA'; readonly e: 'AQAB'; readonly n: string }
  | { readonly kty: 'EC'; readonly crv: 'P-256' | 'P-384'; readonly x: string; readonly y: string }
  | { readonly kty: 'OKP'; readonly crv: 'Ed25519'; readonly x: string };

/** A key of an outside issuer that can verify. It enters no log: a trust pins its thumbprint. */
export interface OutsideKey {
  readonly jwk: OutsideJwk;
  /** RFC 7638 SHA-256 thumbprint, base64url. */
  readonly thumbprint: string;
  /** The `alg` values a token by this key may carry; the key decides, never the header. */
  readonly algorithms: readonly string[];
  verify(algorithm: string, data: Uint8Array, signature: Uint8Array): boolean;
}

const invalid = (message: string): Refusal => new Refusal('key_invalid', message);
const privateMembers = ['d', 'k', 'p', 'q', 'dp', 'dq', 'qi', 'oth'];

/**
 * Reads a key of a JWKS or SPIFFE bundle: RSA (2048 to 4096 bits, exponent 65537), P-256, P-384 or Ed25519. Members that
 * say how a key is published (`kid`, `alg`, `x5c`, …) are left out; `use` other than `sig` or `jwt-svid` is refused.
 *
 * Does NOT say whom the key belongs to: a `federation.trust` in the log does, by thumbprint.
 *
 * @throws {Refusal} `key_invalid`, `encoding_invalid`.
 */
export function parseOutsideJwk(value: unknown): OutsideKey {
  if (!isJsonObject(value)) throw invalid('key is not a JWK object');
  if (privateMembers.some((member) => Object.hasOwn(value, member)))
    throw invalid('key carries private members');
  const use = value['use'];
  if (use !== undefined && use !== 'sig' && use !== 'jwt-svid') throw invalid('key is not for signatures');
  return importKey(readMembers(value));
}

/**
 * The form alone, as an envelope carries it: exactly the members, nothing beside them. What it names may be no point.
 *
 * @throws {Refusal} `key_invalid`, `encoding_invalid`.
 */
export function readOutsideJwk(value: unknown): OutsideJwk {
  if (!isJsonObject(value)) throw invalid('key is not a JWK object');
  const jwk = readMembers(value);
  if (Object.keys(jwk).length !== Object.keys(value).length) throw invalid('key has a further member');
  return jwk;
}

function readMembers(value: JsonObject): OutsideJwk {
  const { kty, crv, e } = value;
  if (kty === 'RSA') {
    if (e !== 'AQAB') throw invalid('exponent of the RSA key is not 65537');
    return { kty, e, n: modulus(value['n']) };
  }
  if (kty === 'EC' && (crv === 'P-256' || crv === 'P-384')) {
    const size = crv === 'P-256' ? 32 : 48;
    return { kty, crv, x: coordinate(value['x'], size), y: coordinate(value['y'], size) };
  }
  if (kty === 'OKP' && crv === 'Ed25519') return { kty, crv, x: coordinate(value['x'], 32) };
  throw invalid('key is neither RSA, P-256, P-384 nor Ed25519');
}

/** Size is asked of the bytes, before anything is computed with them; one spelling for each number. */
function modulus(value: unknown): string {
  if (typeof value !== 'string') throw invalid('RSA key has no modulus');
  if (value.length > limits.maxRsaBits / 6 + 1) throw invalid('RSA key is larger than `maxRsaBits`');
  const bytes = decodeBase64url(value);
  const [first = 0] = bytes;
  const bits = 8 * bytes.length - (Math.clz32(first) - 24);
  if (first === 0 || bits < limits.minRsaBits || bits > limits.maxRsaBits) {
    throw invalid('RSA modulus is not of `minRsaBits` to `maxRsaBits`');
  }
  if ((bytes.at(-1) ?? 0) % 2 === 0) throw invalid('RSA modulus is even');
  return value;
}

function coordinate(value: unknown, size: number): string {
  if (typeof value !== 'string' || value.length > 128 || decodeBase64url(value).length !== size) {
    throw invalid(`key coordinate is not ${size} bytes`);
  }
  return value;
}

function importKey(jwk: OutsideJwk): OutsideKey {
  // Small-order and non-canonical Ed25519 points are refused there.
  if (jwk.kty === 'OKP' || (jwk.kty === 'EC' && jwk.crv === 'P-256')) {
    const key = parsePublicJwk(jwk);
    const { thumbprint, algorithms } = key;
    return { jwk, thumbprint, algorithms, verify: (_, data, signature) => key.verify(data, signature) };
  }
  const key = keyObject(jwk);
  return jwk.kty === 'RSA' ? rsaKey(jwk, key) : p384Key(jwk, key);
}

function keyObject(jwk: OutsideJwk): KeyObject {
  try {
    return createPublicKey({ key: { ...jwk }, format: 'jwk' });
  } catch (cause) {
    throw new Refusal('key_invalid', 'not a usable public key', { cause });
  }
}

function rsaKey(jwk: OutsideJwk & { readonly kty: 'RSA' }, key: KeyObject): OutsideKey {
  const { e, kty, n } = jwk;
  const signatureBytes = decodeBase64url(n).length;
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
  const pkcs1 = { padding: constants.RSA_PKCS1_PADDING };
  return {
    jwk,
    thumbprint: thumbprintOf({ e, kty, n }),
    algorithms: ['RS256', 'PS256'],
    verify: (algorithm, data, signature) =>
      signature.length === signatureBytes &&
      verify('sha256', data, { key, ...(algorithm === 'PS256' ? pss : pkcs1) }, signature),
  };
}

function p384Key(jwk: OutsideJwk & { readonly kty: 'EC' }, key: KeyObject): OutsideKey {
  const { crv, kty, x, y } = jwk;
  return {
    jwk,
    thumbprint: thumbprintOf({ crv, kty, x, y }),
    algorithms: ['ES384'],
    verify: (_, data, signature) =>
      signature.length === 96 && verify('sha384', data, { key, dsaEncoding: 'ieee-p1363' }, signature),
  };
}

/** RFC 7638: `members` are the required ones, in lexicographic order. */
function thumbprintOf(members: Readonly<Record<string, string>>): string {
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url');
}
