import { type PublicKey, parsePublicJwk, readPublicJwk } from '../keys.ts';

/** Reads the public key in a block. @throws {Refusal} as `parsePublicJwk`. */
export type ReadKey = (jwk: unknown) => PublicKey;

/** Holders' keys that blocks named before. */
export interface KnownKeys {
  /** As `parsePublicJwk`, which checks a point for longer than a signature takes, but once for a key that is kept. */
  readonly read: ReadKey;
  /** Only keys out of envelopes whose signatures hold: strangers push nobody out. */
  keep(key: PublicKey): void;
}

/** @param capacity how many keys; the one kept longest ago goes first. */
export function createKnownKeys(capacity: number): KnownKeys {
  const known = new Map<string, PublicKey>();
  return {
    read: (value) => {
      const jwk = readPublicJwk(value);
      const key = known.get(nameOf(jwk));
      return key ?? parsePublicJwk(value);
    },
    keep: (key) => {
      const name = nameOf(key.jwk);
      if (known.has(name)) return;
      if (known.size >= capacity) known.delete(known.keys().next().value ?? '');
      known.set(name, key);
    },
  };
}

/** All that makes the key; coordinates have one spelling each, without spaces. */
function nameOf(jwk: PublicKey['jwk']): string {
  return jwk.kty === 'EC' ? `${jwk.crv} ${jwk.x} ${jwk.y}` : `${jwk.crv} ${jwk.x}`;
}
