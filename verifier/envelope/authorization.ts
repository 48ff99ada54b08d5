import { Refusal } from '../errors.ts';
import { isJsonObject, type Json, type JsonObject } from '../json.ts';
import { limits } from '../limits.ts';
import { canonicalPath } from '../proof/target.ts';

/** What a client asks for (RFC 9396, `type: "bulla"`): an envelope limited to this. */
export interface AuthorizationDetail {
  readonly type: 'bulla';
  /** Ids of Cedar actions or action groups of the audience's schema. */
  readonly actions: readonly string[];
  /** These resources and whatever is in them; absent = any resource. */
  readonly resources?: readonly { readonly type: string; readonly id: string }[];
  /** Context attribute (Long) -> largest value. A request whose context lacks the attribute is outside the limit. */
  readonly limits?: Readonly<Record<string, number>>;
}

/** What a narrowing lets through: requests that fit every member given. At least one is. */
export interface Allowance extends Partial<Pick<AuthorizationDetail, 'actions' | 'resources' | 'limits'>> {
  /**
   * Paths under this one, as the verifier sees paths (`context.request.path`): `/orders` lets through `/orders` and what
   * begins with `/orders/`, never `/orders-old`; with a slash at its end, only what begins with it. Percent-escapes are
   * compared as the wire has them, hex digits in upper case; the query is not looked at.
   */
  readonly pathPrefix?: string;
}

const attributeName = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/u;
const entityType = /^[A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z_][A-Za-z0-9_]*){0,7}$/u;

const invalid = (message: string): Refusal => new Refusal('authorization_details_invalid', message);

/**
 * Reads `authorization_details` (the parsed JSON). Unknown types and members are refused, not skipped.
 *
 * @throws {Refusal} `authorization_details_invalid`.
 */
export function parseAuthorizationDetails(value: unknown): readonly AuthorizationDetail[] {
  const details = readList(value, limits.maxAuthorizationDetails, 'authorization_details');
  return details.map(readDetail);
}

function readDetail(value: unknown): AuthorizationDetail {
  if (!isJsonObject(value)) throw invalid('a detail is not an object');
  const { type, ...rest } = value;
  if (type !== 'bulla') throw invalid('`type` of a detail is not `bulla`');
  if ('pathPrefix' in rest) throw invalid('a detail has an unknown member');
  const { actions, ...allowance } = parseAllowance(rest);
  if (actions === undefined) throw invalid('`actions` is missing');
  return { type, actions, ...allowance };
}

/**
 * Reads an {@link Allowance}. Unknown members are refused, not skipped.
 *
 * @throws {Refusal} `authorization_details_invalid`; `request_target_invalid` for a prefix that no request's path can have.
 */
export function parseAllowance(value: unknown): Allowance {
  if (!isJsonObject(value)) throw invalid('a detail is not an object');
  const { actions, resources, limits: caps, pathPrefix, ...unknown } = value;
  if (Object.keys(unknown).length > 0) throw invalid('a detail has an unknown member');
  const allowance = {
    ...(actions !== undefined && {
      actions: readList(actions, limits.maxAuthorizationItems, 'actions').map((id) =>
        readText(id, 'an action'),
      ),
    }),
    ...(resources !== undefined && { resources: readResources(resources) }),
    ...(caps !== undefined && { limits: readCaps(caps) }),
    ...(pathPrefix !== undefined && { pathPrefix: canonicalPath(readText(pathPrefix, '`pathPrefix`')) }),
  };
  if (Object.keys(allowance).length === 0) throw invalid('nothing is named that shall be allowed');
  return allowance;
}

function readResources(value: unknown): { readonly type: string; readonly id: string }[] {
  const resources = readList(value, limits.maxAuthorizationItems, 'resources').map(readResource);
  if (new Set(resources.map(({ type }) => type)).size > limits.maxAuthorizationTypes) {
    throw invalid(`\`resources\` are of more than ${limits.maxAuthorizationTypes} types`);
  }
  return resources;
}

function readResource(value: unknown): { readonly type: string; readonly id: string } {
  if (!isJsonObject(value)) throw invalid('a resource is not an object');
  const { type, id, ...unknown } = value;
  if (Object.keys(unknown).length > 0) throw invalid('a resource has an unknown member');
  const name = readText(type, 'a resource type');
  if (!entityType.test(name)) throw invalid('a resource type is not a Cedar entity type');
  return { type: name, id: readText(id, 'a resource id') };
}

function readCaps(value: unknown): Readonly<Record<string, number>> {
  if (!isJsonObject(value)) throw invalid('`limits` is not an object');
  const entries = Object.entries(value);
  if (entries.length === 0 || entries.length > limits.maxAuthorizationLimits) {
    throw invalid(`\`limits\` does not have 1 to ${limits.maxAuthorizationLimits} members`);
  }
  for (const [name, cap] of entries) {
    if (!attributeName.test(name)) throw invalid('a name in `limits` is not an attribute name');
    if (!Number.isSafeInteger(cap)) throw invalid('a value in `limits` is not an integer');
  }
  return Object.fromEntries(entries) as Record<string, number>;
}

function readList(value: unknown, max: number, name: string): readonly unknown[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > max) {
    throw invalid(`\`${name}\` is not a list of 1 to ${max}`);
  }
  return value;
}

function readText(value: unknown, what: string): string {
  if (typeof value !== 'string' || value.length === 0 || value.length > 256) {
    throw invalid(`${what} is not a string of acceptable length`);
  }
  return value;
}

/**
 * Turns what was asked into narrowing (EST JSON): one `forbid … unless { <any of the details> }`, which takes away
 * everything that was not asked for and can give nothing. Nothing asked gives no policy. Takes what {@link parseAllowance} or
 * {@link parseAuthorizationDetails} has read.
 *
 * Does NOT check that the schema knows the actions, types and attributes: the engine does, and refuses what it does not know.
 */
export function narrowTo(details: readonly (Allowance | AuthorizationDetail)[]): readonly Json[] {
  if (details.length === 0) return [];
  return [
    {
      effect: 'forbid',
      principal: { op: 'All' },
      action: { op: 'All' },
      resource: { op: 'All' },
      conditions: [{ kind: 'unless', body: balanced('||', details.map(termOf)) }],
    },
  ];
}

/** The action comes first: Cedar's validator then skips the rest for actions that this detail is not about. */
function termOf({ actions, resources, limits: caps, pathPrefix }: Allowance): Json {
  const terms: Json[] = [];
  if (actions !== undefined) {
    const ids = actions.map((id) => ({ type: 'Action', id }));
    terms.push(within('action', ids));
  }
  if (resources !== undefined) terms.push(within('resource', resources));
  for (const [attr, cap] of Object.entries(caps ?? {})) {
    const bounded = { '<=': { left: { '.': { left: context, attr } }, right: { Value: cap } } };
    terms.push(operator('&&', { has: { left: context, attr } }, bounded));
  }
  if (pathPrefix !== undefined) terms.push(underPath(pathPrefix));
  return balanced('&&', terms);
}

const context = { Var: 'context' };

/** A `*` in a path stays a literal: in EST only the word `Wildcard` is one. */
function underPath(prefix: string): Json {
  const request = { '.': { left: context, attr: 'request' } };
  const path = { '.': { left: request, attr: 'path' } };
  const there = operator(
    '&&',
    { has: { left: context, attr: 'request' } },
    { has: { left: request, attr: 'path' } },
  );
  const folder = prefix.endsWith('/') ? prefix : `${prefix}/`;
  const below = { like: { left: path, pattern: [{ Literal: folder }, 'Wildcard'] } };
  if (folder === prefix) return operator('&&', there, below);
  return operator('&&', there, operator('||', operator('==', path, { Value: prefix }), below));
}

/** One set for each type: Cedar's strict validation refuses a set of several. */
function within(variable: string, entities: readonly { readonly type: string; readonly id: string }[]): Json {
  const types = [...new Set(entities.map(({ type }) => type))];
  const sets = types.map((wanted) =>
    entities
      .filter(({ type }) => type === wanted)
      .map(({ type, id }) => ({ Value: { __entity: { type, id } } })),
  );
  return balanced(
    '||',
    sets.map((set) => operator('in', { Var: variable }, { Set: set })),
  );
}

/** A chain of operators as a tree of logarithmic depth: the engine caps nesting (`maxPolicyDepth`). */
function balanced(name: string, terms: readonly Json[]): Json {
  const [only] = terms;
  if (terms.length === 1 && only !== undefined) return only;
  const middle = Math.ceil(terms.length / 2);
  return operator(name, balanced(name, terms.slice(0, middle)), balanced(name, terms.slice(middle)));
}

function operator(name: string, left: Json, right: Json): JsonObject {
  return { [name]: { left, right } };
}
