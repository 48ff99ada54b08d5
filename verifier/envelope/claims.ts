import { Refusal } from '../errors.ts';
import { isJsonObject, type Json, type JsonObject } from '../json.ts';

/** Readers for one claims object: every member is checked, and a member nobody read is refused (law 4). */
export interface Claims {
  string(name: string, maxLength?: number): string;
  integer(name: string, range: { readonly min: number; readonly max: number }): number;
  strings(name: string, max: number): readonly string[];
  list(name: string): readonly Json[];
  object(name: string): Claims;
  raw(name: string): Json;
  has(name: string): boolean;
  /** @throws {Refusal} `envelope_claim_invalid` when a member was never read. */
  finish(): void;
}

const invalid = (name: string, problem: string): Refusal =>
  new Refusal('envelope_claim_invalid', `claim \`${name}\` ${problem}`);

/** @throws {Refusal} from every reader: `envelope_claim_invalid`. */
export function readClaims(source: Json): Claims {
  if (!isJsonObject(source)) throw new Refusal('envelope_claim_invalid', 'claims are not an object');
  return new ClaimReader(source);
}

class ClaimReader implements Claims {
  readonly #source: JsonObject;
  readonly #read = new Set<string>();

  constructor(source: JsonObject) {
    this.#source = source;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#source, name);
  }

  raw(name: string): Json {
    this.#read.add(name);
    const value = this.has(name) ? this.#source[name] : undefined;
    if (value === undefined) throw invalid(name, 'is missing');
    return value;
  }

  string(name: string, maxLength = 256): string {
    const value = this.raw(name);
    if (typeof value !== 'string' || value.length === 0 || value.length > maxLength) {
      throw invalid(name, 'is not a string of acceptable length');
    }
    return value;
  }

  integer(name: string, range: { readonly min: number; readonly max: number }): number {
    const value = this.raw(name);
    if (!Number.isSafeInteger(value) || Number(value) < range.min || Number(value) > range.max) {
      throw invalid(name, 'is not an integer in range');
    }
    return Number(value);
  }

  strings(name: string, max: number): readonly string[] {
    const value = this.list(name);
    const strings = value.filter((item) => typeof item === 'string' && item.length > 0 && item.length <= 512);
    if (value.length === 0 || value.length > max || strings.length !== value.length) {
      throw invalid(name, `is not a list of 1 to ${max} strings`);
    }
    if (new Set(strings).size !== strings.length) throw invalid(name, 'repeats an item');
    return strings as readonly string[];
  }

  list(name: string): readonly Json[] {
    const value = this.raw(name);
    if (!Array.isArray(value)) throw invalid(name, 'is not a list');
    return value as readonly Json[];
  }

  object(name: string): Claims {
    const value = this.raw(name);
    if (!isJsonObject(value)) throw invalid(name, 'is not an object');
    return new ClaimReader(value);
  }

  finish(): void {
    for (const name of Object.keys(this.#source)) {
      // The name is attacker-controlled and therefore not repeated.
      if (!this.#read.has(name)) throw new Refusal('envelope_claim_invalid', 'unknown claim');
    }
  }
}
