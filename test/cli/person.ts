import { copyFileSync, mkdirSync } from 'node:fs';
import type { Desk } from './desk.ts';

const plain = '--insecure-plaintext-key';

/** Somebody with a home of their own: one key, no admin key. */
export class Person {
  readonly #desk: Desk;
  readonly id: string;
  readonly key: string;
  readonly home: string;

  private constructor(desk: Desk, id: string, key: string, home: string) {
    this.#desk = desk;
    this.id = id;
    this.key = key;
    this.home = home;
  }

  /** A person whose home is as `bulla activate` leaves it, but confirmed by an admin. */
  static async at(desk: Desk): Promise<Person> {
    const { id, key, file } = await desk.addPerson();
    const home = desk.path(file);
    mkdirSync(`${home}/keys`, { recursive: true, mode: 0o700 });
    copyFileSync(desk.path('home', 'keys', `${file}.json`), `${home}/keys/me.json`);
    const { account, readToken } = desk.account();
    const accounts = [{ account, url: desk.url, readToken, adminKeys: [], person: { id, key: 'me' } }];
    desk.write(`${file}/home.json`, JSON.stringify({ version: 1, current: account, accounts }));
    return new Person(desk, id, key, home);
  }

  /** What a command of theirs answers. */
  does(...argv: readonly string[]): Promise<Record<string, unknown>> {
    return this.#desk.json(plain, '--home', this.home, ...argv);
  }

  /** Exit and codes of a command of theirs that must fail. */
  fails(...argv: readonly string[]): Promise<string> {
    return this.#desk.failure([plain, '--home', this.home, ...argv]);
  }
}
