import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type CaseEntity,
  compilePolicySet,
  type PolicyCase,
  PolicyTextRefusal,
  runCases,
} from '@bulla/verifier/authoring';
import { describe, expect, test } from 'vitest';

// Apache-2.0, cedar-policy/cedar-integration-tests: the hand-written requests, through text, EST and our engine.
const root = join(
  process.env['BULLA_VECTORS'] ?? new URL('../../../shared/vectors', import.meta.url).pathname,
  'cedar/integration-tests',
);
const present = existsSync(root);

interface Uid {
  readonly type: string;
  readonly id: string;
}
interface CedarFile {
  readonly policies: string;
  readonly entities: string;
  readonly schema: string;
  readonly requests: readonly {
    readonly description: string;
    readonly principal: Uid;
    readonly action: Uid;
    readonly resource: Uid;
    readonly context: Readonly<Record<string, unknown>>;
    readonly decision: 'allow' | 'deny';
    readonly reason: readonly string[];
  }[];
}

const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** Cedar's typed JSON as the plain values that our engine types itself. */
function plain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(plain);
  const { __entity, __extn, ...members } = value as Record<string, unknown>;
  if (__entity !== undefined) return __entity;
  if (__extn !== undefined) return (__extn as { arg: string }).arg;
  return Object.fromEntries(Object.entries(members).map(([name, item]) => [name, plain(item)]));
}

function readEntities(path: string): CaseEntity[] {
  const given = JSON.parse(read(path)) as { uid: Uid; attrs: Record<string, unknown>; parents: Uid[] }[];
  return given.map(({ uid, attrs, parents }) => ({
    ...uid,
    attributes: plain(attrs) as Record<string, unknown>,
    parents: parents.map((parent) => plain(parent) as Uid),
  }));
}

function listFiles(): string[] {
  return readdirSync(join(root, 'tests')).flatMap((folder) =>
    readdirSync(join(root, 'tests', folder))
      .filter((name) => name.endsWith('.json'))
      .map((name) => `tests/${folder}/${name}`),
  );
}

describe.skipIf(!present)("Cedar's hand-written integration tests", () => {
  test.each(present ? listFiles() : ['(vectors are not here)'])('%s', async (path) => {
    const file = JSON.parse(read(path)) as CedarFile;
    let number = -1;
    const policyText = read(file.policies).replace(/^(?:permit|forbid)\b/gmu, (effect) => {
      number += 1;
      return `@id("policy${String(number)}")\n${effect}`;
    });
    const document = await compilePolicySet({ policyText, schemaText: read(file.schema) });
    const cases: PolicyCase[] = file.requests.map((request) => ({
      name: request.description,
      principal: request.principal,
      action: request.action.id,
      resource: request.resource,
      context: plain(request.context) as Record<string, unknown>,
      decision: request.decision,
      policies: request.reason,
    }));
    const entities = readEntities(file.entities);
    const isListed = (uid: Uid): boolean =>
      entities.some(({ type, id }) => type === uid.type && id === uid.id);
    // Two files ask about a photo that is not among their entities. To us that is a refusal, not a question.
    const complete = cases.filter((item) => isListed(item.principal) && isListed(item.resource));
    for (const item of cases.filter((row) => !complete.includes(row))) {
      expect(() => runCases(document, { entities, cases: [item] })).toThrow(/no entity/u);
    }
    expect(runCases(document, { entities, cases: complete }).filter(({ passed }) => !passed)).toEqual([]);
  });
});

test.skipIf(!present)('a set that Cedar calls invalid does not compile', async () => {
  const compiling = compilePolicySet({
    policyText: '@id("a") permit (principal, action == Action::"vew", resource);',
    schemaText: read('sample-data/sandbox_a/schema.cedarschema'),
  });
  await expect(compiling).rejects.toBeInstanceOf(PolicyTextRefusal);
});
