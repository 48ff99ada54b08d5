import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { CliError } from './errors.ts';
import { isMissing, writePrivateFile } from './files.ts';

/** An entry that the issuer took, and that was not yet seen in the log. */
interface Promised {
  readonly seq: number;
  readonly hash: string;
  /** Unix seconds. */
  readonly time: number;
}

/**
 * Remembers what the issuer acknowledged until it is seen in the log. An issuer that took a restriction and then shows
 * a log without it is found out at the next use, and nothing more is signed on such a log.
 */
export class Acknowledged {
  readonly #file: string;
  #promised: readonly Promised[];

  constructor(folder: string) {
    this.#file = path.join(folder, 'acknowledged.json');
    this.#promised = read(this.#file);
  }

  add(promised: Promised): void {
    this.#write([...this.#promised, promised]);
  }

  clear(seq: number): void {
    this.#write(this.#promised.filter((promised) => promised.seq !== seq));
  }

  /** What is wrong where the log lacks something acknowledged. Where nothing is, all of it is done and forgotten. */
  missingIn(entries: readonly { readonly seq: number; readonly hash: string }[]): CliError | undefined {
    const missing = this.#promised.find(({ seq, hash }) => entries[seq]?.hash !== hash);
    if (missing === undefined) {
      this.#write([]);
      return undefined;
    }
    const since = new Date(missing.time * 1000).toISOString();
    return new CliError(
      'entry_missing',
      `the log lacks entry ${missing.seq}, which the issuer acknowledged at ${since}`,
      {
        hint: `\`bulla stop\` restricts without the issuer; once its operator has explained this, delete \`${this.#file}\``,
      },
    );
  }

  #write(promised: readonly Promised[]): void {
    this.#promised = promised;
    if (promised.length === 0) rmSync(this.#file, { force: true });
    else writePrivateFile(this.#file, `${JSON.stringify(promised)}\n`);
  }
}

function read(file: string): readonly Promised[] {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as readonly Promised[];
  } catch (error) {
    if (isMissing(error)) return [];
    throw new CliError('home_invalid', `\`${file}\` is malformed`);
  }
}
