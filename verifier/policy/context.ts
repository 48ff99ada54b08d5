import type { CedarValueJson } from '@cedar-policy/cedar-wasm/nodejs';
import { Refusal } from '../errors.ts';
import { isPlainObject } from '../json.ts';
import type { Assurance } from '../log/records.ts';
import type { LoadedSet } from './engine.ts';
import { findAction, type RecordType, type Type } from './schema.ts';
import { makeValue } from './values.ts';

/** Facts that only the verifier supplies, each where the schema declares it for the action. */
export interface ReservedContext {
  /** Absent when a person acts with a key of their own. */
  readonly agent?: { readonly id: string; readonly kind: string; readonly registeredBy: string } | undefined;
  /** How the holders' keys are known, the weakest of first and last. */
  readonly key: 'logged' | 'federated' | 'unlogged' | 'vouched';
  /** Claims of the outside token that are text, booleans or whole numbers, as text; absent unless the root is federated. */
  readonly federated?: Readonly<Record<string, string>> | undefined;
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
  /** Distinct people who approved this request, by protected group; a group that is not here counts 0. */
  readonly approvals: Readonly<Record<string, number>>;
  /** By whose word the people of the chain have their keys, the weakest: `delegate`, `sponsor`, `login` or `admin`. */
  readonly assurance: Assurance;
}

/** Names that a route may not fill, and that mean the same in every schema. */
export const reservedContextNames: ReadonlySet<string> = new Set<keyof ReservedContext>([
  'agent',
  'key',
  'federated',
  'depth',
  'actors',
  'time',
  'request',
  'approvals',
  'assurance',
]);

type Values = Readonly<Record<string, CedarValueJson>>;

/** What the route gave is checked at once; what the verifier fills in is made when it is read. */
class BuiltContext {
  /** What the route gave, in Cedar's JSON form. The rest names no entities. */
  readonly given: Values;
  readonly #declared: RecordType['attributes'];
  readonly #reserved: ReservedContext;

  constructor(given: Values, declared: RecordType['attributes'], reserved: ReservedContext) {
    this.given = given;
    this.#declared = declared;
    this.#reserved = reserved;
  }

  /** The attributes with these names, as far as there are any; null for all. @throws {Refusal} `value_invalid`. */
  pick(names: ReadonlySet<string> | null): Values {
    if (names?.size === 0) return none;
    const picked = Object.create(null) as Record<string, CedarValueJson>;
    for (const name of names ?? this.#declared.keys()) {
      const value = isReserved(name) ? this.#fact(name) : this.given[name];
      if (value !== undefined) picked[name] = value;
    }
    return picked;
  }

  #fact(name: keyof ReservedContext): CedarValueJson | undefined {
    const type = this.#declared.get(name)?.type;
    const fact = type === undefined ? undefined : this.#reserved[name];
    if (type === undefined || fact === undefined) return undefined;
    if (name === 'approvals') return countsOf(type, this.#reserved.approvals);
    return makeValue(type, fact, `context.${name}`, 'drop');
  }
}

/** A count for every group that the schema declares. A name is looked up in the record's own members alone. */
function countsOf(type: Type, counts: ReservedContext['approvals']): CedarValueJson {
  const groups = type.kind === 'Record' ? [...type.attributes.keys()] : [];
  const filled = Object.create(null) as Record<string, unknown>;
  for (const group of groups) filled[group] = Object.hasOwn(counts, group) ? counts[group] : 0;
  return makeValue(type, filled, 'context.approvals', 'drop');
}

const none: Values = Object.freeze(Object.create(null) as Values);

/** The context of one question. Only {@link buildContext} makes one. */
export type CedarContext = BuiltContext;

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
  const values = Object.create(null) as Record<string, CedarValueJson>;
  for (const [name, attribute] of declared) {
    if (isReserved(name)) {
      if (attribute.required && reserved[name] === undefined) throw missing(name);
      continue;
    }
    const value = Object.hasOwn(given, name) ? given[name] : undefined;
    if (value !== undefined) values[name] = makeValue(attribute.type, value, `context.${name}`);
    else if (attribute.required) throw missing(name);
  }
  return new BuiltContext(values, declared, reserved);
}

/** Groups whose approvals the schema declares for an action: none where it takes no approvals at all (undefined). */
export function approvalGroups(set: LoadedSet, action: string): readonly string[] | undefined {
  const declared = findAction(set.schema, action)?.appliesTo?.context.attributes.get('approvals')?.type;
  return declared?.kind === 'Record' ? [...declared.attributes.keys()] : undefined;
}

function isReserved(name: string): name is keyof ReservedContext {
  return reservedContextNames.has(name);
}

function missing(name: string): Refusal {
  return new Refusal('value_invalid', `\`context.${name}\` is missing`);
}
