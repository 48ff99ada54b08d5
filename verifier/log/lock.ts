import { readFileSync } from 'node:fs';
import { open, readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import { decodeBase64url } from '../base64url.ts';
import { Refusal } from '../errors.ts';
import { parseJsonObject } from '../json.ts';

/** The floor of what a process accepts (`bulla.lock`): nothing smaller than `size`, and at `size` this root. */
export interface Lock {
  readonly account: string;
  readonly size: number;
  /** RFC 6962 root at `size`, base64url. */
  readonly root: string;
  /** When the log signed it, Unix seconds. */
  readonly time: number;
}

/** Reads the bytes of a `bulla.lock`; nothing in it is compared with a log. @throws {Refusal} `lock_invalid`. */
export function parseLock(bytes: Uint8Array): Lock {
  try {
    const { account, size, root, time, ...rest } = parseJsonObject(bytes);
    const complete =
      typeof account === 'string' &&
      typeof size === 'number' &&
      size >= 1 &&
      typeof root === 'string' &&
      decodeBase64url(root).length === 32 &&
      typeof time === 'number' &&
      time >= 0;
    if (complete && Object.keys(rest).length === 0) return { account, size, root, time };
  } catch (cause) {
    throw new Refusal('lock_invalid', 'lock file is not readable as a lock', { cause });
  }
  throw new Refusal('lock_invalid', 'lock file has a missing, unknown or malformed member');
}

/** {@link parseLock} of a file. @throws {Refusal} `lock_missing`, `lock_invalid`. */
export function readLock(file: string): Lock {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    throw new Refusal('lock_missing', 'lock file cannot be read: `bulla pin` writes one', { cause });
  }
  return parseLock(bytes);
}

/** The text of a lock file. */
export function formatLock(lock: Lock): string {
  const { account, size, root, time } = lock;
  return `${JSON.stringify({ account, size, root, time }, null, 2)}\n`;
}

/**
 * Writes the lock if it is above the one in the file (or there is none), whole or not at all. The write is on the
 * disk when this resolves.
 *
 * @throws {Refusal} `lock_lowered` for a smaller size or an earlier time, `lock_mismatch` for another account or
 *   another root at the same size, `lock_invalid` where the file is not a lock.
 */
export async function raiseLock(
  file: string,
  lock: Lock,
  options: {
    /**
     * Write whatever stands in the file now: gives up the memory of everything seen since.
     *
     * @deprecated weakens law 7.
     */
    readonly dangerouslyLowerPin?: boolean;
  } = {},
): Promise<void> {
  const present = options.dangerouslyLowerPin === true ? undefined : await presentLock(file);
  if (present !== undefined) {
    if (present.account !== lock.account) throw new Refusal('lock_mismatch', 'lock is of another account');
    if (lock.size < present.size || lock.time < present.time) {
      throw new Refusal('lock_lowered', 'lock would go back');
    }
    if (lock.size === present.size && lock.root !== present.root) {
      throw new Refusal('lock_mismatch', 'lock has another root at the same size');
    }
  }
  await writeFileWhole(file, formatLock(lock));
}

async function presentLock(file: string): Promise<Lock | undefined> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  return parseLock(bytes);
}

/** Replaces a file: after a crash it holds the old bytes or the new, never a mixture. */
export async function writeFileWhole(file: string, content: string): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  const handle = await open(temporary, 'w', 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
  const directory = await open(path.dirname(file), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
