import { readFileSync } from 'node:fs';
import { codes } from '@bulla/verifier';
import { expect, test } from 'vitest';

const read = (name: string): string =>
  readFileSync(new URL(`../../verifier/${name}`, import.meta.url), 'utf8');

/** Codes in the sections of a decision that no step of it throws, each with where it belongs. */
const elsewhere = new Set([
  'jws_algorithm_wrong', // step 3 says `envelope_signature_invalid`, step 9 `proof_algorithm_wrong`
  'jws_signature_invalid', // as above, `proof_signature_invalid`
  'authorization_details_invalid', // token endpoint
  'policy_text_invalid', // authoring
  'case_invalid', // authoring
  'approval_request_invalid', // the approver's side
  'policy_denied', // what adapters answer for a decision that is returned
  'receipt_failed', // around the steps
  'internal_error', // around the steps
]);

/** The codes of verifier/codes.ts, by the comment that heads their section. */
function sections(): ReadonlyMap<string, readonly string[]> {
  const [, ...parts] = (read('codes.ts') + read('approval/codes.ts')).split(/^ {2}\/\/ /mu);
  return new Map(
    parts.map((part) => {
      const title = part.slice(0, part.indexOf('\n'));
      return [title, [...part.matchAll(/^ {2}([a-z_]+): \{/gmu)].map(([, code = '']) => code)];
    }),
  );
}

/** Every code that a numbered step of verify.ts lists. */
function listed(): ReadonlySet<string> {
  const comments = read('verify.ts').match(/^ *\/\/.*$/gmu) ?? [];
  return new Set(
    comments.flatMap((line) => [...line.matchAll(/`([a-z_]+)`/gu)].map(([, code = '']) => code)),
  );
}

test('the steps of verify.ts list codes that exist', () => {
  const known = new Set(Object.keys(codes));
  expect([...listed()].filter((code) => !known.has(code))).toEqual([]);
});

test('every code of a decision stands at a step of verify.ts', () => {
  const all = sections();
  const titles = ['encodings', 'envelope', 'proof', 'policy', 'decision', 'approvals'];
  expect(new Set(all.keys())).toEqual(new Set([...titles, 'adapters']));
  const decision = titles.flatMap((title) => all.get(title) ?? []);
  expect(decision.filter((code) => !listed().has(code) && !elsewhere.has(code))).toEqual([]);
  expect([...elsewhere].filter((code) => listed().has(code) && code !== 'internal_error')).toEqual([]);
});
