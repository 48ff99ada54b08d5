import { createSigner, generatePrivateJwk, type PrivateJwk, type PublicJwk } from '@bulla/verifier';

/** A key pair of a holder. */
export interface AgentKey {
  /** Keep it where the program runs; it never leaves. */
  readonly privateJwk: PrivateJwk;
  /** What the owner or an admin registers in the trust log. */
  readonly publicJwk: PublicJwk;
  /** RFC 7638 SHA-256 thumbprint, base64url. */
  readonly thumbprint: string;
}

/** Makes a new key pair. Ed25519 unless the surroundings only know P-256. */
export function generateKey(curve: 'Ed25519' | 'P-256' = 'Ed25519'): AgentKey {
  const privateJwk = generatePrivateJwk(curve);
  const { jwk, thumbprint } = createSigner(privateJwk).publicKey;
  return { privateJwk, publicJwk: jwk, thumbprint };
}
