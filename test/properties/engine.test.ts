import type { Resource } from '@bulla/verifier';
import { createEngine, instantiateCedar, type Principal } from '@bulla/verifier/policy';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asked, forbids, named, sets, uid } from '../kit/arbitraries.ts';
import { type Asking, type Policy, policy, question, schema, setOf } from '../kit/policy.ts';

const engine = createEngine();

describe('law 1: adding any forbid never turns a deny into an allow', () => {
  test('in the admin set', () => {
    fc.assert(
      fc.property(sets, forbids, asked, (policies, more, asking) => {
        const before = engine.load(setOf(named(policies)));
        const after = engine.load(setOf(named([...policies, ...more])));
        const allowedAfter = engine.decide(after, question(after, asking)).allowed;
        expect(allowedAfter && !engine.decide(before, question(before, asking)).allowed).toBe(false);
      }),
      { numRuns: 400 },
    );
  });
  test('in the limits, whatever is not valid being refused', () => {
    const set = engine.load(setOf({ any: policy('permit') }));
    const narrowOf = (policies: readonly Policy[], source: string) => {
      try {
        return [engine.validateNarrow(set, source, policies)];
      } catch {
        return undefined;
      }
    };
    fc.assert(
      fc.property(forbids, forbids, asked, (some, more, asking) => {
        const first = narrowOf(some, 'agent');
        const second = narrowOf(more, 'block');
        fc.pre(first !== undefined && second !== undefined);
        const before = engine.limits(set, first ?? [], question(set, asking)).allowed;
        const after = engine.limits(
          set,
          [...(first ?? []), ...(second ?? [])],
          question(set, asking),
        ).allowed;
        expect(after && !before).toBe(false);
      }),
      { numRuns: 300 },
    );
  });
});

describe('a slice answers as the whole', () => {
  const cedar = instantiateCedar();
  const entityOf = (of: Resource & Partial<Principal>) => ({
    uid: uid(of.type, of.id),
    attrs: Object.fromEntries(
      Object.entries(of.attributes ?? {}).map(([name, value]) => [name, typed(value)]),
    ),
    parents: [...(of.parents ?? []), ...(of.ancestors ?? [])].map(({ type, id }) => uid(type, id)),
  });
  const typed = (value: unknown): never => {
    if (Array.isArray(value)) return value.map(typed) as never;
    return (
      typeof value === 'object' && value !== null && 'type' in value ? { __entity: value } : value
    ) as never;
  };
  const whole = (policies: readonly Policy[], asking: Required<Asking>) => {
    const { resource: file, principal: alice } = asking;
    return cedar.isAuthorized({
      principal: uid('User', 'alice'),
      action: uid('Action', asking.action),
      resource: uid('File', 'plan'),
      context: Object.fromEntries(
        Object.entries(asking.context).map(([name, value]) => [name, typed(value)]),
      ),
      schema,
      validateRequest: true,
      policies: { staticPolicies: named(policies) },
      entities: [alice, file, ...(file.ancestors ?? []), ...(file.related ?? [])].map(entityOf),
    });
  };

  test('with every policy, entity, group, attribute and the whole schema given', () => {
    const seen = { allow: 0, deny: 0, error: 0 };
    fc.assert(
      fc.property(sets, asked, (policies, asking) => {
        const answer = whole(policies, asking);
        if (answer.type !== 'success') throw new Error(JSON.stringify(answer.errors));
        const set = engine.load(setOf(named(policies)));
        const verdict = engine.decide(set, question(set, asking));
        const { decision, diagnostics } = answer.response;
        if (diagnostics.errors.length > 0) {
          seen.error += 1;
          expect(verdict.allowed).toBe(false);
          expect(new Set(verdict.errors.map(({ policyId }) => policyId))).toEqual(
            new Set(diagnostics.errors.map(({ policyId }) => policyId)),
          );
        } else {
          seen[decision] += 1;
          expect(verdict.errors).toEqual([]);
          expect(verdict.allowed).toBe(decision === 'allow');
          expect(verdict.reasons.map(({ policyId }) => policyId)).toEqual(diagnostics.reason.toSorted());
        }
      }),
      { numRuns: 1500 },
    );
    expect(Math.min(seen.allow, seen.deny, seen.error)).toBeGreaterThan(50);
  });
});
