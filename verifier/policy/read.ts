import { Refusal } from '../errors.ts';

/** The value as a plain object: made by JSON.parse, a literal, or without a prototype. @throws {Refusal} `policy_invalid`. */
export function readObject(given: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) {
    const prototype: unknown = Object.getPrototypeOf(given);
    if (prototype === null || prototype === Object.prototype) return given as Record<string, unknown>;
  }
  throw new Refusal('policy_invalid', `${what} is not an object`);
}

/** @throws {Refusal} `policy_invalid`. */
export function readArray(given: unknown, what: string): readonly unknown[] {
  if (Array.isArray(given)) return given as unknown[];
  throw new Refusal('policy_invalid', `${what} is not an array`);
}

/** @throws {Refusal} `policy_invalid`. */
export function readText(given: unknown, what: string): string {
  if (typeof given === 'string') return given;
  throw new Refusal('policy_invalid', `${what} is not a string`);
}

/** A Cedar name, with or without a namespace (`Shop::Order`). @throws {Refusal} `policy_invalid`. */
export function readName(given: unknown, what: string): string {
  if (typeof given === 'string' && /^[A-Za-z_]\w*(?:::[A-Za-z_]\w*)*$/u.test(given)) return given;
  throw new Refusal('policy_invalid', `${what} is not a name`);
}

/** Exactly these own members, and at most the optional ones. @throws {Refusal} `policy_invalid`. */
export function exactMembers(
  object: Readonly<Record<string, unknown>>,
  required: readonly string[],
  optional: readonly string[] = [],
): void {
  for (const name of required) {
    if (!Object.hasOwn(object, name)) throw new Refusal('policy_invalid', `no \`${name}\``);
  }
  for (const name of Object.keys(object)) {
    if (!required.includes(name) && !optional.includes(name)) {
      throw new Refusal('policy_invalid', 'unknown member');
    }
  }
}
