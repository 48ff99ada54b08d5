/**
 * Ids of everybody in the log, each in the order in which it came: a list that only grows, so that a place in it stays the
 * same place.
 */
export class Roster {
  readonly #people = new List('principal/');
  readonly #agents = new List('agent/');

  get people(): readonly string[] {
    return this.#people.ids;
  }

  get agents(): readonly string[] {
    return this.#agents.ids;
  }

  /** To be told the key of each record that is written. */
  note(key: string): void {
    this.#people.note(key);
    this.#agents.note(key);
  }
}

class List {
  readonly ids: string[] = [];
  readonly #known = new Set<string>();
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  note(key: string): void {
    if (!key.startsWith(this.#prefix) || this.#known.has(key)) return;
    this.#known.add(key);
    this.ids.push(key.slice(this.#prefix.length));
  }
}
