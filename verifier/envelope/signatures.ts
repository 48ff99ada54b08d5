import { type Code, Refusal } from '../errors.ts';
import { rereadOutsideToken, type SignedOutsideToken, verifyOutsideToken } from '../federation/token.ts';
import type { PublicKey } from '../keys.ts';
import { revokedKey } from '../log/records.ts';
import { type BlockClaims, linkOf } from './block.ts';
import { parseEnvelope, type UnverifiedEnvelope } from './envelope.ts';
import { type UnverifiedJws, verifyJws } from './jws.ts';
import { createKnownKeys } from './known-keys.ts';
import type { RootClaims, UnverifiedRoot } from './root.ts';

/**
 * These bytes carry valid signatures, from the mint key named in the root down to the last holder. It says nothing
 * about the present: leases, epochs, revocation, policy and clock are asked anew on each request (law 7, F29).
 */
export interface SignedEnvelope {
  readonly mint: string;
  readonly root: RootClaims;
  /** Thumbprint of the first holder's key. */
  readonly firstHolder: string;
  /** The outside token that the root carries, its signature verified; what it is good for is asked on each request. */
  readonly outside?: SignedOutsideToken;
  readonly blocks: readonly (Omit<BlockClaims, 'cnf'> & { readonly holder: PublicKey })[];
  readonly effective: UnverifiedEnvelope['effective'];
  /** State key under which this capability would be revoked. */
  readonly revokedKey: ReturnType<typeof revokedKey>;
  /** The key that must sign the proof: the last one named. */
  readonly holder: PublicKey;
}

export interface SignatureCache {
  /**
   * Verifies one signature for each block that no envelope opened before began with, so none for the same envelope again.
   *
   * @param text the envelope, any size: capped inside.
   * @param digest SHA-256 of `text`; the cache key, so that only these exact bytes are found again.
   * @param keyOf public key for a thumbprint, from the trust log, whatever its present standing.
   * @throws {Refusal} the codes of `parseEnvelope`, `envelope_signature_invalid`, and where the log has no such key
   *   `mint_not_trusted` (the mint's) or `holder_key_not_live` (the first holder's); `federation_token_invalid`, `key_invalid`.
   */
  open(text: string, digest: string, keyOf: (thumbprint: string) => PublicKey | undefined): SignedEnvelope;
}

/**
 * Also every beginning of an envelope that was opened is remembered as verified, by its digest: the siblings handed on by one
 * holder cost one signature each.
 *
 * A signature never becomes invalid, and a thumbprint names one key for ever: entries need no expiry, only a bound. The bound
 * is of text as well as of number: every holder can append blocks of their own and have as many large envelopes remembered
 * as they like, each taking some 15 times its text.
 */
export function createSignatureCache(capacity: number, maxBytes: number = Infinity): SignatureCache {
  const opened = new Map<string, { readonly envelope: SignedEnvelope; readonly bytes: number }>();
  // INVARIANT: holds digests of texts whose every signature was verified. `prev` of a block was compared with the digest of
  // exactly the bytes before it, so where it is in here those bytes need no second look.
  const verified = new Set<string>();
  const keys = createKnownKeys(capacity);
  let held = 0;
  const remember = (digest: string): void => {
    const [oldest] = verified;
    if (verified.size >= capacity && oldest !== undefined) verified.delete(oldest);
    verified.add(digest);
  };
  const makeRoom = (bytes: number): void => {
    for (const [oldest, entry] of opened) {
      if (opened.size < capacity && held + bytes <= maxBytes) return;
      opened.delete(oldest);
      held -= entry.bytes;
    }
  };
  return {
    open: (text, digest, keyOf) => {
      const known = opened.get(digest);
      if (known !== undefined) return known.envelope;
      const parsed = parseEnvelope(text, keys.read, (root) => {
        const link = linkOf(root.jws.compact);
        if (verified.has(link)) return;
        verifyRoot(root, keyOf);
        remember(link);
      });
      const firstNew = verified.has(digest)
        ? parsed.blocks.length
        : parsed.blocks.findLastIndex(({ claims }) => verified.has(claims.prev));
      const envelope = verifySignatures(parsed, keyOf, firstNew);
      for (const { claims, holder } of parsed.blocks) {
        remember(claims.prev);
        keys.keep(holder);
      }
      remember(digest);
      makeRoom(text.length);
      opened.set(digest, { envelope, bytes: text.length });
      held += text.length;
      return envelope;
    },
  };
}

/** @param firstNew first block whose signature was not verified before; -1 where the root's was not either. */
function verifySignatures(
  { root, blocks, effective }: UnverifiedEnvelope,
  keyOf: (thumbprint: string) => PublicKey | undefined,
  firstNew: number,
): SignedEnvelope {
  const mint = keyOf(root.mint);
  if (firstNew < 0) verifyRoot(root, keyOf);
  const { cnf } = root.claims;
  const first = 'jkt' in cnf ? keyOf(cnf.jkt) : root.holder;
  if (first === undefined) throw new Refusal('holder_key_not_live', 'holder key is not in the trust log');
  const outside = rereadOutside(root.claims);
  let holder = first;
  for (const [index, block] of blocks.entries()) {
    const signer = block.mint === undefined ? holder : mint;
    if (index >= firstNew) verifyBlock(block.jws, signer, 'holder_key_not_live');
    ({ holder } = block);
  }
  return {
    mint: root.mint,
    root: root.claims,
    firstHolder: first.thumbprint,
    ...(outside !== undefined && { outside }),
    blocks: blocks.map((block) => ({ ...block.claims, holder: block.holder })),
    effective,
    revokedKey: revokedKey(root.claims.jti),
    holder,
  };
}

/** The outside token's signature is one of the root's: where that text was verified before, so was the token in it. */
function verifyRoot(
  { mint, jws, claims }: UnverifiedRoot,
  keyOf: (thumbprint: string) => PublicKey | undefined,
): void {
  verifyBlock(jws, keyOf(mint), 'mint_not_trusted');
  if (claims.federated !== undefined) verifyOutsideToken(claims.federated.token, claims.federated.jwk);
}

function rereadOutside({ federated }: RootClaims): SignedOutsideToken | undefined {
  return federated && rereadOutsideToken(federated.token, federated.jwk);
}

function verifyBlock(jws: UnverifiedJws, key: PublicKey | undefined, unknown: Code): void {
  if (key === undefined) throw new Refusal(unknown, 'signing key is not in the trust log');
  try {
    verifyJws(jws, key);
  } catch (cause) {
    throw new Refusal('envelope_signature_invalid', 'a block is not signed by the key before it', { cause });
  }
}
