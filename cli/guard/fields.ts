import { isJsonObject } from '@bulla/verifier/envelope';
import { CliError } from '../errors.ts';

/** A fault of guard's configuration. Names the field, never its value. */
export function invalid(field: string, fault: string): CliError {
  return new CliError('guard_config_invalid', `\`${field}\` ${fault}`);
}

/** Reads one object of the configuration, member by member; {@link Fields.done} refuses what nobody asked for. */
export class Fields {
  readonly #members: ReadonlyMap<string, unknown>;
  readonly #path: string;
  readonly #asked = new Set<string>();

  /** @throws {CliError} `guard_config_invalid` for what is not an object. */
  constructor(value: unknown, path = '') {
    if (!isJsonObject(value)) throw invalid(path === '' ? 'configuration' : path, 'is not an object');
    this.#members = new Map(Object.entries(value));
    this.#path = path;
  }

  /** Where a member is, for messages. */
  at(name: string): string {
    return this.#path === '' ? name : `${this.#path}.${name}`;
  }

  get names(): readonly string[] {
    return [...this.#members.keys()];
  }

  raw(name: string): unknown {
    this.#asked.add(name);
    return this.#members.get(name);
  }

  optionalText(name: string): string | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'string' || value === '') throw invalid(this.at(name), 'is not a text');
    return value;
  }

  text(name: string): string {
    const value = this.optionalText(name);
    if (value === undefined) throw invalid(this.at(name), 'is missing');
    return value;
  }

  texts(name: string): readonly string[] {
    const value = this.raw(name);
    if (value === undefined) return [];
    if (!Array.isArray(value) || !value.every((item) => typeof item === 'string' && item !== '')) {
      throw invalid(this.at(name), 'is not a list of texts');
    }
    return value;
  }

  /** A whole number of this range. */
  integer(name: string, least: number, most: number): number | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least || value > most) {
      throw invalid(this.at(name), `is not a whole number from ${least} to ${most}`);
    }
    return value;
  }

  object(name: string): Fields | undefined {
    const value = this.raw(name);
    return value === undefined ? undefined : new Fields(value, this.at(name));
  }

  /** @throws {CliError} `guard_config_invalid` for a member that was not read: what is misspelled must not be passed over. */
  done(): void {
    const unknown = this.names.find((name) => !this.#asked.has(name));
    if (unknown !== undefined) throw invalid(this.at(unknown), 'is not a field that guard knows');
  }
}
