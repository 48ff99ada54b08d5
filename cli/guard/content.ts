import { Refusal } from '@bulla/verifier';
import { isJsonObject, type Json, parseContentJson } from '@bulla/verifier/envelope';

/**
 * The content as JSON that every common parser reads in the same way. The API behind guard has a parser of its own: of two
 * equal names one takes the first, another the last.
 *
 * @throws {Refusal} `route_input_invalid` for what is not JSON in UTF-8, has two members of one name, or is nested too deeply.
 */
export function readJsonContent(content: Uint8Array): Json {
  try {
    return parseContentJson(content);
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause;
    throw new Refusal('route_input_invalid', `content: ${cause.message}`, { cause });
  }
}

/** A name without its case, as wide as any parser folds: to Go `ſ` is an `s`, and the Kelvin sign a `k`. */
export function folded(name: string): string {
  return name.toLowerCase().toUpperCase().toLowerCase();
}

/** RFC 6901 reference tokens of a pointer; undefined where it is none. */
export function parsePointer(pointer: string): readonly string[] | undefined {
  if (pointer === '') return [];
  if (!pointer.startsWith('/') || /~(?![01])/u.test(pointer)) return undefined;
  return pointer
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/**
 * What a pointer leads to. A member whose name differs in case alone is refused: some parsers (Go's among them) would take that
 * one for the one asked for.
 *
 * @throws {Refusal} `route_input_invalid` where it leads nowhere.
 */
export function resolvePointer(root: unknown, tokens: readonly string[]): unknown {
  let value = root;
  for (const token of tokens) value = step(value, token);
  return value;
}

function step(value: unknown, token: string): unknown {
  if (Array.isArray(value)) {
    const items: readonly unknown[] = value;
    if (/^(?:0|[1-9]\d{0,8})$/u.test(token) && Number(token) < items.length) return items[Number(token)];
  } else if (isJsonObject(value) && Object.hasOwn(value, token)) {
    const alike = Object.keys(value).filter((name) => folded(name) === folded(token));
    if (alike.length > 1) {
      throw new Refusal('route_input_invalid', 'content has members whose names differ in case alone');
    }
    return value[token];
  }
  throw new Refusal('route_input_invalid', 'content lacks a value that the route needs');
}
