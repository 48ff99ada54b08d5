import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { decodeBase64url } from './base64url.ts';
import { Refusal } from './errors.ts';
import { isJsonObject, isPlainObject } from './json.ts';

/** Public key as a JWK with the members that are needed, and no others. */
export type PublicJwk =
  | { readonly kty: 'OKP'; readonly crv: 'Ed25519'; readonly x: string }
  | { readonly kty: 'EC'; readonly crv: 'P-256'; readonly x: string; readonly y: string };

/** Private key as a JWK. */
export type PrivateJwk = PublicJwk & { readonly d: string };

/** The `alg` values a key of each kind may sign under; the first is written, all are read. */
const algorithmsOf = { OKP: ['EdDSA', 'Ed25519'], EC: ['ES256'] } as const;

/** Every `alg` that is read anywhere: of DPoP proofs, client assertions, envelopes and entries. As metadata and challenges say it. */
export const signatureAlgorithms: readonly string[] = [...algorithmsOf.OKP, ...algorithmsOf.EC];

/** A public key that passed {@link parsePublicJwk}: canonical, on its curve, not small-order. */
export interface PublicKey {
  readonly jwk: PublicJwk;
  /** RFC 7638 SHA-256 thumbprint, base64url. */
  readonly thumbprint: string;
  /** The `alg` values a JWS by this key may carry; the key decides, never the header. */
  readonly algorithms: readonly string[];
  verify(data: Uint8Array, signature: Uint8Array): boolean;
}

/** What can sign: a private key in this process, or one that is kept elsewhere. */
export interface Signer {
  readonly publicKey: PublicKey;
  /** The `alg` this signer writes. */
  readonly algorithm: string;
  sign(data: Uint8Array): Buffer;
}

/**
 * Reads a public JWK (RFC 7517, RFC 8037): Ed25519 or P-256.
 *
 * node:crypto accepts small-order Ed25519 points, for which one signature fits every message, and non-canonical
 * encodings, which give one key several thumbprints: both are refused here, so a key is checked where it enters.
 *
 * @throws {Refusal} `key_invalid`, also when private members (`d`, `k`, …) are present; `encoding_invalid` for a coordinate
 *   that is not canonical base64url.
 */
export function parsePublicJwk(value: unknown): PublicKey {
  const jwk = readPublicJwk(value);
  let key: KeyObject;
  try {
    if (jwk.kty === 'OKP') requireSafeEd25519(jwk.x);
    key = createPublicKey({ key: { ...jwk }, format: 'jwk' });
  } catch (cause) {
    throw new Refusal('key_invalid', 'not a usable public key', { cause });
  }
  return jwk.kty === 'OKP'
    ? {
        jwk,
        thumbprint: thumbprintOf(jwk),
        algorithms: algorithmsOf.OKP,
        verify: (data, signature) => signature.length === 64 && verify(null, data, key, signature),
      }
    : {
        jwk,
        thumbprint: thumbprintOf(jwk),
        algorithms: algorithmsOf.EC,
        verify: (data, signature) =>
          signature.length === 64 && verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature),
      };
}

/**
 * The form alone: members and lengths. What it names may be no point, or small-order.
 *
 * @throws {Refusal} `key_invalid`.
 * @internal
 */
export function readPublicJwk(value: unknown): PublicJwk {
  if (!isJsonObject(value)) throw new Refusal('key_invalid', 'key is not a JWK object');
  for (const member of ['d', 'k', 'p', 'q', 'dp', 'dq', 'qi']) {
    if (member in value) throw new Refusal('key_invalid', 'key carries private members');
  }
  if (value['kty'] === 'OKP' && value['crv'] === 'Ed25519') {
    return { kty: 'OKP', crv: 'Ed25519', x: coordinate(value['x']) };
  }
  if (value['kty'] === 'EC' && value['crv'] === 'P-256') {
    return { kty: 'EC', crv: 'P-256', x: coordinate(value['x']), y: coordinate(value['y']) };
  }
  throw new Refusal('key_invalid', 'key is neither Ed25519 nor P-256');
}

function coordinate(value: unknown): string {
  if (typeof value !== 'string' || decodeBase64url(value).length !== 32) {
    throw new Refusal('key_invalid', 'key coordinate is not 32 bytes');
  }
  return value;
}

function requireSafeEd25519(x: string): void {
  const point = ed25519.Point.fromBytes(decodeBase64url(x), false);
  if (point.isSmallOrder()) throw new Refusal('key_invalid', 'small-order Ed25519 key');
}

/** RFC 7638: the required members, in lexicographic order, without white space. */
function thumbprintOf(jwk: PublicJwk): string {
  const members =
    jwk.kty === 'OKP'
      ? { crv: jwk.crv, kty: jwk.kty, x: jwk.x }
      : { crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y };
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url');
}

/**
 * Makes a signer of a private JWK, whose public half passes {@link parsePublicJwk}.
 *
 * @throws {Refusal} `key_invalid`, `encoding_invalid` when the JWK is not a private Ed25519 or P-256 key.
 */
export function createSigner(privateJwk: PrivateJwk): Signer {
  if (!isPlainObject(privateJwk)) throw new Refusal('key_invalid', 'key is not a JWK object');
  const { d, ...publicJwk } = privateJwk;
  const publicKey = parsePublicJwk(publicJwk);
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: { ...publicKey.jwk, d }, format: 'jwk' });
  } catch {
    // The cause is dropped: OpenSSL's message could quote key material.
    throw new Refusal('key_invalid', 'not a usable private key');
  }
  return publicKey.jwk.kty === 'OKP'
    ? { publicKey, algorithm: algorithmsOf.OKP[0], sign: (data) => sign(null, data, key) }
    : {
        publicKey,
        algorithm: algorithmsOf.EC[0],
        sign: (data) => sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' }),
      };
}

/**
 * Makes a new key pair; the answer holds both halves. The key leaves Node as a JWK at once: exporting a generated
 * `KeyObject` can hang for ever in Node 20 when the garbage collector finalises the finished generation meanwhile.
 */
export function generatePrivateJwk(curve: 'Ed25519' | 'P-256' = 'Ed25519'): PrivateJwk {
  const encoding = { publicKeyEncoding: jwkEncoding, privateKeyEncoding: jwkEncoding };
  const { privateKey } =
    curve === 'Ed25519'
      ? generateKeyPairSync('ed25519', encoding)
      : generateKeyPairSync('ec', { namedCurve: 'P-256', ...encoding });
  const made: unknown = privateKey;
  return made as PrivateJwk;
}

/** The types of Node 20 do not know this format, which it has had since 16. */
const jwkEncoding = { format: 'jwk' } as { format: never; type: never };
