import { readFileSync } from 'node:fs';
import { compilePolicySet } from '@bulla/verifier/authoring';
import { parsePolicySetDocument, policySetDigest } from '@bulla/verifier/policy';
import { expect, test } from 'vitest';

const spec = readFileSync(new URL('../../../docs/spec/policy.md', import.meta.url), 'utf8');
const block = (language: string): string =>
  new RegExp(`\`\`\`${language}\\n(.*?)\\n\`\`\``, 'su').exec(spec)?.[1] ?? '';

test('the example of the specification parses, has the digest it says, and is what its text compiles to', async () => {
  const document = parsePolicySetDocument(Buffer.from(block('json')));
  const digest = policySetDigest(document);
  expect(spec).toContain(`Its digest is \`${digest}\``);
  const compiled = await compilePolicySet({
    policyText: block('cedar'),
    schemaText:
      'entity User in [Group]; entity Group; entity File; action "read" appliesTo { principal: User, resource: File, context: { key: String } };',
  });
  expect(policySetDigest(compiled)).toBe(digest);
});
