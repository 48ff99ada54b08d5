import type {
  AuthorizationAnswer,
  CedarValueJson,
  CheckParseAnswer,
  EntityJson,
  PolicyJson,
  SchemaJson,
  TypeAndId,
  ValidationAnswer,
} from '@cedar-policy/cedar-wasm/nodejs';
import { type Code, Refusal } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Cedar } from './cedar.ts';
import type { Slice } from './slice.ts';
import { Recent, Slots } from './slots.ts';

/** One question to Cedar, everything in its own JSON form. */
export interface Call {
  readonly principal: TypeAndId;
  readonly resource: TypeAndId;
  readonly context: Readonly<Record<string, CedarValueJson>>;
  readonly entities: EntityJson[];
}

/** What Cedar said, under the slice's own ids. Anything but a clean answer has a `fault`. */
export interface Answer {
  readonly allowed: boolean;
  readonly determining: readonly string[];
  readonly fault: { readonly code: Code; readonly erring: readonly string[] } | null;
}

/** Longer questions are rare, and would fill the memory. */
const maxRememberedLength = 2048;

/** Stored under a name before anything else, and left there if a preparse fails: it allows nothing. */
const nothing = { staticPolicies: Object.create(null) as Record<string, PolicyJson> };

/**
 * Holds one cedar-wasm instance and what is preparsed in it. Everything is synchronous: between preparsing a slice
 * and deciding by it nothing else runs.
 *
 * A call that throws is a trap: the instance may be dead for good, so it is replaced, and what was asked about is
 * quarantined by its digest (both cheap for a set that never traps, and a set that does can only deny).
 */
export class Evaluator {
  #cedar: Cedar;
  readonly #instantiate: () => Cedar;
  readonly #policies: Slots<Slice>;
  readonly #schemas: Slots<SchemaJson<string>>;
  readonly #quarantine = new Recent<true>(limits.maxQuarantined);
  /**
   * Clean answers by slice and call. Cedar's answer is a function of these two and nothing else: it has no clock and no state,
   * and whatever of the trust log it may look at is in the call. So an answer cannot go stale; a changed group, attribute,
   * policy or minute is another key.
   */
  readonly #answers = new Recent<Answer>(limits.maxRememberedAnswers);

  constructor(instantiate: () => Cedar) {
    this.#cedar = instantiate();
    this.#instantiate = instantiate;
    this.#policies = new Slots('p', limits.maxPreparsed, (name, slice) => {
      this.#preparse(() => this.#cedar.preparsePolicySet(name, nothing));
      this.#preparse(() => this.#cedar.preparsePolicySet(name, { staticPolicies: { ...slice.policies } }));
    });
    this.#schemas = new Slots('s', limits.maxPreparsed, (name, schema) => {
      this.#preparse(() => this.#cedar.preparseSchema(name, schema));
    });
  }

  /**
   * Asks whether the slice's policies allow. Never throws: what goes wrong is a deny with a fault.
   *
   * @param owner digest that is quarantined if this call traps.
   */
  ask(owner: string, slice: Slice, call: Call): Answer {
    if (this.#quarantine.get(owner) === true) return faulty('policy_quarantined');
    const asked = JSON.stringify(call);
    if (asked.length > maxRememberedLength) return this.#evaluate(owner, slice, call);
    const key = `${slice.key}\n${asked}`;
    const known = this.#answers.get(key);
    if (known !== undefined) return known;
    const answer = this.#evaluate(owner, slice, call);
    if (answer.fault === null) this.#answers.set(key, answer);
    return answer;
  }

  #evaluate(owner: string, slice: Slice, call: Call): Answer {
    let answer: AuthorizationAnswer;
    try {
      const preparsedSchemaName = this.#schemas.hold(slice.schemaKey, slice.schema);
      const preparsedPolicySetId = this.#policies.hold(slice.key, slice);
      answer = this.#cedar.statefulIsAuthorized({
        principal: call.principal,
        action: slice.action,
        resource: call.resource,
        context: call.context,
        entities: call.entities,
        preparsedPolicySetId,
        preparsedSchemaName,
        validateRequest: true,
      });
    } catch (error) {
      if (error instanceof Refusal) return faulty(error.code);
      this.#recover(owner);
      return faulty('engine_failed');
    }
    if (answer.type !== 'success') return faulty('request_not_in_schema');
    const { decision, diagnostics } = answer.response;
    if (diagnostics.errors.length > 0) {
      return faulty(
        'policy_error',
        diagnostics.errors.map(({ policyId }) => policyId),
      );
    }
    return { allowed: decision === 'allow', determining: diagnostics.reason, fault: null };
  }

  /** @throws {Refusal} `policy_invalid`, `policy_quarantined`, `engine_failed`. */
  checkSet(owner: string, policies: Readonly<Record<string, PolicyJson>>, schema: SchemaJson<string>): void {
    this.#guarded(owner, () => {
      this.#preparse(() => this.#cedar.checkParseSchema(schema));
      this.#preparse(() => this.#cedar.checkParsePolicySet({ staticPolicies: { ...policies } }));
    });
  }

  /** Strict validation. @throws {Refusal} `policy_not_valid`, `policy_quarantined`, `engine_failed`. */
  validate(owner: string, policies: Readonly<Record<string, PolicyJson>>, schema: SchemaJson<string>): void {
    const answer = this.#guarded(
      owner,
      (): ValidationAnswer =>
        this.#cedar.validate({
          schema,
          policies: { staticPolicies: { ...policies } },
          validationSettings: { mode: 'strict' },
        }),
    );
    if (answer.type !== 'success' || answer.validationErrors.length > 0) {
      throw new Refusal('policy_not_valid', 'policy does not validate against the schema');
    }
  }

  #guarded<T>(owner: string, run: () => T): T {
    if (this.#quarantine.get(owner) === true) {
      throw new Refusal('policy_quarantined', 'these policies have failed the engine before');
    }
    try {
      return run();
    } catch (error) {
      if (error instanceof Refusal) throw error;
      this.#recover(owner);
      throw new Refusal('engine_failed', 'the policy engine failed and was replaced');
    }
  }

  /** cedar-wasm returns a parse failure, and then keeps what the name held before. */
  #preparse(run: () => CheckParseAnswer): void {
    if (run().type !== 'success') throw new Refusal('policy_invalid', 'policies or schema do not parse');
  }

  #recover(owner: string): void {
    this.#quarantine.set(owner, true);
    this.#policies.clear();
    this.#answers.clear();
    this.#schemas.clear();
    this.#cedar = this.#instantiate();
  }
}

function faulty(code: Code, erring: readonly string[] = []): Answer {
  return { allowed: false, determining: [], fault: { code, erring } };
}
