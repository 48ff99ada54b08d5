import { bindingOf, checkOutsideToken, checkUnboundToken, type Json } from '@bulla/verifier/envelope';
import type { FederationRecord } from '@bulla/verifier/log';
import { describe, expect, test } from 'vitest';
import { codeOf } from '../../kit/codes.ts';
import { githubClaims, OutsideIssuer, recordOf } from '../../kit/federation.ts';

const outside = new OutsideIssuer();
const { jwk } = outside;
const account = `acct_${'A'.repeat(43)}`;
const jkt = `${'B'.repeat(42)}E`;
const binding = bindingOf(account, jkt);
const now = 1_800_000_000;
type Change = Readonly<Record<string, Json | undefined>>;

function outcome(record: Partial<FederationRecord>, claims: Change, at = now): string {
  const token = outside.token(githubClaims(binding, now, claims));
  return codeOf(() => checkOutsideToken(recordOf(outside, record), { token, jwk, account, jkt, now: at }));
}

test('a binding names account and holder key', () => {
  expect(binding).toBe(`bulla:${account}:${jkt}`);
});

test('the claims of an accepted token are returned, fractions of a second included', () => {
  const token = outside.token(githubClaims(binding, now, { iat: now - 0.5, extra: [1, { a: null }] }));
  const claims = checkOutsideToken(recordOf(outside), { token, jwk, account, jkt, now });
  expect(claims).toMatchObject({ iat: now - 0.5, extra: [1, { a: null }], repository: 'octo-org/octo-repo' });
});

describe('who the token must be by', () => {
  const other = new OutsideIssuer();
  test.each<[string, Partial<FederationRecord>, Change, string]>([
    ['as trusted', {}, {}, 'accepted'],
    ['one key of several', { keys: [other.thumbprint, outside.thumbprint] }, {}, 'accepted'],
    ['another key', { keys: [other.thumbprint] }, {}, 'federation_not_trusted'],
    ['a distrusted record', { status: 'distrusted' }, {}, 'federation_not_trusted'],
    ['another issuer', {}, { iss: 'https://mallory.example' }, 'federation_claims_mismatch'],
    [
      'an issuer that begins alike',
      {},
      { iss: 'https://token.actions.githubusercontent.com/x' },
      'federation_claims_mismatch',
    ],
    ['no issuer', {}, { iss: undefined }, 'federation_claims_mismatch'],
    [
      'a list of issuers',
      {},
      { iss: ['https://token.actions.githubusercontent.com'] },
      'federation_claims_mismatch',
    ],
  ])('%s', (_name, record, claims, code) => {
    expect(outcome(record, claims)).toBe(code);
  });
  test('a record that is not there', () => {
    const token = outside.token(githubClaims(binding, now));
    expect(codeOf(() => checkOutsideToken(undefined, { token, jwk, account, jkt, now }))).toBe(
      'federation_not_trusted',
    );
  });
});

describe('what the claims must say', () => {
  const demand = (claims: FederationRecord['claims']): Partial<FederationRecord> => ({
    claims: { repository: 'octo-org/octo-repo', ...claims },
  });
  const mismatch = 'federation_claims_mismatch';
  test.each<[string, Partial<FederationRecord>, Change, string]>([
    ['exactly', demand({ ref: 'refs/heads/main' }), {}, 'accepted'],
    ['another value', demand({ ref: 'refs/heads/main' }), { ref: 'refs/heads/dev' }, mismatch],
    ['another case', {}, { repository: 'Octo-org/octo-repo' }, mismatch],
    ['a longer value', {}, { repository: 'octo-org/octo-repo-evil' }, mismatch],
    ['no such claim', demand({ environment: 'prod' }), {}, mismatch],
    ['a claim from the prototype', demand({ constructor: 'x' }), {}, mismatch],
    ['a number as its text', demand({ run_attempt: '2' }), { run_attempt: 2 }, 'accepted'],
    ['a boolean as its text', demand({ fork: 'false' }), { fork: false }, 'accepted'],
    ['a boolean that is another', demand({ fork: 'false' }), { fork: true }, mismatch],
    ['null as text', demand({ fork: 'null' }), { fork: null }, mismatch],
    ['a fraction as text', demand({ run_attempt: '1.5' }), { run_attempt: 1.5 }, mismatch],
    ['an object', demand({ actor: '[object Object]' }), { actor: {} }, mismatch],
    ['one of a list', demand({ groups: 'b' }), { groups: ['a', 'b'] }, 'accepted'],
    ['none of a list', demand({ groups: 'c' }), { groups: ['a', 'b'] }, mismatch],
    ['a list joined', demand({ groups: 'a,b' }), { groups: ['a', 'b'] }, mismatch],
    ['a list in a list', demand({ groups: 'a' }), { groups: [['a']] }, mismatch],
    ['an empty list', demand({ groups: 'a' }), { groups: [] }, mismatch],
    ['a star is a star where it is not spelled out', demand({ ref: '*' }), {}, mismatch],
    ['like the beginning', demand({ ref: { like: 'refs/heads/*' } }), {}, 'accepted'],
    ['like the end', demand({ ref: { like: '*/main' } }), {}, 'accepted'],
    ['like the middle', demand({ ref: { like: 'refs/*/main' } }), {}, 'accepted'],
    ['like itself', demand({ ref: { like: 'refs/heads/main' } }), {}, 'accepted'],
    ['like several pieces', demand({ ref: { like: '*f*/h*s/*n' } }), {}, 'accepted'],
    ['pieces out of order', demand({ ref: { like: '*main*heads*' } }), {}, mismatch],
    ['pieces that overlap', demand({ ref: { like: 'refs/heads/ma*ain' } }), {}, mismatch],
    ['a piece that the end needs', demand({ ref: { like: '*main*main' } }), {}, mismatch],
    ['a pattern is no regular expression', demand({ ref: { like: 'refs.*main' } }), {}, mismatch],
    ['like, not beginning so', demand({ ref: { like: 'heads/*' } }), {}, mismatch],
    ['like, with the text around it', demand({ ref: { like: 'refs/heads/m' } }), {}, mismatch],
  ])('%s', (_name, record, claims, code) => {
    expect(outcome(record, claims)).toBe(code);
  });
});

describe('a GitHub event that strangers can cause', () => {
  test.each([
    'pull_request',
    'pull_request_target',
    'pull_request_review',
    'workflow_run',
    'issue_comment',
    'issues',
    'fork',
    'watch',
    'PUSH',
    'push ',
    'constructor',
  ])('%s is refused, unless the trust names it', (event_name) => {
    expect(outcome({}, { event_name })).toBe('federation_claims_mismatch');
    const claims = { repository: 'octo-org/octo-repo', event_name };
    expect(outcome({ claims }, { event_name })).toBe('accepted');
    expect(outcome({ claims }, { event_name: 'push' })).toBe('federation_claims_mismatch');
  });
  test.each(['push', 'schedule', 'workflow_dispatch', 'repository_dispatch', 'release'])(
    '%s is not one',
    (event_name) => {
      expect(outcome({}, { event_name })).toBe('accepted');
    },
  );
  test.each([undefined, null, ['push'], true])('none, or of another kind: %s', (event_name) => {
    expect(outcome({}, { event_name })).toBe('federation_claims_mismatch');
  });
});

describe('how the token is bound to the holder key', () => {
  const elsewhere = bindingOf(account, `${'C'.repeat(42)}E`);
  const unbound = 'federation_not_bound';
  test.each<[string, Partial<FederationRecord>, Change, string]>([
    ['by `aud`', {}, { aud: binding }, 'accepted'],
    ['by `aud` as a list of one', {}, { aud: [binding] }, 'accepted'],
    ['to another key', {}, { aud: elsewhere }, unbound],
    ['to another account', {}, { aud: bindingOf('acct_x', jkt) }, unbound],
    ['with more around it', {}, { aud: `${binding}x` }, unbound],
    ['in another case', {}, { aud: binding.toUpperCase() }, unbound],
    ['beside another key', {}, { aud: [binding, elsewhere] }, unbound],
    ['beside an audience nobody named', {}, { aud: [binding, 'https://api.example'] }, unbound],
    ['beside the audience of the record', { audience: 'bulla' }, { aud: [binding, 'bulla'] }, 'accepted'],
    ['beside something that is no text', {}, { aud: [binding, 1] }, unbound],
    ['not at all', { audience: 'bulla' }, { aud: 'bulla' }, unbound],
    ['without `aud`', {}, { aud: undefined }, unbound],
    ['by an empty list', {}, { aud: [] }, unbound],
    ['by an object', {}, { aud: { 0: binding } }, unbound],
    ['by `nonce`, which is not for GitHub', { audience: 'bulla' }, { aud: 'bulla', nonce: binding }, unbound],
  ])('%s', (_name, record, claims, code) => {
    expect(outcome(record, claims)).toBe(code);
  });

  const idp = { profile: 'oidc', issuer: 'https://idp.example', claims: { sub: 'robot' } } as const;
  const who = { iss: 'https://idp.example', sub: 'robot', event_name: undefined };
  test.each<[string, string | null, Change, string]>([
    ['by `nonce`, for our audience', 'bulla', { aud: 'bulla', nonce: binding }, 'accepted'],
    ['by `nonce`, for ours among others', 'bulla', { aud: ['x', 'bulla'], nonce: binding }, 'accepted'],
    ['by `nonce`, for another audience', 'bulla', { aud: 'x', nonce: binding }, unbound],
    ['by `nonce`, where the record has no audience', null, { aud: 'x', nonce: binding }, unbound],
    ['by another `nonce`', 'bulla', { aud: 'bulla', nonce: elsewhere }, unbound],
    ['by a list of nonces', 'bulla', { aud: 'bulla', nonce: [binding] }, unbound],
    ['by `aud`', null, { aud: binding }, 'accepted'],
  ])('an ID token: %s', (_name, audience, claims, code) => {
    expect(outcome({ ...idp, audience }, { ...who, ...claims })).toBe(code);
  });
});

describe('when the token was issued', () => {
  const late = 'federation_time';
  test.each<[string, Change, number, string]>([
    ['just now', { iat: now }, now, 'accepted'],
    ['600 s before', { iat: now, exp: now + 900 }, now + 600, 'accepted'],
    ['601 s before', { iat: now, exp: now + 900 }, now + 601, late],
    ['30 s ahead', { iat: now + 30 }, now, 'accepted'],
    ['31 s ahead', { iat: now + 31 }, now, late],
    ['a second before its end', { exp: now + 1 }, now, 'accepted'],
    ['at its end', { exp: now }, now, late],
    ['before it is good', { nbf: now + 31 }, now, late],
    ['without `exp`', { exp: undefined }, now, late],
    ['with `exp` as text', { exp: String(now + 100) }, now, late],
    ['without `iat`', { iat: undefined }, now, late],
    ['with `iat` as text', { iat: String(now) }, now, late],
    ['with a list for `iat`', { iat: [now] }, now, late],
    ['with `nbf` as text', { nbf: '0' }, now, late],
    ['with null for `nbf`', { nbf: null }, now, late],
  ])('%s', (_name, claims, at, code) => {
    expect(outcome({}, claims, at)).toBe(code);
  });
  test('NaN for a clock refuses', () => {
    expect(outcome({}, {}, Number.NaN)).toBe(late);
  });
});

describe('a JWT-SVID', () => {
  const record: Partial<FederationRecord> = {
    profile: 'spiffe',
    issuer: 'spiffe://prod.example',
    claims: { sub: 'spiffe://prod.example/billing' },
  };
  const svid = { iss: undefined, event_name: undefined, iat: undefined, nbf: undefined, jti: undefined };
  const sub = 'spiffe://prod.example/billing';
  test.each<[string, Change, string]>([
    ['without `iss` and `iat`', { sub }, 'accepted'],
    ['with an `iss` of any kind', { sub, iss: 'https://oidc.prod.example' }, 'accepted'],
    ['an hour before its end', { sub, exp: now + 3600 }, 'accepted'],
    ['longer before its end', { sub, exp: now + 3601 }, 'federation_time'],
    ['with an old `iat`', { sub, iat: now - 601 }, 'federation_time'],
    ['with a null `iat`', { sub, iat: null }, 'federation_time'],
    ['ended', { sub, exp: now }, 'federation_time'],
    ['of another workload', { sub: 'spiffe://prod.example/web' }, 'federation_claims_mismatch'],
    ['below the workload', { sub: `${sub}/x` }, 'federation_claims_mismatch'],
    [
      'of a trust domain that begins alike',
      { sub: 'spiffe://prod.example.evil/billing' },
      'federation_claims_mismatch',
    ],
    ['without `sub`', { sub: undefined }, 'federation_claims_mismatch'],
    ['for several', { sub, aud: [binding, 'spiffe://prod.example/db'] }, 'federation_not_bound'],
  ])('%s', (_name, claims, code) => {
    expect(outcome(record, { ...svid, ...claims })).toBe(code);
  });
  test('of another trust domain, where the trust is in any workload', () => {
    const any = { ...record, claims: { sub: { like: 'spiffe://*' } } };
    expect(outcome(any, { ...svid, sub })).toBe('accepted');
    for (const other of ['spiffe://evil.example/billing', 'spiffe://prod.example.evil/billing']) {
      expect(outcome(any, { ...svid, sub: other })).toBe('federation_claims_mismatch');
    }
  });
});

describe('a token from before its agent was resumed', () => {
  const since = (at: number, record: Partial<FederationRecord>, claims: Change): string => {
    const token = outside.token(githubClaims(binding, now, claims));
    const demands = { token, jwk, account, jkt, now, since: at };
    return codeOf(() => checkOutsideToken(recordOf(outside, record), demands));
  };
  const svid: Partial<FederationRecord> = {
    profile: 'spiffe',
    issuer: 'spiffe://prod.example',
    claims: { sub: 'spiffe://prod.example/billing' },
  };
  const sub = 'spiffe://prod.example/billing';
  test.each<[string, number, Partial<FederationRecord>, Change, string]>([
    ['issued at that moment', now - 5, {}, {}, 'accepted'],
    ['issued a second before', now - 4, {}, {}, 'federation_time'],
    ['SPIFFE, with `iat`', now - 5, svid, { sub }, 'accepted'],
    ['SPIFFE, that may be as old', now - 5, svid, { sub, iat: undefined }, 'federation_time'],
    ['SPIFFE, that cannot be', now - 3500, svid, { sub, iat: undefined, exp: now + 100 }, 'accepted'],
  ])('%s', (_name, at, record, claims, code) => {
    expect(since(at, record, claims)).toBe(code);
  });
});

describe('a token that cannot be bound', () => {
  const record: Partial<FederationRecord> = {
    profile: 'oidc',
    issuer: 'https://tenant.auth0.example/',
    audience: 'https://bulla.example',
    claims: { agent_type: 'autonomous' },
  };
  const auth0 = {
    iss: 'https://tenant.auth0.example/',
    aud: ['https://bulla.example', 'https://tenant.auth0.example/userinfo'],
    agent_type: 'autonomous',
  };
  const unbound = (change: Partial<FederationRecord>, claims: Change): string => {
    const token = outside.token(githubClaims(binding, now, { ...auth0, ...claims }));
    return codeOf(() => checkUnboundToken(recordOf(outside, { ...record, ...change }), { token, jwk, now }));
  };
  test.each<[string, Partial<FederationRecord>, Change, string]>([
    ['for our audience among others', {}, {}, 'accepted'],
    ['for another API', {}, { aud: 'https://shop.example' }, 'federation_claims_mismatch'],
    ['without `aud`', {}, { aud: undefined }, 'federation_claims_mismatch'],
    ['where the trust names no audience', { audience: null }, {}, 'federation_not_bound'],
    ['of another kind of agent', {}, { agent_type: 'interactive' }, 'federation_claims_mismatch'],
    ['by another issuer', {}, { iss: 'https://tenant.auth0.example' }, 'federation_claims_mismatch'],
    ['distrusted', { status: 'distrusted' }, {}, 'federation_not_trusted'],
    [
      'that is bound, to whatever key',
      {},
      { aud: [binding, 'https://bulla.example'] },
      'federation_not_bound',
    ],
    ['that is bound by its nonce', {}, { nonce: binding }, 'federation_not_bound'],
    ['that is an ID token', {}, { nonce: 'n-0S6_WzA2Mj' }, 'federation_not_bound'],
    ['hours old', {}, { iat: now - 80_000, exp: now + 1000 }, 'accepted'],
    ['good for more than a day', {}, { iat: now - 10, exp: now + 86_400 }, 'federation_time'],
    ['without `iat`', {}, { iat: undefined }, 'federation_time'],
    ['without `exp`', {}, { exp: undefined }, 'federation_time'],
    ['from the future', {}, { iat: now + 31 }, 'federation_time'],
    ['not good yet', {}, { nbf: now + 31 }, 'federation_time'],
    ['ended', {}, { exp: now }, 'federation_time'],
  ])('%s', (_name, change, claims, code) => {
    expect(unbound(change, claims)).toBe(code);
  });
  test('of GitHub is refused: its tokens can be bound', () => {
    const github = recordOf(outside, { audience: 'bulla' });
    const token = outside.token(githubClaims('bulla', now));
    expect(codeOf(() => checkUnboundToken(github, { token, jwk, now }))).toBe('federation_not_bound');
  });
});
