import { hash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createSigner, type PrivateJwk, type Signer } from '@bulla/verifier';
import { ConfigError } from './errors.ts';

/**
 * Reads a private JWK (Ed25519 or P-256) from a file that only its owner may read or write.
 *
 * @throws {ConfigError} naming `field` and the file; never quoting its contents.
 */
export function loadSigner(field: string, file: string): Signer {
  const text = readPrivateFile(field, file);
  try {
    return createSigner(JSON.parse(text) as PrivateJwk);
  } catch {
    // The cause is dropped: a parser's message could quote the key.
    throw new ConfigError(`\`${field}\`: \`${file}\` does not hold a private Ed25519 or P-256 JWK`);
  }
}

/**
 * Reads one line, such as a token, from a file that only its owner may read or write.
 *
 * @throws {ConfigError} naming `field` and the file; never quoting its contents.
 */
export function loadSecret(field: string, file: string): string {
  const text = readPrivateFile(field, file).trim();
  if (!/^[\x21-\x7e]{1,4096}$/u.test(text))
    throw new ConfigError(`\`${field}\`: \`${file}\` does not hold one token`);
  return text;
}

/** base64url SHA-256 of a token, secret or code: all that is kept of it. */
export function secretHash(secret: string): string {
  return hash('sha256', secret, 'base64url');
}

function readPrivateFile(field: string, file: string): string {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch {
    throw new ConfigError(`\`${field}\`: \`${path.resolve(file)}\` cannot be read`);
  }
  try {
    // Of the open file, so that what was checked is what is read.
    if ((fstatSync(descriptor).mode & 0o077) !== 0) {
      throw new ConfigError(`\`${field}\`: \`${file}\` is open to group or others; set mode 0600`);
    }
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}
