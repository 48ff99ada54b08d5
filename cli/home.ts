import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { isJsonObject } from '@bulla/verifier/envelope';
import { CliError } from './errors.ts';
import {
  createPrivateFile,
  isMissing,
  isPresent,
  makePrivateFolder,
  readPrivateFile,
  writePrivateFile,
} from './files.ts';

/** An account this home knows: where its log is, and how to read it. */
export interface AccountEntry {
  readonly account: string;
  /** Base URL of the issuer, without `/a/<account>`. */
  readonly url: string;
  readonly readToken: string;
  /** Names of the admin keys that sign here unless told otherwise. */
  readonly adminKeys: readonly string[];
  /** Who the owner of this home is in the account, after `bulla activate`. */
  readonly person?: OwnPerson;
}

/** A person of the log whose key is in this home. */
export interface OwnPerson {
  /** `prn_…`. */
  readonly id: string;
  /** Name of their key in the home: it signs their requests. */
  readonly key: string;
}

interface HomeFile {
  readonly version: 1;
  readonly current: string | null;
  readonly accounts: readonly AccountEntry[];
}

/**
 * The folder of one admin or person (`BULLA_HOME`, by default `~/.bulla`), all of it readable by its owner only:
 *
 *     home.json            accounts, their URLs and read tokens
 *     keys/<name>.json     key files (key-file.ts)
 *     log/<account>/       names given to people, followed copy of the log, `bulla.lock`, what the issuer acknowledged
 */
export class Home {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = path.resolve(folder);
  }

  /** The current account, or the one named. @throws {CliError} `home_missing`, `account_unknown`, `home_invalid`. */
  account(id?: string): AccountEntry {
    const { accounts, current } = this.#read();
    const wanted = id ?? current ?? undefined;
    if (wanted === undefined) {
      throw new CliError('home_missing', `\`${this.folder}\` knows no account`, {
        hint: 'make one with `bulla init`, or name an existing one with `bulla admin account add`',
      });
    }
    const entry = accounts.find(({ account }) => account === wanted);
    if (entry === undefined)
      throw new CliError('account_unknown', `\`${this.folder}\` does not know this account`);
    return entry;
  }

  accounts(): readonly (AccountEntry & { readonly current: boolean })[] {
    const { accounts, current } = this.#read();
    return accounts.map((entry) => ({ ...entry, current: entry.account === current }));
  }

  /** Adds or replaces an account and makes it the current one. */
  putAccount(entry: AccountEntry): void {
    const { accounts } = this.#read();
    const others = accounts.filter(({ account }) => account !== entry.account);
    const file: HomeFile = { version: 1, current: entry.account, accounts: [...others, entry] };
    writePrivateFile(path.join(this.folder, 'home.json'), `${JSON.stringify(file, null, 2)}\n`);
  }

  /**
   * Notes who the owner of this home is in an account, and makes that account the current one. Where an admin keeps the
   * account here already, their keys and read token stay.
   */
  putPerson(entry: Omit<AccountEntry, 'adminKeys' | 'person'>, person: OwnPerson): void {
    const known = this.#read().accounts.find(({ account }) => account === entry.account);
    const kept = known === undefined || known.adminKeys.length === 0 ? entry : known;
    this.putAccount({ ...kept, adminKeys: known?.adminKeys ?? [], person });
  }

  #read(): HomeFile {
    const text = readPrivateFile(path.join(this.folder, 'home.json'));
    if (text === undefined) return { version: 1, current: null, accounts: [] };
    const file = parseHome(text);
    if (file === undefined) throw new CliError('home_invalid', `\`${this.folder}/home.json\` is malformed`);
    return file;
  }

  logFolder(account: string): string {
    const folder = path.join(this.folder, 'log', account);
    makePrivateFolder(folder);
    return folder;
  }

  /** Text of the key file of this name. @throws {CliError} `key_missing`, `home_exposed`, `argument_invalid`. */
  readKey(name: string): string {
    const text = readPrivateFile(this.#keyFile(name));
    if (text !== undefined) return text;
    throw new CliError('key_missing', `there is no key \`${name}\` in \`${this.folder}\``, {
      hint: `\`bulla admin key list\` shows those there are, \`bulla admin key new ${name}\` makes one`,
    });
  }

  /** @throws {CliError} `argument_invalid` for what cannot be a name. */
  hasKey(name: string): boolean {
    this.#keyFile(name);
    return this.keyNames().includes(name);
  }

  /** @throws {CliError} `key_exists`: a key is never replaced. */
  writeKey(name: string, text: string): void {
    try {
      createPrivateFile(this.#keyFile(name), text);
    } catch (error) {
      if (isPresent(error)) throw new CliError('key_exists', `there is a key \`${name}\` already`);
      throw error;
    }
  }

  keyNames(): readonly string[] {
    try {
      const files = readdirSync(path.join(this.folder, 'keys'));
      return files
        .filter((file) => file.endsWith('.json'))
        .map((file) => file.slice(0, -'.json'.length))
        .sort();
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }

  #keyFile(name: string): string {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/u.test(name)) {
      throw new CliError('argument_invalid', 'a key name is 1 to 63 letters, digits, `.`, `_` or `-`');
    }
    return path.join(this.folder, 'keys', `${name}.json`);
  }

  /**
   * Holds the account's folder while `work` runs: two processes that follow into one folder would spoil it. A lock whose
   * process is gone is taken over.
   *
   * @throws {CliError} `home_busy`.
   */
  async exclusively<T>(account: string, work: (folder: string) => Promise<T>): Promise<T> {
    const folder = this.logFolder(account);
    const release = holdFolder(folder, 'account');
    try {
      return await work(folder);
    } finally {
      release();
    }
  }
}

/**
 * Holds a folder for this process. A lock whose process is gone is taken over.
 *
 * @param what it is, for the message.
 * @returns what gives it back.
 * @throws {CliError} `home_busy`.
 */
export function holdFolder(folder: string, what: string): () => void {
  const file = path.join(folder, 'process');
  claim(file, what);
  return () => rmSync(file, { force: true });
}

/** `--home`, `BULLA_HOME`, or `~/.bulla`. */
export function homeAt(option: string | undefined, env: Readonly<Record<string, string | undefined>>): Home {
  return new Home(option ?? env['BULLA_HOME'] ?? path.join(homedir(), '.bulla'));
}

function claim(file: string, what: string): void {
  try {
    createPrivateFile(file, String(process.pid));
    return;
  } catch (error) {
    if (!isPresent(error)) throw error;
  }
  const owner = Number(readFileSync(file, 'utf8'));
  if (isRunning(owner)) {
    throw new CliError('home_busy', `process ${owner} is using this ${what}`, {
      hint: 'wait for it, or use another folder',
    });
  }
  rmSync(file, { force: true });
  createPrivateFile(file, String(process.pid));
}

function isRunning(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid < 1) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function parseHome(text: string): HomeFile | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isJsonObject(value) || value['version'] !== 1 || !Array.isArray(value['accounts'])) return undefined;
  const { current, accounts } = value;
  const entries: readonly unknown[] = accounts;
  if (!(current === null || typeof current === 'string') || !entries.every(isAccountEntry)) return undefined;
  return { version: 1, current, accounts: entries };
}

function isAccountEntry(value: unknown): value is AccountEntry {
  if (!isJsonObject(value)) return false;
  const { account, url, readToken, adminKeys, person } = value;
  return (
    [account, url, readToken].every((text) => typeof text === 'string') &&
    Array.isArray(adminKeys) &&
    adminKeys.every((name) => typeof name === 'string') &&
    (person === undefined || isOwnPerson(person))
  );
}

function isOwnPerson(value: unknown): value is OwnPerson {
  return isJsonObject(value) && typeof value['id'] === 'string' && typeof value['key'] === 'string';
}
