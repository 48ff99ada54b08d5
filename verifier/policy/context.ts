import type { CedarValueJson } from '@cedar-policy/cedar-wasm/nodejs';
import { Refusal } from '../errors.ts';
import { isPlainObject } from '../json.ts';
import type { LoadedSet } from './engine.ts';
import { findAction } from './schema.ts';
import { makeValue } from './values.ts';

/** Facts that only the verifier supplies, each where the schema declares it for the action. */
export interface ReservedContext {
  /** Absent when a person acts with a key of their own. */
  readonly agent?: { readonly id: string; readonly kind: string; readonly registeredBy: string };
  readonly key: 'logged' | 'unlogged';
  /** Blocks after the root. */
  readonly depth: number;
  /** Ids in the chain of delegation. */
  readonly actors: readonly string[];
  /** UTC; Monday is 1. */
  readonly time: {
    readonly epochSeconds: number;
    readonly hour: number;
    readonly minute: number;
    readonly weekday: number;
  };
  readonly request: { readonly method: string; readonly path: string };
}

/** Names that a route may not fill, and that mean the same in every schema. */
export const reservedContextNames: ReadonlySet<string> = new Set<keyof ReservedContext>([
  'agent',
  'key',
  'depth',
  'actors',
  'time',
  'request',
]);

declare const built: unique symbol;
/** A context in Cedar's JSON form. Only {@link buildContext} makes one. */
export type CedarContext = Readonly<Record<string, CedarValueJson>> & { readonly [built]: true };

/** The `time` of the reserved context. `now`: Unix time in seconds. */
export function timeContext(now: number): ReservedContext['time'] {
  const epochSeconds = Math.floor(now);
  const date = new Date(epochSeconds * 1000);
  return {
    epochSeconds,
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    weekday: date.getUTCDay() || 7,
  };
}

/**
 * Builds the context for one action from the schema of the set: each declared attribute by its declared type,
 * reserved ones from `reserved`, all others from `given`. An attribute that is not declared, is reserved, or is
 * required and missing is refused; of a reserved record, the members that the schema declares are taken.
 *
 * @throws {Refusal} `action_unknown`, `value_invalid`.
 */
export function buildContext(
  set: LoadedSet,
  action: string,
  reserved: ReservedContext,
  given: Readonly<Record<string, unknown>> = {},
): CedarContext {
  const declared = findAction(set.schema, action)?.appliesTo?.context.attributes;
  if (declared === undefined) throw new Refusal('action_unknown', 'action is not in the schema');
  if (!isPlainObject(given)) throw new Refusal('value_invalid', '`context` is not a plain object');
  for (const name of Object.keys(given)) {
    if (reservedContextNames.has(name) || !declared.has(name)) {
      throw new Refusal('value_invalid', '`context` has an unknown or reserved member');
    }
  }
  const facts = { ...reserved } as Readonly<Record<string, unknown>>;
  const context = Object.create(null) as Record<string, CedarValueJson>;
  for (const [name, attribute] of declared) {
    const isReserved = reservedContextNames.has(name);
    const source = isReserved ? facts : given;
    const value = Object.hasOwn(source, name) ? source[name] : undefined;
    if (value !== undefined) {
      context[name] = makeValue(attribute.type, value, `context.${name}`, isReserved ? 'drop' : 'refuse');
    } else if (attribute.required) {
      throw new Refusal('value_invalid', `\`context.${name}\` is missing`);
    }
  }
  return context as CedarContext;
}

const noKeys: Readonly<Record<string, never>> = {};

/** The part of a context that policies look at; null for all of it. */
export function pickContext(
  context: CedarContext,
  names: ReadonlySet<string> | null,
): CedarContext | Readonly<Record<string, never>> {
  if (names === null) return context;
  if (names.size === 0) return noKeys;
  const picked = Object.create(null) as Record<string, CedarValueJson>;
  for (const name of names) {
    const value = context[name];
    if (value !== undefined) picked[name] = value;
  }
  return picked as CedarContext;
}
