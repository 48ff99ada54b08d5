import { decodeBase64url } from '../base64url.ts';
import { Refusal } from '../errors.ts';
import type { PublicKey, Signer } from '../keys.ts';
import { decodeBase64, type NoteSignature, noteKeyId, parseNote, writeNote } from './note.ts';

/** What a checkpoint says. */
export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  /** RFC 6962 root over `size` leaves. */
  readonly root: Buffer;
  /** Root of the world state after those leaves (extension line `state`). */
  readonly state: Buffer;
}

/** A checkpoint whose log signature verified. */
export interface VerifiedCheckpoint extends Checkpoint {
  /** When the log signed it, Unix seconds. */
  readonly time: number;
  /** The note it came in. */
  readonly note: string;
}

/** A checkpoint as parsed; nobody vouches for it yet. */
export interface UnverifiedCheckpoint extends Checkpoint {
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
  readonly note: string;
}

/** c2sp.org/tlog-cosignature: signature type of a timestamped Ed25519 cosignature. */
const cosignatureType = 0x04;
const bodyPattern = /^([^\n]+)\n(0|[1-9]\d{0,15})\n([A-Za-z0-9+/]{43}=)\nstate ([A-Za-z0-9+/]{43}=)\n$/u;

/**
 * Parses a checkpoint note (c2sp.org/tlog-checkpoint) with exactly one extension line, `state <base64>`.
 * Does NOT verify anything.
 *
 * @throws {Refusal} `note_malformed`, `checkpoint_malformed`.
 */
export function parseCheckpoint(note: string): UnverifiedCheckpoint {
  const { text, signatures } = parseNote(note);
  const match = bodyPattern.exec(text);
  const size = Number(match?.[2]);
  const root = decodeBase64(match?.[3] ?? '');
  const state = decodeBase64(match?.[4] ?? '');
  if (match === null || !Number.isSafeInteger(size) || root?.length !== 32 || state?.length !== 32) {
    throw new Refusal('checkpoint_malformed', 'note text is not a checkpoint with a state root');
  }
  return { origin: match[1] as string, size, root, state, text, signatures, note };
}

/**
 * Verifies the log's own signature: an Ed25519 `cosignature/v1` under the origin as key name. Signatures by others
 * are ignored, as the note format demands; a signature under the log's name and key id that fails refuses the note.
 * Does NOT compare the time with a clock, nor the roots with anything.
 *
 * @throws {Refusal} `note_malformed`, `checkpoint_malformed`, `checkpoint_origin_wrong`, `checkpoint_unsigned`,
 *   `checkpoint_signature_invalid`, `key_invalid`.
 */
export function verifyCheckpoint(
  note: string | UnverifiedCheckpoint,
  expected: { readonly origin: string; readonly logKey: PublicKey },
): VerifiedCheckpoint {
  const checkpoint = typeof note === 'string' ? parseCheckpoint(note) : note;
  if (checkpoint.origin !== expected.origin) {
    throw new Refusal('checkpoint_origin_wrong', 'checkpoint is of another log');
  }
  const keyId = cosignatureKeyId(expected.origin, expected.logKey);
  const own = checkpoint.signatures.filter(
    (signature) => signature.keyName === expected.origin && signature.keyId.equals(keyId),
  );
  const [signature] = own;
  if (signature === undefined || own.length > 1) {
    throw new Refusal('checkpoint_unsigned', 'checkpoint does not carry one signature by the log key');
  }
  const time = verifyCosignature(checkpoint.text, signature.signature, expected.logKey);
  const { origin, size, root, state } = checkpoint;
  return { origin, size, root, state, time, note: checkpoint.note };
}

function verifyCosignature(text: string, timestamped: Buffer, key: PublicKey): number {
  const time = timestamped.length === 72 ? timestamped.readBigUInt64BE(0) : 0n;
  if (time < 1n || time > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new Refusal('checkpoint_signature_invalid', 'not a timestamped signature');
  }
  if (!key.verify(cosignedMessage(text, Number(time)), timestamped.subarray(8))) {
    throw new Refusal('checkpoint_signature_invalid', 'signature of the log does not verify');
  }
  return Number(time);
}

function cosignedMessage(text: string, time: number): Buffer {
  return Buffer.from(`cosignature/v1\ntime ${time}\n${text}`);
}

/** @throws {Refusal} `key_invalid` for a key that is not Ed25519. */
function cosignatureKeyId(keyName: string, key: PublicKey): Buffer {
  if (key.jwk.kty !== 'OKP') throw new Refusal('key_invalid', 'a log key is an Ed25519 key');
  return noteKeyId(keyName, cosignatureType, decodeBase64url(key.jwk.x));
}

/** The text that is signed, its final newline included. */
function checkpointText(checkpoint: Checkpoint): string {
  const { origin, size, root, state } = checkpoint;
  return `${origin}\n${size}\n${root.toString('base64')}\nstate ${state.toString('base64')}\n`;
}

/**
 * Signs a checkpoint as the log. The caller guarantees that it never signs two checkpoints of which neither is a
 * prefix of the other. `time`: Unix seconds, an integer.
 *
 * @throws {Refusal} `key_invalid` for a key that is not Ed25519, `checkpoint_malformed` for values no note can carry.
 */
export function signCheckpoint(checkpoint: Checkpoint, time: number, signer: Signer): string {
  const text = checkpointText(checkpoint);
  const keyId = cosignatureKeyId(checkpoint.origin, signer.publicKey);
  if (!Number.isSafeInteger(time) || time < 1)
    throw new Refusal('checkpoint_malformed', 'time is not a time');
  const timestamp = Buffer.alloc(8);
  timestamp.writeBigUInt64BE(BigInt(time));
  const signature = Buffer.concat([timestamp, signer.sign(cosignedMessage(text, time))]);
  const note = writeNote(text, [{ keyName: checkpoint.origin, keyId, signature }]);
  parseCheckpoint(note);
  return note;
}
