import type { webcrypto } from 'node:crypto';
import type { PrivateJwk } from '@bulla/verifier';

/** A private key as stock OAuth clients want it. */
export async function importPair(jwk: PrivateJwk): Promise<webcrypto.CryptoKeyPair> {
  const parameters = jwk.crv === 'Ed25519' ? { name: 'Ed25519' } : { name: 'ECDSA', namedCurve: 'P-256' };
  const { d: _, ...publicJwk }: { readonly d?: string } & Omit<PrivateJwk, 'd'> = jwk;
  return {
    privateKey: await crypto.subtle.importKey('jwk', jwk, parameters, false, ['sign']),
    publicKey: await crypto.subtle.importKey('jwk', publicJwk, parameters, true, ['verify']),
  };
}
