import type { EntityJson, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { Resource } from '../access.ts';
import { type Code, Refusal } from '../errors.ts';
import { limits } from '../limits.ts';
import { type Cedar, instantiateCedar } from './cedar.ts';
import type { CedarContext } from './context.ts';
import { policySetDigest, readPolicySet } from './digest.ts';
import type { PolicySetDocument } from './document.ts';
import { makeParties, type Parties, type Principal, selectEntities } from './entities.ts';
import { type Answer, type Call, Evaluator } from './evaluator.ts';
import { type Narrow, readNarrow } from './narrow.ts';
import { type ActionModel, findAction, type SchemaModel, uidKey } from './schema.ts';
import { type Pair, type Scoped, settleScopes, takeOutScopes } from './scopes.ts';
import { buildSlice, type Labelled, type Slice, selectPolicies } from './slice.ts';
import { Recent } from './slots.ts';

/** A policy set that can be decided by. Only an engine makes one. */
export interface LoadedSet {
  readonly digest: string;
  readonly document: PolicySetDocument;
  readonly schema: SchemaModel;
}

/** One question to the policies. */
export interface Question {
  readonly principal: Principal;
  /** Id of a Cedar action of the schema. */
  readonly action: string;
  readonly resource: Resource;
  readonly context: CedarContext;
}

/** Whose word it was: the published set, everything that only takes away, or what the verifier itself forbids. */
export type Layer = 'admin' | 'limits' | 'builtin';

/** A policy that decided. */
export interface Reason {
  readonly layer: Layer;
  /** In the admin set the author's id; in the limits `<source>#<position>`, never what the policy calls itself; `assurance_too_low`. */
  readonly policyId: string;
  /** The policy's `@reason`: only of the admin layer, whose authors are trusted to be quoted. */
  readonly reason?: string;
  /** The policy's `@assurance`: only of the admin layer. */
  readonly assurance?: string;
}

/**
 * Why there was no clean answer. Always a deny. Codes: `policy_unavailable`, `action_unknown`, `entity_missing`,
 * `entity_invalid`, `value_invalid`, `json_invalid`, `policy_invalid`, `policy_not_valid`, `policy_quarantined`,
 * `policy_error`, `request_not_in_schema`, `engine_failed`.
 */
export interface Fault {
  readonly layer: Layer;
  readonly code: Code;
  readonly policyId?: string;
}

/** The answer of one layer. */
export interface Verdict {
  readonly allowed: boolean;
  /** Policies that decided: the permits of an allow, the forbids of a deny. Empty where nothing permitted. */
  readonly reasons: readonly Reason[];
  readonly errors: readonly Fault[];
}

/** Cedar, held so that what goes wrong is a deny. */
export interface Engine {
  /**
   * Reads a policy set, builds it anew and checks that Cedar parses it. The same document object is read once, and
   * later changes to it have no effect. Does NOT compare the digest with anything: the caller does (`set.digest`).
   *
   * @throws {Refusal} `policy_set_too_large`, `policy_invalid`, `policy_too_deep`, `json_invalid`, `policy_quarantined`,
   *   `engine_failed`.
   */
  load(document: PolicySetDocument): LoadedSet;
  /**
   * Reads the `forbid`s of one source (a block, an agent's limits, a route) and validates them against the set's
   * schema. Results are kept by digest, a bounded number of them.
   *
   * @param source whose limits these are, as it shall appear in {@link Reason.policyId}.
   * @throws {Refusal} `narrow_too_large`, `narrow_not_forbid`, `policy_invalid`, `policy_too_deep`, `json_invalid`,
   *   `policy_not_valid`, `policy_quarantined`, `engine_failed`.
   */
  validateNarrow(set: LoadedSet, source: string, policies: readonly unknown[]): Narrow;
  /** Asks the admin set. Never throws; whatever is not a clean allow is a deny. */
  decide(set: LoadedSet, question: Question): Verdict;
  /**
   * Asks the limits: permit all, and every `forbid` given. Allowed where none is given or none covers the action.
   * Never throws.
   */
  limits(set: LoadedSet, narrows: readonly Narrow[], question: Question): Verdict;
}

interface OwnSet extends LoadedSet {
  readonly policies: readonly Labelled[];
  /** By action: the policies that cover it. */
  readonly scoped: Map<string, readonly Scoped[]>;
  /** By action and by whose `in` holds; `none` where no policy is left. */
  readonly slices: Recent<Slice | 'none'>;
}

/**
 * Makes an engine with a cedar-wasm instance of its own (20 ms, then a slow first call: warm it at start).
 *
 * @param instantiate makes that instance, and each one that replaces it after a trap.
 */
export function createEngine(instantiate: () => Cedar = instantiateCedar): Engine {
  return new CedarEngine(new Evaluator(instantiate));
}

class CedarEngine implements Engine {
  readonly #evaluator: Evaluator;
  readonly #byDocument = new WeakMap<PolicySetDocument, OwnSet>();
  readonly #byDigest = new Recent<OwnSet>(limits.maxLoadedSets);
  readonly #own = new WeakMap<LoadedSet, OwnSet>();
  readonly #narrows = new Recent<Narrow>(limits.maxCachedNarrows);
  readonly #limitSlices = new Recent<Slice | 'none'>(limits.maxPreparsed);
  /** The question asked last: admin set and limits are asked the same one, one after the other. */
  #asked: { readonly question: Question; readonly set: LoadedSet; readonly parties: Parties } | undefined;

  constructor(evaluator: Evaluator) {
    this.#evaluator = evaluator;
  }

  load(given: PolicySetDocument): LoadedSet {
    const known = this.#byDocument.get(given);
    if (known !== undefined) return known;
    const { document, schema } = readPolicySet(given);
    const digest = policySetDigest(document);
    const set = this.#byDigest.get(digest) ?? this.#make(digest, document, schema);
    this.#byDigest.set(digest, set);
    this.#byDocument.set(given, set);
    return set;
  }

  #make(digest: string, document: PolicySetDocument, schema: SchemaModel): OwnSet {
    this.#evaluator.checkSet(digest, document.policies, document.schema);
    const policies = Object.entries(document.policies).map(([policyId, policy]) => ({ policyId, policy }));
    const set: OwnSet = {
      digest,
      document,
      schema,
      policies,
      scoped: new Map(),
      slices: new Recent(limits.maxPreparsed),
    };
    this.#own.set(set, set);
    return set;
  }

  validateNarrow(set: LoadedSet, source: string, policies: readonly unknown[]): Narrow {
    const narrow = readNarrow(set.digest, source, policies);
    const known = this.#narrows.get(narrow.key);
    if (known !== undefined) return known;
    const record = Object.create(null) as Record<string, PolicyJson>;
    for (const [index, { policy }] of narrow.policies.entries()) record[`n${String(index)}`] = policy;
    if (narrow.policies.length > 0) this.#evaluator.validate(narrow.key, record, set.document.schema);
    this.#narrows.set(narrow.key, narrow);
    return narrow;
  }

  decide(set: LoadedSet, question: Question): Verdict {
    return this.#answer('admin', set, question, (own, action, pair) => {
      const scoped = scopedPolicies(own, action);
      const held = settleScopes(scoped, pair);
      const key = `${question.action}\n${held}`;
      const known = own.slices.get(key);
      if (known !== undefined) return known === 'none' ? null : known;
      const selected = scoped.filter((_, index) => held[index] === '1').map(({ settled }) => settled);
      const base = `${own.digest}\n${held}`;
      const slice = selected.length === 0 ? null : buildSlice(base, own.schema, action, selected, false);
      own.slices.set(key, slice ?? 'none');
      return slice;
    });
  }

  limits(set: LoadedSet, narrows: readonly Narrow[], question: Question): Verdict {
    if (narrows.every(({ policies }) => policies.length === 0)) return clear;
    return this.#answer('limits', set, question, (own, action) => {
      const base = narrows.map(({ key }) => key).join('\n');
      const key = `${own.digest}\n${base}\n${question.action}`;
      const known = this.#limitSlices.get(key);
      if (known !== undefined) return known === 'none' ? null : known;
      if (narrows.some((narrow) => narrow.setDigest !== own.digest)) {
        throw new Refusal('policy_not_valid', 'limits were validated against another schema');
      }
      const selected = selectPolicies(
        own.schema,
        action,
        narrows.flatMap(({ policies }) => policies),
      );
      const slice = selected.length === 0 ? null : buildSlice(base, own.schema, action, selected, true);
      this.#limitSlices.set(key, slice ?? 'none');
      return slice;
    });
  }

  #answer(
    layer: Layer,
    set: LoadedSet,
    question: Question,
    findSlice: (own: OwnSet, action: ActionModel, pair: Pair) => Slice | null,
  ): Verdict {
    let parties: Parties;
    let entities: EntityJson[];
    let context: Call['context'];
    let slice: Slice | null;
    try {
      const own = this.#own.get(set);
      if (own === undefined)
        throw new Refusal('policy_unavailable', 'policy set was not loaded by this engine');
      const action = findAction(own.schema, question.action);
      if (action === undefined) throw new Refusal('action_unknown', 'action is not in the schema');
      parties = this.#partiesOf(own, question);
      slice = findSlice(own, action, parties);
      if (slice === null) return layer === 'limits' ? clear : { allowed: false, reasons: [], errors: [] };
      entities = selectEntities(slice.reads, parties, question.context);
      context = question.context.pick(slice.reads.context);
    } catch (error) {
      return denied(layer, error instanceof Refusal ? error.code : 'engine_failed');
    }
    const answer = this.#evaluator.ask(slice.key, slice, {
      principal: parties.principal.uid as { type: string; id: string },
      resource: parties.resource.uid as { type: string; id: string },
      context,
      entities,
    });
    return verdict(layer, slice, answer);
  }

  #partiesOf(set: LoadedSet, question: Question): Parties {
    if (this.#asked?.question === question && this.#asked.set === set) return this.#asked.parties;
    const parties = makeParties(set.schema, question.principal, question.resource);
    this.#asked = { question, set, parties };
    return parties;
  }
}

function scopedPolicies(own: OwnSet, action: ActionModel): readonly Scoped[] {
  const key = uidKey(action);
  const known = own.scoped.get(key);
  if (known !== undefined) return known;
  const scoped = selectPolicies(own.schema, action, own.policies).map(takeOutScopes);
  own.scoped.set(key, scoped);
  return scoped;
}

const clear: Verdict = { allowed: true, reasons: [], errors: [] };

function denied(layer: Layer, code: Code): Verdict {
  return { allowed: false, reasons: [], errors: [{ layer, code }] };
}

function verdict(layer: Layer, slice: Slice, answer: Answer): Verdict {
  if (answer.fault !== null) {
    const { code, erring } = answer.fault;
    if (erring.length === 0) return denied(layer, code);
    const errors = erring.map((id) => fault(layer, code, slice.labels.get(id)));
    return { allowed: false, reasons: [], errors };
  }
  const reasons: Reason[] = [];
  for (const id of [...answer.determining].sort(byPosition)) {
    const label = slice.labels.get(id);
    if (label !== undefined) reasons.push(reasonOf(layer, label));
    // The permit-all of the limits has no label; any other id is not ours.
    else if (layer === 'admin' || id !== 'all') return denied(layer, 'engine_failed');
  }
  return { allowed: answer.allowed, reasons, errors: [] };
}

/** Cedar names policies in no particular order; a receipt names them in the set's. */
function byPosition(one: string, other: string): number {
  return Number(one.slice(1)) - Number(other.slice(1));
}

function fault(layer: Layer, code: Code, label: Labelled | undefined): Fault {
  return label === undefined ? { layer, code } : { layer, code, policyId: label.policyId };
}

function reasonOf(layer: Layer, label: Labelled): Reason {
  const { policyId, policy } = label;
  if (layer !== 'admin' || policy.annotations === undefined) return { layer, policyId };
  const { reason, assurance } = policy.annotations;
  return {
    layer,
    policyId,
    ...(typeof reason === 'string' && { reason }),
    ...(typeof assurance === 'string' && { assurance }),
  };
}
