import { createSigner, generatePrivateJwk, Refusal } from '@bulla/verifier';
import { inspect, type RootClaims, signBlock, signJws, signRoot } from '@bulla/verifier/envelope';
import { describe, expect, test } from 'vitest';

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    throw error;
  }
  return 'accepted';
};

const mint = createSigner(generatePrivateJwk());
const holder = createSigner(generatePrivateJwk());
const next = createSigner(generatePrivateJwk('P-256'));

const claims: RootClaims = {
  iss: 'https://issuer.example',
  aud: ['https://api.example', 'https://other.example'],
  sub: 'prn_0123456789abcdef0123456789abcdef',
  jti: 'cap-1',
  iat: 1000,
  exp: 1300,
  account: 'acct_x',
  epoch: { principal: 1, agent: 1 },
  client_id: 'agt_0123456789abcdef0123456789abcdef',
  cnf: { jkt: holder.publicKey.thumbprint },
  key: 'logged',
  policy: 'sha-256:x',
  narrow: [],
  depth: 3,
};
const root = signRoot(claims, mint);
const block = { next: next.publicKey.jwk, iat: 1001, depth: 2 };
const rootWith = (changes: object): string =>
  signJws('bulla+jwt', { kid: mint.publicKey.thumbprint }, { ...claims, ...changes }, mint);

describe('root block', () => {
  test('is read back as written', () => {
    expect(inspect(root).root).toEqual(claims);
  });
  test.each([
    ['an unknown claim', { admin: true }],
    ['`aud` as a string', { aud: 'https://api.example' }],
    ['an empty `aud`', { aud: [] }],
    ['a repeated audience', { aud: ['a', 'a'] }],
    ['`exp` before `iat`', { exp: 999 }],
    ['an epoch without its agent', { epoch: { principal: 1 } }],
    ['a kind of key this version does not know', { key: 'federated' }],
    ['a key inside `cnf` beside the thumbprint', { cnf: { ...claims.cnf, jwk: {} } }],
    ['a depth over the cap', { depth: 17 }],
    ['a narrowing that is not a list', { narrow: {} }],
    ['a staleness under zero', { staleness: -1 }],
    ['an unknown epoch', { epoch: { principal: 1, agent: 1, group: 1 } }],
  ])('with %s is refused', (_, changes) => {
    expect(codeOf(() => inspect(rootWith(changes)))).toBe('envelope_claim_invalid');
  });
  test.each(Object.keys(claims).filter((name) => name !== 'client_id'))('without `%s` is refused', (name) => {
    const { [name]: _, ...rest } = { ...claims } as Record<string, unknown>;
    const compact = signJws('bulla+jwt', { kid: mint.publicKey.thumbprint }, rest as never, mint);
    expect(codeOf(() => inspect(compact))).toBe('envelope_claim_invalid');
  });
  test('over the size cap is refused before it is parsed', () => {
    expect(codeOf(() => inspect('x'.repeat(12_289)))).toBe('envelope_too_large');
  });
  test('with too many narrowing policies is refused', () => {
    const narrow = Array.from({ length: 65 }, () => 0);
    expect(codeOf(() => inspect(rootWith({ narrow })))).toBe('narrow_too_large');
  });
});

describe('a further block', () => {
  test('narrows what the envelope gives', () => {
    const narrowed = signBlock(root, { ...block, exp: 1200, aud: ['https://api.example'] }, holder);
    expect(inspect(narrowed).effective).toEqual({
      aud: ['https://api.example'],
      exp: 1200,
      depth: 2,
      narrow: [[], []],
    });
  });
  test.each([
    ['a longer life', { exp: 1301 }],
    ['a wider audience', { aud: ['https://api.example', 'https://third.example'] }],
    ['the same depth', { depth: 3 }],
  ])('with %s is refused', (_, changes) => {
    expect(codeOf(() => inspect(signBlock(root, { ...block, ...changes }, holder)))).toBe('envelope_widened');
  });
  test('after a sealed one is refused', () => {
    const sealed = signBlock(root, { ...block, depth: 0 }, holder);
    expect(codeOf(() => inspect(signBlock(sealed, { ...block, depth: 0 }, next)))).toBe('envelope_widened');
  });
  test('moved onto another root is refused', () => {
    const [, moved] = signBlock(root, block, holder).split('~');
    expect(codeOf(() => inspect(`${rootWith({ jti: 'cap-2' })}~${moved}`))).toBe('envelope_link_wrong');
  });
  test('with the one between cut out is refused', () => {
    const [first, , third] = signBlock(
      signBlock(root, block, holder),
      { next: holder.publicKey.jwk, iat: 1, depth: 1 },
      next,
    ).split('~');
    expect(codeOf(() => inspect(`${first}~${third}`))).toBe('envelope_link_wrong');
  });
  test.each(['sub', 'client_id', 'account', 'policy', 'staleness', 'key'])(
    'that says `%s` is refused',
    (name) => {
      const payload = {
        iat: 1,
        depth: 1,
        prev: 'x'.repeat(43),
        cnf: { jwk: { ...next.publicKey.jwk } },
        [name]: 'x',
      };
      const odd = signJws('bulla-block+jwt', {}, payload, holder);
      expect(codeOf(() => inspect(`${root}~${odd}`))).toBe('envelope_claim_invalid');
    },
  );
  test.each([`${root}~`, `~${root}`, `${root}~~${root}`])('that is empty is refused', (text) => {
    expect(codeOf(() => inspect(text))).toBe('jws_malformed');
  });
  test('beyond the cap on blocks is refused', () => {
    expect(codeOf(() => inspect(`${root}${'~a.b.c'.repeat(17)}`))).toBe('envelope_malformed');
  });
});
