import { createHash, createPrivateKey } from 'node:crypto';
import { createSigner, type Signer } from '@bulla/verifier';

/** PKCS #8 of an Ed25519 key, up to its seed. */
const pkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** The Ed25519 key whose seed is SHA-256("bulla vector <name>"). */
export function vectorSigner(name: string): Signer {
  const seed = createHash('sha256').update(`bulla vector ${name}`).digest();
  const key = createPrivateKey({ key: Buffer.concat([pkcs8, seed]), format: 'der', type: 'pkcs8' });
  const { x = '', d = '' } = key.export({ format: 'jwk' });
  return createSigner({ kty: 'OKP', crv: 'Ed25519', x, d });
}
