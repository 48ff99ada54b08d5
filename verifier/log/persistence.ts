import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { encodeBase64url } from '../base64url.ts';
import { Refusal } from '../errors.ts';
import type { VerifiedCheckpoint } from './checkpoint.ts';
import { LeafDisk } from './disk.ts';
import { raiseLock, writeFileWhole } from './lock.ts';

/**
 * What a follower keeps on the disk: leaves, newest checkpoint, direct stops, and the lock. A disk that fails is given
 * up with an alarm: what is in memory is still right, and stays.
 */
export class Persistence {
  readonly #account: string;
  readonly #directory: string | undefined;
  readonly #lock: string | undefined;
  readonly #onProblem: (error: Refusal) => void;
  #disk: LeafDisk | undefined;
  #persistedAt = -Infinity;

  constructor(options: {
    readonly account: string;
    readonly directory: string | undefined;
    readonly lock: string | undefined;
    readonly onProblem: (error: Refusal) => void;
  }) {
    this.#account = options.account;
    this.#directory = options.directory;
    this.#lock = options.lock;
    this.#onProblem = options.onProblem;
    if (options.directory !== undefined) this.#disk = new LeafDisk(options.directory);
  }

  async #guard(work: (disk: LeafDisk) => Promise<void>): Promise<void> {
    if (this.#disk === undefined) return;
    try {
      await work(this.#disk);
    } catch (cause) {
      const disk = this.#disk;
      this.#disk = undefined;
      await disk.close().catch(() => undefined);
      this.#onProblem(
        new Refusal('follower_disk_failed', 'leaves are no longer written to the disk', { cause }),
      );
    }
  }

  /**
   * Hands the leaves on the disk to `take`, then the checkpoint that covers them and the newest one that was seen to
   * `cover`; both check them as if the log had sent them. Throws what they throw: a disk that does not verify is not silently started over, because
   * that would forget what was seen.
   */
  async restore(take: (leaf: string) => void, cover: (note: string) => void): Promise<void> {
    const disk = this.#disk;
    if (disk === undefined) return;
    await disk.open();
    const note = await disk.readCheckpoint();
    if (note !== undefined) {
      let count = 0;
      for await (const leaf of disk.readLeaves(sizeOf(note))) {
        take(leaf);
        count += 1;
        if (count % 64 === 0) await new Promise(setImmediate);
      }
      cover(note);
    }
    await disk.discard();
    const seen = await disk.readSeen();
    if (note !== undefined && seen !== undefined && sizeOf(seen) > sizeOf(note)) cover(seen);
  }

  /** Remembers a checkpoint whose leaves are not here. */
  async see(note: string): Promise<void> {
    await this.#guard((disk) => disk.writeSeen(note));
  }

  async write(leaves: readonly string[]): Promise<void> {
    await this.#guard((disk) => disk.write(leaves));
  }

  async discard(): Promise<void> {
    await this.#guard((disk) => disk.discard());
  }

  /** Writes the checkpoint and raises the lock; one that only moved the time once a minute. */
  async commit(checkpoint: VerifiedCheckpoint, grown: boolean): Promise<void> {
    if (!grown && checkpoint.time < this.#persistedAt + refreshSeconds) return;
    this.#persistedAt = checkpoint.time;
    await this.#guard((disk) => disk.commit(checkpoint.note));
    if (this.#lock === undefined) return;
    const { size, root, time } = checkpoint;
    const lock = { account: this.#account, size, root: encodeBase64url(root), time };
    await raiseLock(this.#lock, lock).catch((cause: unknown) => {
      const problem = new Refusal('follower_disk_failed', 'lock was not written', { cause });
      this.#onProblem(cause instanceof Refusal ? cause : problem);
    });
  }

  /** The direct stops kept from before, unchecked. */
  async readStops(): Promise<string[]> {
    if (this.#directory === undefined) return [];
    return readLines(path.join(this.#directory, 'stops'));
  }

  async writeStops(leaves: readonly string[]): Promise<void> {
    if (this.#directory === undefined) return;
    const file = path.join(this.#directory, 'stops');
    await this.#guard(() => writeFileWhole(file, leaves.map((leaf) => `${leaf}\n`).join('')));
  }

  async close(): Promise<void> {
    await this.#disk?.close();
  }
}

/** A checkpoint that only moved the time is written this often. */
const refreshSeconds = 60;

/** The size a note claims, as far as reading goes: what is read by it is then verified. */
function sizeOf(note: string): number {
  return Number(note.split('\n')[1]);
}

/** Lines of a file, empty ones left out; none where there is no file. */
export async function readLines(file: string): Promise<string[]> {
  try {
    return (await readFile(file, 'latin1')).split(/\r?\n/u).filter((line) => line !== '');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
