import { Refusal } from '../errors.ts';
import { limits } from '../limits.ts';
import { sha256 } from './merkle.ts';

/** A C2SP signed note, parsed strictly. No signature is verified yet. */
export interface UnverifiedNote {
  /** The text, its final newline included, without the blank line. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** One signature line of a note. */
export interface NoteSignature {
  readonly keyName: string;
  /** Four bytes. */
  readonly keyId: Buffer;
  readonly signature: Buffer;
}

const signatureLine = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/u;

/**
 * Parses a signed note (c2sp.org/signed-note).
 *
 * @throws {Refusal} `note_malformed`, also above `maxNoteBytes` or `maxNoteSignatures`.
 */
export function parseNote(note: string): UnverifiedNote {
  if (typeof note !== 'string') throw new Refusal('note_malformed', 'note is not text');
  if (Buffer.byteLength(note) > limits.maxNoteBytes) throw new Refusal('note_malformed', 'note is too large');
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u0009\u000b-\u001f]|\p{Surrogate}/u.test(note)) {
    throw new Refusal('note_malformed', 'note holds a control character');
  }
  const split = note.lastIndexOf('\n\n');
  if (split < 0 || !note.endsWith('\n')) throw new Refusal('note_malformed', 'note has no signature part');
  const lines = note.slice(split + 2, -1).split('\n');
  if (lines.length > limits.maxNoteSignatures) {
    throw new Refusal('note_malformed', 'note has too many signatures');
  }
  return { text: note.slice(0, split + 1), signatures: lines.map(parseSignatureLine) };
}

function parseSignatureLine(line: string): NoteSignature {
  const match = signatureLine.exec(line);
  const bytes = match === null ? undefined : decodeBase64(match[2] as string);
  if (match === null || bytes === undefined || bytes.length < 5) {
    throw new Refusal('note_malformed', 'signature line is malformed');
  }
  return { keyName: match[1] as string, keyId: bytes.subarray(0, 4), signature: bytes.subarray(4) };
}

/** RFC 4648 section 4, padded; undefined for anything but the one spelling of each byte string. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

/** Writes a note; `text` ends in a newline. */
export function writeNote(text: string, signatures: readonly NoteSignature[]): string {
  const lines = signatures.map(
    ({ keyName, keyId, signature }) =>
      `\u2014 ${keyName} ${Buffer.concat([keyId, signature]).toString('base64')}\n`,
  );
  return `${text}\n${lines.join('')}`;
}

/** c2sp.org/signed-note: SHA-256(name || 0x0A || signature type || public key), first four bytes. */
export function noteKeyId(keyName: string, signatureType: number, publicKey: Uint8Array): Buffer {
  const prefix = Buffer.from(`${keyName}\n`);
  return sha256(Buffer.concat([prefix, Uint8Array.of(signatureType), publicKey])).subarray(0, 4);
}
