import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from 'node:crypto';
import { createSigner, type PrivateJwk, type PublicJwk, type Signer } from '@bulla/verifier';
import {
  canonicalJson,
  decodeBase64url,
  encodeBase64url,
  isJsonObject,
  parseJsonObject,
} from '@bulla/verifier/envelope';
import { CliError } from './errors.ts';

/** What a key file says without its passphrase. */
export interface KeyFileHead {
  readonly version: 1;
  readonly protection: 'passphrase' | 'none';
  readonly publicKey: PublicJwk;
  readonly thumbprint: string;
}

/**
 * scrypt costs for new files: 128 MiB and about half a second for one guess. A file names its own, so they can be
 * raised later; `maxCost` bounds what a planted file can make this process spend.
 */
const cost = { N: 131_072, r: 8, p: 1 };
const maxCost = 1_048_576;
const cipherName = 'aes-256-gcm';

/**
 * Writes a private key as a JSON document (version 1): the public part in the clear, the private part under AES-256-GCM with
 * a key that scrypt makes of the passphrase. The clear part is authenticated too, so nobody can pair it with another key.
 *
 * @param passphrase undefined writes the private key in the clear.
 */
export function writeKeyFile(privateJwk: PrivateJwk, passphrase: string | undefined): string {
  const { jwk, thumbprint } = createSigner(privateJwk).publicKey;
  const head: KeyFileHead = {
    version: 1,
    protection: passphrase === undefined ? 'none' : 'passphrase',
    publicKey: jwk,
    thumbprint,
  };
  if (passphrase === undefined) return format({ ...head, privateKey: privateJwk });
  const salt = randomBytes(16);
  const iv = randomBytes(12);
  const kdf = { name: 'scrypt', ...cost, salt: encodeBase64url(salt) };
  const cipher = createCipheriv(cipherName, stretch(passphrase, salt, cost), iv);
  cipher.setAAD(Buffer.from(canonicalJson({ ...head, kdf })));
  const ciphertext = Buffer.concat([cipher.update(JSON.stringify(privateJwk), 'utf8'), cipher.final()]);
  return format({
    ...head,
    kdf,
    cipher: { name: cipherName, iv: encodeBase64url(iv), tag: encodeBase64url(cipher.getAuthTag()) },
    ciphertext: encodeBase64url(ciphertext),
  });
}

function format(document: object): string {
  return `${JSON.stringify(document, null, 2)}\n`;
}

function stretch(passphrase: string, salt: Uint8Array, { N, r, p }: typeof cost): Buffer {
  return scryptSync(passphrase.normalize('NFC'), salt, 32, { N, r, p, maxmem: 256 * N * r });
}

/** Reads what is in the clear. @throws {CliError} `key_damaged`. */
export function readKeyFileHead(text: string): KeyFileHead {
  const document = parse(text);
  const { version, protection, publicKey, thumbprint } = document as Partial<KeyFileHead>;
  if (version !== 1 || publicKey === undefined || typeof thumbprint !== 'string') throw damaged();
  if (protection !== 'passphrase' && protection !== 'none') throw damaged();
  return { version, protection, publicKey, thumbprint };
}

/**
 * Opens a key file. A bare private JWK, as programs keep it, is accepted too.
 *
 * @param passphrase asked only where the file needs one.
 * @throws {CliError} `key_damaged`, `passphrase_wrong`, and whatever `passphrase` throws.
 */
export async function openKeyFile(text: string, passphrase: () => Promise<string>): Promise<PrivateJwk> {
  const document = parse(text);
  if ('kty' in document) return checked(document);
  const head = readKeyFileHead(text);
  const privateJwk = checked(
    head.protection === 'none' ? document['privateKey'] : decrypt(document, head, await passphrase()),
  );
  if (signerOf(privateJwk).publicKey.thumbprint !== head.thumbprint) throw damaged();
  return privateJwk;
}

function decrypt(
  document: Readonly<Record<string, unknown>>,
  head: KeyFileHead,
  passphrase: string,
): unknown {
  const { kdf, cipher, ciphertext } = document;
  if (!isJsonObject(kdf) || !isJsonObject(cipher)) throw damaged();
  const costs = { N: readCost(kdf['N']), r: readCost(kdf['r'], 32), p: readCost(kdf['p'], 16) };
  if (costs.N * costs.r > maxCost * cost.r) throw damaged();
  const key = stretch(passphrase, bytes(kdf['salt']), costs);
  const decipher = createDecipheriv(cipherName, key, bytes(cipher['iv'], 12));
  decipher.setAAD(Buffer.from(canonicalJson({ ...head, kdf })));
  decipher.setAuthTag(bytes(cipher['tag'], 16));
  try {
    const plain = Buffer.concat([decipher.update(bytes(ciphertext)), decipher.final()]);
    return JSON.parse(plain.toString('utf8')) as unknown;
  } catch {
    throw new CliError('passphrase_wrong', 'the passphrase does not open this key, or the file was altered');
  }
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    return parseJsonObject(Buffer.from(text));
  } catch {
    throw damaged();
  }
}

function readCost(value: unknown, max: number = maxCost): number {
  if (!Number.isSafeInteger(value) || Number(value) < 1 || Number(value) > max) throw damaged();
  return Number(value);
}

function bytes(value: unknown, length?: number): Buffer {
  if (typeof value !== 'string') throw damaged();
  let decoded: Buffer;
  try {
    decoded = decodeBase64url(value);
  } catch {
    throw damaged();
  }
  if (length !== undefined && decoded.length !== length) throw damaged();
  return decoded;
}

function checked(value: unknown): PrivateJwk {
  const privateJwk = value as PrivateJwk;
  signerOf(privateJwk);
  return privateJwk;
}

function signerOf(privateJwk: PrivateJwk): Signer {
  try {
    return createSigner(privateJwk);
  } catch {
    // The cause is dropped: it could quote the key.
    throw damaged();
  }
}

function damaged(): CliError {
  return new CliError('key_damaged', 'the key file is malformed');
}
