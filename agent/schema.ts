import { limits, type Ports, Refusal, systemPorts } from '@bulla/verifier';
import type { Allowance, Json } from '@bulla/verifier/envelope';
import {
  createEngine,
  type Engine,
  type LoadedSet,
  type PolicySetDocument,
  parsePolicySetDocument,
  policySetDigest,
} from '@bulla/verifier/policy';
import { readUrl } from './config.ts';
import { AgentError } from './errors.ts';
import { readCapped } from './http.ts';

/** A policy set, or the schema of one. */
export type SchemaSource = PolicySetDocument | PolicySetDocument['schema'];

/** Made for the first narrowing: an agent that never narrows never loads Cedar. */
let engine: Engine | undefined;
const loaded = new WeakMap<SchemaSource, LoadedSet>();

/** @throws {AgentError} `schema_unusable`. */
function load(source: SchemaSource): { readonly engine: Engine; readonly set: LoadedSet } {
  engine ??= createEngine();
  try {
    const set = loaded.get(source) ?? engine.load({ version: 1, policies: {}, schema: schemaOf(source) });
    loaded.set(source, set);
    return { engine, set };
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause;
    throw new AgentError('schema_unusable', `schema: ${cause.message}`, { reason: cause.code, cause });
  }
}

function schemaOf(source: SchemaSource): PolicySetDocument['schema'] {
  if (typeof source !== 'object' || source === null)
    throw new AgentError('schema_unusable', 'schema is not an object');
  return isDocument(source) ? source.schema : source;
}

/** The members of a schema are namespaces, and no namespace is a number. */
function isDocument(source: SchemaSource): source is PolicySetDocument {
  return typeof source['version'] === 'number';
}

/**
 * Validates `forbid`s as a verifier does that holds this schema.
 *
 * @throws {Refusal} as `Engine.validateNarrow`.
 * @throws {AgentError} `schema_unusable`.
 */
export function validateForbids(source: SchemaSource, forbids: readonly Json[]): void {
  const { engine: cedar, set } = load(source);
  cedar.validateNarrow(set, 'narrow', forbids);
}

/**
 * Refuses, by name, what the schema lacks, and what validates and yet lets nothing through: an attribute that none of the
 * actions has.
 *
 * @throws {AgentError} `narrowing_invalid`, `schema_unusable`.
 */
export function requireDeclared(
  source: SchemaSource,
  { actions, resources, limits: caps, pathPrefix }: Allowance,
): void {
  const { schema } = load(source).set;
  const actionIds = [...schema.actions.values()].map(({ id }) => id);
  requireNames('action', actions ?? [], actionIds);
  requireNames('type', resources?.map(({ type }) => type) ?? [], [...schema.entities.keys()]);
  const covers = (key: string): boolean => {
    const action = schema.actions.get(key);
    return action !== undefined && (actions?.includes(action.id) === true || action.memberOf.some(covers));
  };
  const contexts = [...schema.actions]
    .filter(([key]) => actions === undefined || covers(key))
    .flatMap(([, { appliesTo }]) => (appliesTo === null ? [] : [appliesTo.context.attributes]));
  for (const name of Object.keys(caps ?? {})) {
    if (contexts.some((attributes) => attributes.get(name)?.type.kind === 'Long')) continue;
    throw undeclared('an attribute of `max`');
  }
  if (pathPrefix === undefined) return;
  const hasPath = contexts.some((attributes) => {
    const request = attributes.get('request')?.type;
    return request?.kind === 'Record' && request.attributes.has('path');
  });
  if (!hasPath) throw undeclared('`request.path`');
}

const maxNamesTold = 20;

function requireNames(kind: string, asked: readonly string[], known: readonly string[]): void {
  if (asked.every((name) => known.includes(name))) return;
  const plain = known.filter((name) => /^[\x21-\x7e]{1,64}$/u.test(name));
  const told = [...new Set(plain)].sort().slice(0, maxNamesTold).join(', ');
  throw new AgentError('narrowing_invalid', `the schema has no such ${kind}, but ${told}`, {
    reason: 'policy_not_valid',
  });
}

function undeclared(what: string): AgentError {
  return new AgentError(
    'narrowing_invalid',
    `the schema declares ${what} in the context of none of these actions: nothing would be left`,
    { reason: 'policy_not_valid' },
  );
}

/** Where a policy set is fetched. */
export interface PolicySetLocation {
  /** Issuer identifier, with the account's path. */
  readonly issuer: string;
  /** `policy` of the envelope's root: `describeEnvelope(envelope).root.policy`. */
  readonly digest: string;
  /** Lets its holder read log and policies. The issuer is configured, and never taken from an envelope, because of it. */
  readonly readToken: string;
  readonly ports?: Pick<Ports, 'fetch'>;
  /** Default 10. */
  readonly timeoutSeconds?: number;
}

/**
 * Fetches the policy set that an envelope was minted under, and holds it to its digest.
 *
 * @throws {AgentError} `config_invalid`, `issuer_unreachable`, `schema_unusable`.
 */
export async function fetchPolicySet(location: PolicySetLocation): Promise<PolicySetDocument> {
  const { issuer, digest, readToken, ports = systemPorts, timeoutSeconds = 10 } = location;
  const base = readUrl(issuer, 'issuer');
  if (!/^sha-256:[A-Za-z0-9_-]{43}$/u.test(digest)) {
    throw new AgentError('schema_unusable', 'the digest is not that of a policy set');
  }
  const url = new URL(`${base.pathname.replace(/\/+$/u, '')}/policies/${digest}`, base);
  let text: string | undefined;
  let status: number;
  try {
    const response = await ports.fetch(url, {
      headers: { authorization: `Bearer ${readToken}`, accept: 'application/json' },
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutSeconds * 1000),
    });
    ({ status } = response);
    text = await readCapped(response, limits.maxPolicySetBytes);
  } catch (cause) {
    throw new AgentError('issuer_unreachable', `no answer from the issuer at \`${base.origin}\``, { cause });
  }
  if (status === 429 || status >= 500) {
    throw new AgentError('issuer_unreachable', `the issuer answered ${status}`, { status });
  }
  if (status !== 200 || text === undefined) {
    throw new AgentError('schema_unusable', 'the issuer did not give out the policy set', { status });
  }
  return readPolicySet(text, digest);
}

function readPolicySet(text: string, digest: string): PolicySetDocument {
  try {
    const document = parsePolicySetDocument(Buffer.from(text));
    if (policySetDigest(document) === digest) return document;
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause;
    throw new AgentError('schema_unusable', cause.message, { reason: cause.code, cause });
  }
  throw new AgentError('schema_unusable', 'the policy set is not the one of this digest');
}
