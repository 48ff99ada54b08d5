import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { writeFileWhole } from './lock.ts';

/**
 * A follower's own copy of the log: `leaves`, one a line; `checkpoint`, the newest note that covers
 * them; `seen`, the newest note of a larger size. Leaves
 * behind the checkpoint's size are leftovers of a crash. What is read back is as little trusted as what a log sends.
 * One process at a time may use a directory.
 */
export class LeafDisk {
  readonly #directory: string;
  #file: FileHandle | undefined;
  /** Bytes that the newest checkpoint on the disk covers. */
  #covered = 0;
  #end = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  get #leaves(): string {
    return path.join(this.#directory, 'leaves');
  }

  get #checkpoint(): string {
    return path.join(this.#directory, 'checkpoint');
  }

  get #seen(): string {
    return path.join(this.#directory, 'seen');
  }

  /** Creates the directory where there is none. */
  async open(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    this.#file = await open(this.#leaves, 'a+', 0o600);
  }

  /** The note written last, undefined before the first. */
  readCheckpoint(): Promise<string | undefined> {
    return readIfThere(this.#checkpoint);
  }

  /** The newest note seen whose leaves were not here, undefined where there was none. */
  readSeen(): Promise<string | undefined> {
    return readIfThere(this.#seen);
  }

  async writeSeen(note: string): Promise<void> {
    await writeFileWhole(this.#seen, note);
  }

  /** The first `count` leaves; fewer where the file is shorter. */
  async *readLeaves(count: number): AsyncGenerator<string> {
    if (count === 0) return;
    let left = count;
    const input = createReadStream(this.#leaves, { encoding: 'latin1' });
    try {
      for await (const leaf of createInterface({ input, crlfDelay: Infinity })) {
        this.#covered += leaf.length + 1;
        yield leaf;
        left -= 1;
        if (left === 0) return;
      }
    } finally {
      input.destroy();
    }
  }

  /** Cuts off what the checkpoint does not cover. */
  async discard(): Promise<void> {
    await this.#file?.truncate(this.#covered);
    this.#end = this.#covered;
  }

  /** Leaves that no checkpoint covers yet; not flushed. */
  async write(leaves: readonly string[]): Promise<void> {
    if (leaves.length === 0) return;
    const text = `${leaves.join('\n')}\n`;
    await this.#file?.appendFile(text, 'latin1');
    this.#end += text.length;
  }

  /** Everything written so far is covered by `note`. Leaves reach the disk before the note that speaks of them. */
  async commit(note: string): Promise<void> {
    await this.#file?.datasync();
    await writeFileWhole(this.#checkpoint, note);
    this.#covered = this.#end;
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
