import { Refusal } from './errors.ts';

/**
 * Decodes base64url without padding (RFC 7515 section 2), accepting exactly one spelling of each byte string.
 *
 * @throws {Refusal} `encoding_invalid` for padding, white space, foreign characters or non-zero trailing bits.
 */
export function decodeBase64url(text: string): Buffer {
  // A caller's word is not enough: an array would be read as what its items spell.
  if (typeof text !== 'string') throw new Refusal('encoding_invalid', 'not text');
  const bytes = Buffer.from(text, 'base64url');
  // What Node skips while decoding (padding, white space, foreign characters) does not come back.
  if (bytes.toString('base64url') !== text) {
    throw new Refusal('encoding_invalid', 'not canonical base64url');
  }
  return bytes;
}

/** base64url without padding (RFC 4648 section 5). */
export function encodeBase64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}
