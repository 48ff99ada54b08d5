import { Refusal } from '@bulla/verifier';
import {
  type AuthorizationDetail,
  type Json,
  narrowTo,
  parseAuthorizationDetails,
  parseJson,
} from '@bulla/verifier/envelope';
import type { Engine, LoadedSet, PolicySetDocument } from '@bulla/verifier/policy';
import { IssuerRefusal } from '../errors.ts';

/** What a client asked for, and what its credential is limited to. */
export interface Asked {
  /** `authorization_details`, as sent. */
  readonly authorizationDetails: string | undefined;
  /** `scope` of the request; empty: nothing was asked. */
  readonly scope: readonly string[];
  /** `scope` of the outside token that is exchanged; undefined: it says nothing about scopes. */
  readonly tokenScope: readonly string[] | undefined;
}

/** The `forbid` policies that hold an envelope to what was asked. */
export interface Limits {
  /** Echoed in the response as granted. Absent where nothing was asked. */
  readonly granted?: readonly AuthorizationDetail[];
  /** Actions that the scopes leave, for the response. Absent where there are no scopes. */
  readonly scope?: string;
  readonly narrow: readonly Json[];
}

/**
 * Turns what was asked into narrowing: `authorization_details` (RFC 9396) of type `bulla`, and scopes, whose names are actions of
 * the schema. Whatever they say, the result only forbids (law 1). A name that the audience's schema does not know is refused
 * here, where the client can be told; scopes of an outside token that are no actions are passed over, but one must be.
 *
 * @throws {IssuerRefusal} `details_refused`, `scope_refused`.
 */
export function readLimits(asked: Asked, engine: Engine, set: LoadedSet): Limits {
  const granted = readDetails(asked.authorizationDetails, set.document);
  const scope = readScope(asked, actionsOf(set.document));
  const narrow = [...narrowTo(granted), ...scopeLimits(scope ?? [])];
  requireValid(engine, set, narrow);
  return {
    ...(granted.length > 0 && { granted }),
    ...(scope !== undefined && { scope: scope.join(' ') }),
    narrow,
  };
}

function readDetails(text: string | undefined, document: PolicySetDocument): readonly AuthorizationDetail[] {
  if (text === undefined) return [];
  let details: readonly AuthorizationDetail[];
  try {
    details = parseAuthorizationDetails(parseJson(Buffer.from(text)));
  } catch (cause) {
    if (cause instanceof Refusal) throw refused(cause.message, cause);
    throw cause;
  }
  requireKnown(details, document);
  return details;
}

/** What is left of both scopes, where there is one. */
function readScope(
  { scope, tokenScope }: Asked,
  actions: ReadonlySet<string>,
): readonly string[] | undefined {
  const unknown = scope.find((name) => !actions.has(name));
  if (unknown !== undefined) {
    throw new IssuerRefusal('scope_refused', `no action \`${printable(unknown)}\` at this resource`);
  }
  const held = tokenScope?.filter((name) => actions.has(name));
  if (held === undefined) return scope.length === 0 ? undefined : scope;
  const left = scope.length === 0 ? held : scope.filter((name) => held.includes(name));
  if (left.length === 0) {
    throw new IssuerRefusal(
      'scope_refused',
      'scope of the subject token names no action that was asked for here',
    );
  }
  return left;
}

function scopeLimits(actions: readonly string[]): readonly Json[] {
  return actions.length === 0 ? [] : narrowTo([{ type: 'bulla', actions }]);
}

function requireKnown(details: readonly AuthorizationDetail[], document: PolicySetDocument): void {
  const actions = actionsOf(document);
  const types = new Set<string>();
  for (const [namespace, fragment] of Object.entries(document.schema)) {
    const prefix = namespace === '' ? '' : `${namespace}::`;
    for (const type of Object.keys(fragment.entityTypes)) types.add(`${prefix}${type}`);
  }
  for (const detail of details) {
    for (const action of detail.actions) {
      if (!actions.has(action)) throw refused(`no action \`${printable(action)}\` at this resource`);
    }
    for (const { type } of detail.resources ?? []) {
      if (!types.has(type)) throw refused(`no resource type \`${printable(type)}\` at this resource`);
    }
  }
}

/** The verifier asks for `Action::"…"`: actions of other namespaces cannot be asked for. */
function actionsOf({ schema }: PolicySetDocument): ReadonlySet<string> {
  return new Set(Object.keys(schema['']?.actions ?? {}));
}

function requireValid(engine: Engine, set: LoadedSet, narrow: readonly Json[]): void {
  if (narrow.length === 0) return;
  try {
    engine.validateNarrow(set, 'asked', narrow);
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause;
    throw refused(cause.message, cause);
  }
}

/** The client's own word, shown to that client alone: short, and only characters RFC 6749 lets into a description. */
function printable(text: string): string {
  return text.replaceAll(/[^\u0020\u0021\u0023-\u005b\u005d-\u007e]/gu, '?').slice(0, 64);
}

function refused(message: string, cause?: unknown): IssuerRefusal {
  return new IssuerRefusal('details_refused', `\`authorization_details\`: ${message}`, { cause });
}
