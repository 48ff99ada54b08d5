import path from 'node:path';
import { isJsonObject } from '@bulla/verifier/envelope';
import { CliError } from './errors.ts';
import { readPrivateFile, writePrivateFile } from './files.ts';
import type { Home } from './home.ts';

const form = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/u;

/**
 * The names that the owner of this home gave to people of an account after comparing fingerprints with them. They stay in the home
 * (`log/<account>/people.json`), so a directory that lies about who is who changes nothing for whoever uses them.
 */
export class Contacts {
  readonly #file: string;

  constructor(home: Home, account: string) {
    this.#file = path.join(home.logFolder(account), 'people.json');
  }

  /** The id behind a name; undefined where nobody was given it. @throws {CliError} `home_invalid`. */
  idOf(name: string): string | undefined {
    const names = this.#read();
    return Object.hasOwn(names, name) ? names[name] : undefined;
  }

  /** The name that an id was given. */
  nameOf(id: string): string | undefined {
    return Object.entries(this.#read()).find(([, other]) => other === id)?.[0];
  }

  /** @throws {CliError} `argument_invalid`, `name_taken` where somebody else has the name. */
  add(name: string, id: string): void {
    if (!form.test(name) || /^(?:prn|agt)_/u.test(name)) {
      throw new CliError('argument_invalid', 'a name is 1 to 63 letters, digits, `.`, `_`, `@` or `-`');
    }
    const known = this.idOf(name);
    if (known === id) return;
    if (known !== undefined)
      throw new CliError('name_taken', 'another person of the account has this name here');
    writePrivateFile(this.#file, `${JSON.stringify({ ...this.#read(), [name]: id }, null, 2)}\n`);
  }

  #read(): Readonly<Record<string, string>> {
    const text = readPrivateFile(this.#file);
    if (text === undefined) return {};
    try {
      const value: unknown = JSON.parse(text);
      if (isJsonObject(value) && Object.values(value).every((id) => typeof id === 'string')) {
        return value as Readonly<Record<string, string>>;
      }
    } catch {
      // Falls through.
    }
    throw new CliError('home_invalid', `\`${this.#file}\` is malformed`);
  }
}
