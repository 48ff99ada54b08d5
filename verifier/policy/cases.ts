import type { TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import type { Resource } from '../access.ts';
import { Refusal } from '../errors.ts';
import { buildContext, type ReservedContext, timeContext } from './context.ts';
import type { PolicySetDocument } from './document.ts';
import { createEngine, type Engine, type LoadedSet, type Verdict } from './engine.ts';
import { uidKey } from './schema.ts';

/** An entity of a test: parents are the direct ones. */
export interface CaseEntity extends TypeAndId {
  readonly attributes?: Readonly<Record<string, unknown>>;
  readonly parents?: readonly TypeAndId[];
}

/** One row of a policy set's tests. */
export interface PolicyCase {
  readonly name: string;
  readonly principal: TypeAndId;
  readonly action: string;
  readonly resource: TypeAndId;
  readonly context?: Readonly<Record<string, unknown>>;
  /** When the request is made, RFC 3339 UTC. Default: Monday 5 January 2026, noon. */
  readonly at?: string;
  /** Other facts that the verifier would fill in. Default: a logged key, no agent, no block after the root, no approvals. */
  readonly facts?: Partial<Omit<ReservedContext, 'time'>>;
  readonly decision: 'allow' | 'deny';
  /** Ids of exactly the policies that decide: the permits of an allow, the forbids of a deny (none: nothing permits). */
  readonly policies: readonly string[];
}

/** The cases of a policy set, and the entities they speak of. */
export interface PolicyCases {
  readonly entities: readonly CaseEntity[];
  readonly cases: readonly PolicyCase[];
}

/** What became of one case. */
export interface CaseResult {
  readonly name: string;
  readonly passed: boolean;
  readonly decision: 'allow' | 'deny';
  readonly policies: readonly string[];
  /** Codes where there was no clean answer. A case never passes then. */
  readonly errors: readonly string[];
}

/**
 * Asks a policy set each question of its tests, with the same engine that decides requests.
 *
 * @throws {Refusal} as `Engine.load`, and `case_invalid` where a case names an entity that is not listed.
 */
export function runCases(document: PolicySetDocument, tests: PolicyCases): readonly CaseResult[] {
  const engine = createEngine();
  const set = engine.load(document);
  const entities = new Map(tests.entities.map((entity) => [uidKey(entity), entity]));
  return tests.cases.map((item) => {
    const verdict = ask(engine, set, entities, item);
    const decision = verdict.allowed ? 'allow' : 'deny';
    const policies = verdict.reasons.map(({ policyId }) => policyId).sort();
    const errors = verdict.errors.map(({ code }) => code);
    const expected = [...item.policies].sort();
    return {
      name: item.name,
      passed:
        errors.length === 0 &&
        decision === item.decision &&
        policies.length === expected.length &&
        policies.every((id, index) => id === expected[index]),
      decision,
      policies,
      errors,
    };
  });
}

type Entities = ReadonlyMap<string, CaseEntity>;

const defaults: Omit<ReservedContext, 'time'> = {
  key: 'logged',
  depth: 0,
  actors: [],
  approvals: {},
  assurance: 'admin',
  request: { method: 'GET', path: '/' },
};

function ask(engine: Engine, set: LoadedSet, entities: Entities, item: PolicyCase): Verdict {
  const principal = find(entities, item.principal);
  const resource = find(entities, item.resource);
  const seconds = Date.parse(item.at ?? '2026-01-05T12:00:00Z') / 1000;
  if (Number.isNaN(seconds)) throw new Refusal('case_invalid', `case \`${item.name}\`: \`at\` is not a time`);
  try {
    return engine.decide(set, {
      principal: {
        type: principal.type,
        id: principal.id,
        attributes: principal.attributes ?? {},
        parents: ancestorsOf(entities, principal).map(({ type, id }) => ({ type, id })),
      },
      action: item.action,
      resource: { ...withAncestors(entities, resource), related: relatedTo(entities, resource) },
      context: buildContext(
        set,
        item.action,
        { ...defaults, ...item.facts, time: timeContext(seconds) },
        item.context,
      ),
    });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { allowed: false, reasons: [], errors: [{ layer: 'admin', code: error.code }] };
  }
}

function asResource({ type, id, attributes }: CaseEntity): Resource {
  return attributes === undefined ? { type, id } : { type, id, attributes };
}

function withAncestors(entities: Entities, entity: CaseEntity): Resource {
  return { ...asResource(entity), ancestors: ancestorsOf(entities, entity).map(asResource) };
}

/** What a route would have to look up: every listed entity that an attribute refers to, and so on. */
function relatedTo(entities: Entities, resource: CaseEntity): readonly Resource[] {
  const above = [resource, ...ancestorsOf(entities, resource)];
  const found = new Map(above.map((entity) => [uidKey(entity), entity]));
  for (const entity of found.values()) {
    for (const value of Object.values(entity.attributes ?? {}).flat()) {
      const { type, id } = (value ?? {}) as { readonly type?: unknown; readonly id?: unknown };
      if (typeof type !== 'string' || typeof id !== 'string') continue;
      const other = entities.get(uidKey({ type, id }));
      if (other !== undefined) found.set(uidKey(other), other);
    }
  }
  return [...found.values()].slice(above.length).map((entity) => withAncestors(entities, entity));
}

function ancestorsOf(entities: Entities, entity: CaseEntity): readonly CaseEntity[] {
  const found = new Map<string, CaseEntity>();
  const open = [...(entity.parents ?? [])];
  for (const next of open) {
    const key = uidKey(next);
    if (found.has(key)) continue;
    const ancestor = find(entities, next);
    found.set(key, ancestor);
    open.push(...(ancestor.parents ?? []));
  }
  return [...found.values()];
}

function find(entities: Entities, uid: TypeAndId): CaseEntity {
  const entity = entities.get(uidKey(uid));
  if (entity === undefined) throw new Refusal('case_invalid', `no entity \`${uid.type}::${uid.id}\``);
  return entity;
}
