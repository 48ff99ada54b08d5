import { readdirSync, readFileSync } from 'node:fs';
import {
  type CaseEntity,
  compilePolicySet,
  lintPolicySet,
  type PolicyCase,
  runCases,
} from '@bulla/verifier/authoring';
import { describe, expect, test } from 'vitest';

const root = new URL('../../../policies/', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');
const base = read('schema.cedarschema');

describe.each(readdirSync(new URL('sets/', root)))('the shipped set %s', async (name) => {
  const document = await compilePolicySet({
    policyText: read(`sets/${name}/policy.cedar`),
    schemaText: `${base}\n${read(`sets/${name}/schema.cedarschema`)}`,
  });
  const entities = JSON.parse(read(`sets/${name}/entities.json`)) as CaseEntity[];
  const cases = JSON.parse(read(`sets/${name}/cases.json`)) as PolicyCase[];
  const results = runCases(document, { entities, cases });

  test.each(results)('$name', (result) => {
    const row = cases.find((item) => item.name === result.name);
    expect(result).toMatchObject({
      passed: true,
      decision: row?.decision,
      policies: [...(row?.policies ?? [])].sort(),
    });
  });
  test('says why, in every policy', () => {
    for (const [id, policy] of Object.entries(document.policies)) {
      expect(policy.annotations?.['reason'], id).toMatch(/^[ -~]{10,120}$/u);
    }
  });
  test('has cases that allow and cases that deny, and each policy decides one', () => {
    expect(new Set(cases.map(({ decision }) => decision))).toEqual(new Set(['allow', 'deny']));
    const deciding = new Set(cases.flatMap(({ policies }) => policies));
    expect([...deciding].sort()).toEqual(Object.keys(document.policies).sort());
  });
  test('has nothing to lint while delegates may write nothing', () => {
    expect(lintPolicySet(document, { groups: [], attributes: [] })).toEqual([]);
  });
});
