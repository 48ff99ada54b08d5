/**
 * Keeps something preparsed in cedar-wasm under a fixed ring of names: its caches never evict, so names are reused,
 * the one used longest ago first.
 *
 * INVARIANT: a slot whose key is `key` holds what `prepare` stored for `key`, or nothing holds `key`.
 */
export class Slots<T> {
  readonly #prefix: string;
  readonly #size: number;
  readonly #prepare: (name: string, value: T) => void;
  /** Key -> name, in order of last use. */
  readonly #held = new Map<string, string>();
  readonly #free: string[];

  /** `prepare` stores the value under the name, or throws and leaves nothing usable there. */
  constructor(prefix: string, size: number, prepare: (name: string, value: T) => void) {
    this.#prefix = prefix;
    this.#size = size;
    this.#prepare = prepare;
    this.#free = this.#names();
  }

  /** The name under which the value with this key is preparsed now. Use it in the same synchronous turn. */
  hold(key: string, value: T): string {
    const held = this.#held.get(key);
    if (held !== undefined) {
      this.#held.delete(key);
      this.#held.set(key, held);
      return held;
    }
    const name = this.#free.pop() ?? this.#reuse();
    try {
      this.#prepare(name, value);
    } catch (error) {
      this.#free.push(name);
      throw error;
    }
    this.#held.set(key, name);
    return name;
  }

  /** Forgets everything: after the instance behind it was replaced. */
  clear(): void {
    this.#held.clear();
    this.#free.splice(0, this.#free.length, ...this.#names());
  }

  #reuse(): string {
    for (const [key, name] of this.#held) {
      this.#held.delete(key);
      return name;
    }
    throw new Error('a ring of slots has no slot');
  }

  #names(): string[] {
    return Array.from({ length: this.#size }, (_, index) => `${this.#prefix}${String(index)}`);
  }
}

/** A map that forgets what was used longest ago. */
export class Recent<T> {
  readonly #size: number;
  readonly #entries = new Map<string, T>();

  constructor(size: number) {
    this.#size = size;
  }

  get(key: string): T | undefined {
    const value = this.#entries.get(key);
    if (value !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, value);
    }
    return value;
  }

  clear(): void {
    this.#entries.clear();
  }

  set(key: string, value: T): void {
    this.#entries.set(key, value);
    if (this.#entries.size <= this.#size) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      return;
    }
  }
}
