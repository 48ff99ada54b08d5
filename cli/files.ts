import {
  closeSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { CliError } from './errors.ts';

/** A folder that only its owner may enter. */
export function makePrivateFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
}

/** Writes a file that only its owner may read (0600), whole or not at all. */
export function writePrivateFile(file: string, content: string): void {
  makePrivateFolder(path.dirname(file));
  const temporary = `${file}.${process.pid}.tmp`;
  const descriptor = openSync(temporary, 'w', 0o600);
  try {
    writeSync(descriptor, content);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(temporary, file);
}

/** As {@link writePrivateFile}, and fails with `EEXIST` where there is a file: nothing is replaced by accident. */
export function createPrivateFile(file: string, content: string): void {
  makePrivateFolder(path.dirname(file));
  const descriptor = openSync(file, 'wx', 0o600);
  try {
    writeSync(descriptor, content);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Reads a file that holds a secret. undefined where there is none.
 *
 * @throws {CliError} `home_exposed` where group or others may read it: the secret may be out, and it is time to know.
 */
export function readPrivateFile(file: string): string | undefined {
  const descriptor = openIfThere(file);
  if (descriptor === undefined) return undefined;
  try {
    // Of the open file, so that what was checked is what is read.
    if ((fstatSync(descriptor).mode & 0o077) !== 0) {
      throw new CliError('home_exposed', `\`${file}\` is open to group or others`, {
        hint: `chmod 600 '${file}' and consider whether somebody has read it`,
      });
    }
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}

/** The text of a file that was named on the command line. @throws {CliError} `argument_invalid`. */
export function readNamedFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    throw new CliError('argument_invalid', `\`${file}\` cannot be read`);
  }
}

function openIfThere(file: string): number | undefined {
  try {
    return openSync(file, 'r');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'ENOENT';
}

export function isPresent(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'EEXIST';
}
