import { Refusal } from '../errors.ts';
import { isJsonObject, type Json, type JsonObject } from '../json.ts';
import type { PublicJwk } from '../keys.ts';

/** Narrows one JSON value. @throws {Refusal} `entry_malformed`. */
export type Field<T> = (value: Json) => T;

export function malformed(problem: string, cause?: unknown): Refusal {
  return new Refusal('entry_malformed', problem, cause === undefined ? undefined : { cause });
}

export function text(pattern: RegExp): Field<string> {
  return (value) => {
    if (typeof value !== 'string' || !pattern.test(value)) throw malformed('not text of the expected form');
    return value;
  };
}

export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER): Field<number> {
  return (value) => {
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) {
      throw malformed('not an integer in range');
    }
    return value;
  };
}

export const flag: Field<boolean> = (value) => {
  if (typeof value !== 'boolean') throw malformed('not a boolean');
  return value;
};

export function oneOf<const T extends string>(...words: readonly T[]): Field<T> {
  return (value) => {
    const word = words.find((candidate) => candidate === value);
    if (word === undefined) throw malformed('not one of the known words');
    return word;
  };
}

export function list<T>(item: Field<T>, max: number): Field<readonly T[]> {
  return (value) => {
    if (!Array.isArray(value) || value.length > max) throw malformed('not a list, or too long');
    return value.map((entry: Json) => item(entry));
  };
}

/** A list of texts in which none is repeated. */
export function textSet(item: Field<string>, max: number): Field<readonly string[]> {
  const read = list(item, max);
  return (value) => {
    const items = read(value);
    if (new Set(items).size !== items.length) throw malformed('repeated list item');
    return items;
  };
}

export const json: Field<Json> = (value) => value;

export const jsonObject: Field<JsonObject> = (value) => {
  if (!isJsonObject(value)) throw malformed('not an object');
  return value;
};

/** An object with exactly these members, those of `optional` being free to be absent. */
export function shape<R extends object, O extends object = object>(
  required: { readonly [K in keyof R]: Field<R[K]> },
  optional?: { readonly [K in keyof O]: Field<O[K]> },
): Field<R & Partial<O>> {
  const fields = new Map<string, Field<unknown>>(Object.entries({ ...required, ...optional }));
  const needed = Object.keys(required);
  return (value) => {
    if (!isJsonObject(value)) throw malformed('not an object');
    for (const name of needed) {
      if (!Object.hasOwn(value, name)) throw malformed(`member \`${name}\` is missing`);
    }
    const result: Record<string, unknown> = {};
    for (const [name, member] of Object.entries(value)) {
      const field = fields.get(name);
      if (field === undefined) throw malformed('unknown member');
      result[name] = at(name, () => field(member));
    }
    return result as R & Partial<O>;
  };
}

function at<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new Refusal(error.code, `\`${name}\`: ${error.message}`);
  }
}

export const hash: Field<string> = text(/^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/u);
const coordinate = hash;
const okp: Field<PublicJwk> = shape({ kty: oneOf('OKP'), crv: oneOf('Ed25519'), x: coordinate });
const ec: Field<PublicJwk> = shape({ kty: oneOf('EC'), crv: oneOf('P-256'), x: coordinate, y: coordinate });

/** A public JWK with exactly the members of RFC 7638. Its point is checked where the key enters the state. */
export const publicJwk: Field<PublicJwk> = (value) =>
  isJsonObject(value) && value['kty'] === 'EC' ? ec(value) : okp(value);
