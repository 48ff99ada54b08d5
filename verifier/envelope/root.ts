import { Refusal } from '../errors.ts';
import { canonicalJson, type Json, type JsonObject } from '../json.ts';
import { type PublicKey, type Signer } from '../keys.ts';
import { limits } from '../limits.ts';
import { type Claims, readClaims } from './claims.ts';
import { type HolderClaims, readHolder, requireHolder } from './holder.ts';
import { type JwsProfile, parseJws, signJws, type UnverifiedJws } from './jws.ts';

/** Claims of the root block (docs/spec/envelope.md). Times are Unix seconds. */
export interface RootClaims extends HolderClaims {
  readonly iss: string;
  readonly aud: readonly string[];
  /** The person, `prn_…`. */
  readonly sub: string;
  readonly jti: string;
  readonly iat: number;
  readonly exp: number;
  /** The trust log this envelope stands on, `acct_…`. */
  readonly account: string;
  /** Epochs of person and agent at minting; a later epoch kills the envelope. */
  readonly epoch: { readonly principal: number; readonly agent?: number };
  /** The agent, `agt_…`; absent when a person acts with a key of their own. */
  readonly client_id?: string;
  /** Digest of the audience's policy set at minting. */
  readonly policy: string;
  /** `forbid` policies as EST JSON. Unverified JSON here; the engine checks effect, depth and schema. */
  readonly narrow: readonly Json[];
  /** How many blocks may follow. */
  readonly depth: number;
  readonly staleness?: number;
}

export interface UnverifiedRoot {
  readonly jws: UnverifiedJws;
  /** Thumbprint of the mint key. */
  readonly mint: string;
  readonly claims: RootClaims;
  /** The first holder's key, where the root carries it whole. */
  readonly holder: PublicKey | undefined;
}

const rootProfile: JwsProfile = { typ: 'bulla+jwt', members: ['kid'] };
export const timeRange = { min: 1, max: 1_099_511_627_776 } as const;
export const depthRange: { readonly min: number; readonly max: number } = {
  min: 0,
  max: limits.maxBlocks - 1,
};
const epochRange = { min: 0, max: 2 ** 40 } as const;

/**
 * Parses a root block. Does NOT verify its signature, nor compare any claim with the trust log or the clock.
 *
 * @throws {Refusal} `envelope_claim_invalid`, `narrow_too_large` and the codes of `parseJws`.
 */
export function parseRoot(compact: string): UnverifiedRoot {
  const jws = parseJws(compact, rootProfile);
  const mint = jws.header['kid'];
  if (typeof mint !== 'string' || mint.length !== 43) {
    throw new Refusal('jws_header_invalid', '`kid` is not a thumbprint');
  }
  const reader = readClaims(jws.payload);
  const holding = readHolder(reader);
  const claims: RootClaims = {
    iss: reader.string('iss', 512),
    aud: reader.strings('aud', 8),
    sub: reader.string('sub', 64),
    jti: reader.string('jti', limits.maxJtiBytes),
    iat: reader.integer('iat', timeRange),
    exp: reader.integer('exp', timeRange),
    account: reader.string('account', 64),
    epoch: readEpoch(reader.object('epoch')),
    ...(reader.has('client_id') && { client_id: reader.string('client_id', 64) }),
    ...holding.claims,
    policy: reader.string('policy', 64),
    narrow: readNarrow(reader),
    depth: reader.integer('depth', depthRange),
    ...(reader.has('staleness') && {
      staleness: reader.integer('staleness', { min: 0, max: limits.maxStalenessSeconds }),
    }),
  };
  reader.finish();
  if ((claims.client_id === undefined) !== (claims.epoch.agent === undefined)) {
    throw new Refusal('envelope_claim_invalid', '`epoch.agent` goes with `client_id`');
  }
  if (claims.exp <= claims.iat) throw new Refusal('envelope_claim_invalid', '`exp` is not after `iat`');
  requireHolder(claims);
  return { jws, mint, claims, holder: holding.holder };
}

function readEpoch(reader: Claims): RootClaims['epoch'] {
  const epoch = {
    principal: reader.integer('principal', epochRange),
    ...(reader.has('agent') && { agent: reader.integer('agent', epochRange) }),
  };
  reader.finish();
  return epoch;
}

/**
 * Reads `narrow` and holds it to the caps for one block. Whether each item is a valid `forbid` is the engine's question.
 *
 * @throws {Refusal} `narrow_too_large`, `envelope_claim_invalid`, `json_invalid` for a lone surrogate.
 */
export function readNarrow(reader: Claims): readonly Json[] {
  const narrow = reader.list('narrow');
  if (
    narrow.length > limits.maxNarrowPoliciesPerBlock ||
    (narrow.length > 0 && canonicalJson(narrow).length > limits.maxNarrowBytesPerBlock)
  ) {
    throw new Refusal('narrow_too_large', '`narrow` exceeds the caps for one block');
  }
  return narrow;
}

/** Signs a root block with a mint key. The result is a whole envelope without further blocks. */
export function signRoot(claims: RootClaims, mint: Signer): string {
  const payload: JsonObject = { ...claims };
  return signJws(rootProfile.typ, { kid: mint.publicKey.thumbprint }, payload, mint);
}
