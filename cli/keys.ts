import { readFileSync } from 'node:fs';
import {
  createSigner,
  generatePrivateJwk,
  type PrivateJwk,
  type PublicJwk,
  type Signer,
} from '@bulla/verifier';
import { CliError } from './errors.ts';
import { createPrivateFile, isMissing, readPrivateFile } from './files.ts';
import type { Home } from './home.ts';
import { openKeyFile, readKeyFileHead, writeKeyFile } from './key-file.ts';
import type { Surroundings } from './surroundings.ts';

/** How a command comes by passphrases, and whether it may do without. */
export interface KeyOptions {
  readonly passphraseFile?: string | undefined;
  /** Write new keys in the clear. */
  readonly insecurePlaintextKey?: boolean | undefined;
}

/** Opens and makes keys for one command; a passphrase is asked at most once. */
export class KeyRing {
  readonly #home: Home;
  readonly #options: KeyOptions;
  readonly #surroundings: Surroundings;
  #passphrase: Promise<string> | undefined;

  constructor(home: Home, options: KeyOptions, surroundings: Surroundings) {
    this.#home = home;
    this.#options = options;
    this.#surroundings = surroundings;
  }

  /**
   * The key of this name in the home, or in a file where the name has a `/` in it.
   *
   * @throws {CliError} `key_missing`, `key_damaged`, `passphrase_missing`, `passphrase_wrong`, `home_exposed`.
   */
  async open(name: string): Promise<PrivateJwk> {
    return openKeyFile(this.#text(name), () => this.#ask(`passphrase of key ${name}: `));
  }

  async signer(name: string): Promise<Signer> {
    return createSigner(await this.open(name));
  }

  /** As {@link signer}, and makes the key where there is none. `made` says so. */
  async signerOrNew(name: string): Promise<{ readonly signer: Signer; readonly made: boolean }> {
    const made = !name.includes('/') && !this.#home.hasKey(name);
    return { signer: made ? await this.make(name) : await this.signer(name), made };
  }

  /** The key of a file with any name, made there (mode 0600, under a passphrase unless told otherwise) if there is none. */
  async fileOrNew(name: string): Promise<Signer> {
    const file = name.includes('/') ? name : `./${name}`;
    if (readPrivateFile(file) !== undefined) return this.signer(file);
    const privateJwk = generatePrivateJwk();
    createPrivateFile(file, writeKeyFile(privateJwk, await this.#newPassphrase(file)));
    return createSigner(privateJwk);
  }

  /**
   * The key of a service, in a file that the service reads by itself and that therefore has no passphrase; made (mode
   * 0600) if there is none. A name of the home does too.
   */
  async serviceSigner(file: string): Promise<Signer> {
    if (!file.includes('/')) return this.signer(file);
    const present = readPrivateFile(file);
    if (present !== undefined)
      return createSigner(await openKeyFile(present, () => this.#ask('passphrase: ')));
    const privateJwk = generatePrivateJwk();
    createPrivateFile(file, `${JSON.stringify(privateJwk)}\n`);
    return createSigner(privateJwk);
  }

  /** Whether a person would have to be asked for the passphrase of a new key. */
  get wouldAsk(): boolean {
    return this.#options.insecurePlaintextKey !== true && this.#given() === undefined;
  }

  /** Makes a key under a new name. @throws {CliError} `key_exists`, `passphrase_missing`. */
  async make(name: string, curve: 'Ed25519' | 'P-256' = 'Ed25519'): Promise<Signer> {
    return this.#keep(name, generatePrivateJwk(curve));
  }

  /** Keeps the key of a file under a new name. @throws {CliError} as {@link open} and {@link make}. */
  async take(name: string, file: string): Promise<Signer> {
    return this.#keep(name, await this.open(file));
  }

  async #keep(name: string, privateJwk: PrivateJwk): Promise<Signer> {
    if (this.#home.hasKey(name)) throw new CliError('key_exists', `there is a key \`${name}\` already`);
    this.#home.writeKey(name, writeKeyFile(privateJwk, await this.#newPassphrase(name)));
    return createSigner(privateJwk);
  }

  /** Thumbprint of a key without opening it. */
  thumbprint(name: string): string {
    return readKeyFileHead(this.#text(name)).thumbprint;
  }

  /** Public part of a key of the home, without opening it. */
  publicKey(name: string): PublicJwk {
    return readKeyFileHead(this.#text(name)).publicKey;
  }

  #text(name: string): string {
    if (!name.includes('/')) return this.#home.readKey(name);
    const text = readPrivateFile(name);
    if (text === undefined) throw new CliError('key_missing', `there is no key file \`${name}\``);
    return text;
  }

  async #newPassphrase(name: string): Promise<string | undefined> {
    return this.#options.insecurePlaintextKey === true ? undefined : this.#choose(name);
  }

  #choose(name: string): Promise<string> {
    const asksPerson = this.#given() === undefined;
    this.#passphrase ??= this.#ask(`new passphrase for key ${name}: `).then(async (first) => {
      if (asksPerson && (await this.#ask('again: ', false)) !== first) {
        throw new CliError('passphrase_wrong', 'the two passphrases differ');
      }
      if (first.length === 0) throw new CliError('passphrase_wrong', 'the passphrase is empty');
      return first;
    });
    return this.#passphrase;
  }

  #ask(question: string, keep = true): Promise<string> {
    if (keep && this.#passphrase !== undefined) return this.#passphrase;
    const given = this.#given();
    const { readSecret } = this.#surroundings;
    if (given === undefined && readSecret === undefined) {
      throw new CliError('passphrase_missing', 'a passphrase is needed and there is no terminal to ask on', {
        hint: 'give --passphrase-file or BULLA_PASSPHRASE; --insecure-plaintext-key makes new keys without one',
      });
    }
    const answer =
      given === undefined ? (readSecret?.(question) ?? Promise.resolve('')) : Promise.resolve(given);
    if (keep) this.#passphrase = answer;
    return answer;
  }

  #given(): string | undefined {
    const { passphraseFile } = this.#options;
    if (passphraseFile === undefined) return this.#surroundings.env['BULLA_PASSPHRASE'];
    try {
      return readFileSync(passphraseFile, 'utf8').replace(/\r?\n$/u, '');
    } catch (error) {
      if (isMissing(error)) throw new CliError('passphrase_missing', 'the passphrase file does not exist');
      throw error;
    }
  }
}
