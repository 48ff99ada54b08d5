import type {
  DetailedError,
  PolicyJson,
  PolicySetTextToPartsAnswer,
  PolicyToJsonAnswer,
  PolicyToTextAnswer,
  SchemaToJsonWithResolvedTypesAnswer,
  ValidationAnswer,
} from '@cedar-policy/cedar-wasm/nodejs';
import { Refusal } from '../errors.ts';
import { readPolicySet } from './digest.ts';
import { callDisposableCedar } from './disposable.ts';
import type { PolicySetDocument } from './document.ts';

/** Something wrong in what an author wrote. */
export interface TextProblem {
  readonly file: 'policy' | 'schema';
  /** From 1; both are 1 where Cedar names no place. */
  readonly line: number;
  readonly column: number;
  /** May quote the author's own text. */
  readonly message: string;
}

/** `policy_text_invalid`, with every problem that was found. */
export class PolicyTextRefusal extends Refusal {
  readonly problems: readonly TextProblem[];

  constructor(problems: readonly TextProblem[]) {
    super(
      'policy_text_invalid',
      problems
        .map(({ file, line, column, message }) => `${file}:${String(line)}:${String(column)}: ${message}`)
        .join('; '),
    );
    this.problems = problems;
  }
}

/**
 * Turns an author's text into the document that is signed and published. Every policy needs an `@id`, unique in the
 * set; templates are refused; strict validation must find nothing, not even a warning (a policy that can never
 * apply is one).
 *
 * Does NOT lint: {@link lintPolicySet} does.
 *
 * @throws {PolicyTextRefusal} with line and column of each problem.
 * @throws {Refusal} `policy_invalid`, `policy_too_deep`, `policy_set_too_large`, `engine_failed`.
 */
export async function compilePolicySet(text: {
  readonly policyText: string;
  readonly schemaText: string;
}): Promise<PolicySetDocument> {
  const { policyText, schemaText } = text;
  const [schema, parts] = await callDisposableCedar<
    [SchemaToJsonWithResolvedTypesAnswer, PolicySetTextToPartsAnswer]
  >([
    { name: 'schemaToJsonWithResolvedTypes', argument: schemaText },
    { name: 'policySetTextToParts', argument: policyText },
  ]);
  if (schema.type !== 'success') throw refuse('schema', schemaText, schema.errors);
  if (parts.type !== 'success') throw refuse('policy', policyText, parts.errors);
  if (parts.policy_templates.length > 0) {
    throw new PolicyTextRefusal([{ ...start, message: 'templates are not supported' }]);
  }
  const policies = await convert(policyText, parts.policies);
  const { document } = readPolicySet({ version: 1, policies, schema: schema.json });
  const [asWritten, asPublished] = await callDisposableCedar<[ValidationAnswer, ValidationAnswer]>([
    {
      name: 'validate',
      argument: { ...strict, schema: schemaText, policies: { staticPolicies: policyText } },
    },
    {
      name: 'validate',
      argument: {
        ...strict,
        schema: document.schema,
        policies: { staticPolicies: { ...document.policies } },
      },
    },
  ]);
  requireValid(policyText, asWritten);
  requireValid(policyText, asPublished);
  return document;
}

/** A policy as Cedar text, for people to read. @throws {Refusal} `policy_invalid`, `engine_failed`. */
export async function showPolicy(policy: PolicyJson): Promise<string> {
  const [answer] = await callDisposableCedar<[PolicyToTextAnswer]>([
    { name: 'policyToText', argument: policy },
  ]);
  if (answer.type !== 'success') throw new Refusal('policy_invalid', 'policy has no form as text');
  return answer.text;
}

const strict = { validationSettings: { mode: 'strict' } } as const;
const start = { file: 'policy', line: 1, column: 1 } as const;

/** Ids come from `@id`, never from the order of the parts: Cedar sorts those as strings (0, 1, 10, 2). */
async function convert(policyText: string, texts: readonly string[]): Promise<Record<string, PolicyJson>> {
  const answers = await callDisposableCedar<PolicyToJsonAnswer[]>(
    texts.map((argument) => ({ name: 'policyToJson', argument })),
  );
  const policies = Object.create(null) as Record<string, PolicyJson>;
  const problems: TextProblem[] = [];
  const offsets = locate(policyText, texts);
  for (const [index, answer] of answers.entries()) {
    const place = { file: 'policy', ...position(policyText, offsets[index] ?? 0) } as const;
    const id = answer.type === 'success' ? answer.json.annotations?.['id'] : undefined;
    if (answer.type !== 'success')
      problems.push({ ...place, message: answer.errors[0]?.message ?? 'unreadable' });
    else if (id === undefined) problems.push({ ...place, message: 'policy has no @id' });
    else if (Object.hasOwn(policies, id)) problems.push({ ...place, message: `@id \`${id}\` is used twice` });
    else policies[id] = answer.json;
  }
  if (problems.length > 0) throw new PolicyTextRefusal(problems);
  return policies;
}

/** Where each part stands in the text. The longest first: a policy's text may be the end of another's. */
function locate(whole: string, parts: readonly string[]): readonly number[] {
  const offsets: number[] = [];
  let open = whole;
  const longestFirst = [...parts.entries()].sort(([, one], [, other]) => other.length - one.length);
  for (const [index, part] of longestFirst) {
    const offset = open.indexOf(part);
    offsets[index] = offset;
    if (offset < 0) continue;
    open = open.slice(0, offset) + '\0'.repeat(part.length) + open.slice(offset + part.length);
  }
  return offsets;
}

function requireValid(policyText: string, answer: ValidationAnswer): void {
  if (answer.type !== 'success') throw refuse('policy', policyText, answer.errors);
  const found = [...answer.validationErrors, ...answer.validationWarnings].map(({ error }) => error);
  if (found.length > 0) throw refuse('policy', policyText, found);
}

function refuse(
  file: TextProblem['file'],
  text: string,
  errors: readonly DetailedError[],
): PolicyTextRefusal {
  const bytes = Buffer.from(text);
  return new PolicyTextRefusal(
    errors.map(({ message, help, sourceLocations }) => {
      // Cedar counts bytes of UTF-8.
      const before = bytes.subarray(0, sourceLocations?.[0]?.start ?? 0).toString();
      const detail = sourceLocations?.[0]?.label ?? help;
      return {
        file,
        ...position(text, before.length),
        message: [message, ...(detail === null ? [] : [detail])].join(': ').replace(/\s+/gu, ' '),
      };
    }),
  );
}

function position(text: string, offset: number): { line: number; column: number } {
  const lines = text.slice(0, Math.max(offset, 0)).split('\n');
  return { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 };
}
