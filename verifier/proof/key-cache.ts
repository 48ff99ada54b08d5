import { Refusal } from '../errors.ts';
import { isJsonObject, type JsonObject } from '../json.ts';
import { type PublicKey, parsePublicJwk, readPublicJwk } from '../keys.ts';

const maxCachedKeys = 10_000;
const maxJwkMembers = 8;
/** Keys by their `x` coordinate. Importing one costs 5 to 78 µs; a key in here passed every check of `parsePublicJwk`. */
const cache = new Map<string, PublicKey>();

/**
 * The key that a proof's `jwk` header names. Only a key whose thumbprint is the expected one is remembered, so strangers
 * cannot push holders out.
 *
 * @throws {Refusal} `proof_malformed` for a JWK that is private, of another kind, small-order or not canonical;
 *   `proof_key_mismatch` where a key is expected and this is another one, whether or not it is a usable key.
 */
export function keyOf(jwk: unknown, expected: PublicKey | string | undefined): PublicKey {
  if (!isJsonObject(jwk)) throw new Refusal('proof_malformed', '`jwk` is not an object');
  requireMembers(jwk);
  if (typeof expected === 'object') {
    if (samePoint(jwk, expected)) return expected;
    // Checking the point of a stranger's key costs more than a signature: not before it is known to matter.
    parse(jwk, readPublicJwk);
    throw new Refusal('proof_key_mismatch', 'proof is by another key than the holder of the envelope');
  }
  const cached = typeof jwk['x'] === 'string' ? cache.get(jwk['x']) : undefined;
  if (cached !== undefined && samePoint(jwk, cached)) return cached;
  const key = parse(jwk, parsePublicJwk);
  if (key.thumbprint === expected) {
    if (cache.size >= maxCachedKeys) cache.clear();
    cache.set(key.jwk.x, key);
  }
  return key;
}

/** Stock clients add `alg`, `use`, `kid`, `ext` or `key_ops`; they are ignored, since the key itself decides. */
function requireMembers(jwk: JsonObject): void {
  const names = Object.keys(jwk);
  if (names.length > maxJwkMembers || names.some((name) => !knownMembers.has(name))) {
    throw new Refusal('proof_malformed', '`jwk` has a private or unknown member');
  }
}

const knownMembers = new Set(['kty', 'crv', 'x', 'y', 'alg', 'use', 'kid', 'ext', 'key_ops']);

function samePoint(jwk: JsonObject, key: PublicKey): boolean {
  const known = key.jwk;
  return (
    jwk['kty'] === known.kty &&
    jwk['crv'] === known.crv &&
    jwk['x'] === known.x &&
    jwk['y'] === (known.kty === 'EC' ? known.y : undefined)
  );
}

function parse<T>(jwk: JsonObject, read: (jwk: JsonObject) => T): T {
  try {
    return read(jwk);
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause;
    throw new Refusal('proof_malformed', `\`jwk\`: ${cause.message}`, { cause });
  }
}
