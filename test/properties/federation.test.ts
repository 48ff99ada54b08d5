import { bindingOf, checkOutsideToken, claimsMatch, type Json } from '@bulla/verifier/envelope';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { codeOf } from '../kit/codes.ts';
import { githubClaims, OutsideIssuer, recordOf } from '../kit/federation.ts';

/** Few letters, so that pieces meet, overlap and repeat. */
const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.', '\\', '$'), minLength: 0, maxLength: 14 });
const pattern = fc.string({
  unit: fc.constantFrom('a', 'b', '/', '.', '$', '*', '*'),
  minLength: 1,
  maxLength: 10,
});

/** What `like` means, said another way. */
function regular(like: string): RegExp {
  const pieces = like.split('*').map((piece) => piece.replaceAll(/[.$/\\]/gu, String.raw`\$&`));
  return new RegExp(`^${pieces.join('.*')}$`, 'su');
}

test('`like` matches what the same pattern matches as a regular expression', () => {
  fc.assert(
    fc.property(text, pattern, (claim, like) => {
      expect(claimsMatch({ claim: { like } }, { claim })).toBe(regular(like).test(claim));
    }),
    { numRuns: 3000 },
  );
});

test('a text is demanded exactly, stars and all', () => {
  fc.assert(
    fc.property(text, pattern, (claim, demand) => {
      expect(claimsMatch({ claim: demand }, { claim })).toBe(claim === demand);
    }),
    { numRuns: 1000 },
  );
});

test('no other claim, and no claim of another value, makes up for one that is demanded', () => {
  const demands = { repository: 'octo-org/octo-repo', ref: 'refs/heads/main' };
  const others = fc.dictionary(fc.string(), fc.jsonValue() as fc.Arbitrary<Json>);
  fc.assert(
    fc.property(others, fc.jsonValue() as fc.Arbitrary<Json>, (claims, ref) => {
      const { ref: _ref, ...rest } = claims;
      expect(claimsMatch(demands, { ...rest, repository: 'octo-org/octo-repo' })).toBe(false);
      fc.pre(ref !== demands.ref && !(Array.isArray(ref) && ref.includes(demands.ref)));
      expect(claimsMatch(demands, { ...rest, ref, repository: 'octo-org/octo-repo' })).toBe(false);
    }),
  );
});

test('a token with any one character changed is refused', () => {
  const outside = new OutsideIssuer();
  const [account, jkt, now] = [`acct_${'A'.repeat(43)}`, `${'B'.repeat(42)}E`, 1_800_000_000];
  const token = outside.token(githubClaims(bindingOf(account, jkt), now));
  const check = (changed: string): string =>
    codeOf(() =>
      checkOutsideToken(recordOf(outside), { token: changed, jwk: outside.jwk, account, jkt, now }),
    );
  expect(check(token)).toBe('accepted');
  const character = fc.constantFrom('A', 'Q', 'g', 'w', '0', '-', '_', '.', '=', '~', ' ', '\n');
  fc.assert(
    fc.property(fc.nat(token.length - 1), character, (at, other) => {
      fc.pre(token[at] !== other);
      expect(check(token.slice(0, at) + other + token.slice(at + 1))).not.toBe('accepted');
    }),
    { numRuns: 300 },
  );
});
