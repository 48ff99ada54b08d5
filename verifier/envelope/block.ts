import { createHash } from 'node:crypto';
import { Refusal } from '../errors.ts';
import type { Json, JsonObject } from '../json.ts';
import { type PublicJwk, type PublicKey, parsePublicJwk, type Signer } from '../keys.ts';
import { readClaims } from './claims.ts';
import { type JwsProfile, parseJws, signJws, type UnverifiedJws } from './jws.ts';
import type { ReadKey } from './known-keys.ts';
import { depthRange, readNarrow, timeRange } from './root.ts';

/** Claims of every block after the root: it may only take away, and name who holds the envelope next. */
export interface BlockClaims {
  /** base64url SHA-256 of the ASCII bytes of everything before this block, without the joining `~`. */
  readonly prev: string;
  /** The next holder's public key, whole: it may be in no log. */
  readonly cnf: { readonly jwk: PublicJwk };
  readonly iat: number;
  readonly depth: number;
  readonly exp?: number;
  readonly aud?: readonly string[];
  readonly narrow?: readonly Json[];
}

export interface UnverifiedBlock {
  readonly jws: UnverifiedJws;
  readonly claims: Omit<BlockClaims, 'cnf'>;
  /** The next holder. */
  readonly holder: PublicKey;
  /** Thumbprint of the mint key, where the mint and not the holder signed. */
  readonly mint: string | undefined;
}

const blockProfile: JwsProfile = { typ: 'bulla-block+jwt', members: [], optional: ['kid'] };

/**
 * Parses one block. Does NOT verify its signature or its link to the bytes before it.
 *
 * @throws {Refusal} `envelope_claim_invalid`, `narrow_too_large`, `key_invalid` and the codes of `parseJws`.
 */
export function parseBlock(compact: string, readKey: ReadKey = parsePublicJwk): UnverifiedBlock {
  const jws = parseJws(compact, blockProfile);
  const reader = readClaims(jws.payload);
  const claims = {
    prev: reader.string('prev', 43),
    iat: reader.integer('iat', timeRange),
    depth: reader.integer('depth', depthRange),
    ...(reader.has('exp') && { exp: reader.integer('exp', timeRange) }),
    ...(reader.has('aud') && { aud: reader.strings('aud', 8) }),
    ...(reader.has('narrow') && { narrow: readNarrow(reader) }),
  };
  const confirmation = reader.object('cnf');
  const holder = readKey(confirmation.raw('jwk'));
  confirmation.finish();
  reader.finish();
  return { jws, claims, holder, mint: readMint(jws.header['kid']) };
}

function readMint(kid: Json | undefined): string | undefined {
  if (kid === undefined || (typeof kid === 'string' && kid.length === 43)) return kid;
  throw new Refusal('jws_header_invalid', '`kid` is not a thumbprint');
}

/** base64url SHA-256 of the envelope so far: what the next block's `prev` must say. */
export function linkOf(envelope: string): string {
  return createHash('sha256').update(envelope, 'latin1').digest('base64url');
}

/**
 * Appends a block. `holder` must be the key that the envelope names last; a verifier refuses anything else.
 *
 * Does NOT check that the block only takes away: `parseEnvelope` on the result does.
 *
 * @returns the longer envelope.
 * @throws {Refusal} `key_invalid` when `next` is not an acceptable public key.
 */
export function signBlock(
  envelope: string,
  block: Omit<BlockClaims, 'prev' | 'cnf'> & { readonly next: PublicJwk },
  holder: Signer,
): string {
  return append(envelope, block, {}, holder);
}

/**
 * Appends a block in which the mint that signed the root takes something away (downscope at the issuer). `next` must be
 * the key that the envelope names last: a mint's block hands nothing on.
 *
 * Does NOT check that: a verifier refuses a block by another mint key, and one that names another holder.
 *
 * @returns the longer envelope.
 * @throws {Refusal} `envelope_missing`, `key_invalid` when `next` is not an acceptable public key.
 */
export function signMintBlock(
  envelope: string,
  block: Omit<BlockClaims, 'prev' | 'cnf'> & { readonly next: PublicJwk },
  mint: Signer,
): string {
  return append(envelope, block, { kid: mint.publicKey.thumbprint }, mint);
}

function append(
  envelope: string,
  block: Omit<BlockClaims, 'prev' | 'cnf'> & { readonly next: PublicJwk },
  members: JsonObject,
  signer: Signer,
): string {
  const { next, ...claims } = block;
  const payload: JsonObject = {
    ...claims,
    prev: linkOf(envelope),
    cnf: { jwk: { ...parsePublicJwk(next).jwk } },
  };
  if (envelope.length === 0) throw new Refusal('envelope_missing', 'no envelope to append to');
  return `${envelope}~${signJws(blockProfile.typ, members, payload, signer)}`;
}
