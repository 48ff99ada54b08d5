import type { Operation } from '@bulla/verifier/log';
import { describe, expect, test } from 'vitest';
import { codeOf as refusalOf } from '../../kit/codes.ts';
import { newSigner } from '../../kit/log.ts';
import { createWorld } from './world.ts';

type Trust = Extract<Operation, { readonly type: 'federation.trust' }>;

const world = createWorld();
const { ledger, robot, alice } = world;
const key = 'N'.repeat(42) + 'E';
const trust: Trust = {
  type: 'federation.trust',
  name: 'ci',
  issuer: 'https://token.actions.githubusercontent.com',
  profile: 'github',
  keys: [key],
  claims: { repository: 'octo-org/octo-repo' },
  agent: robot.id,
};
const spiffe: Trust = {
  ...trust,
  profile: 'spiffe',
  issuer: 'spiffe://prod.example',
  claims: { sub: 'spiffe://prod.example/billing' },
};
const oidc: Trust = {
  ...trust,
  profile: 'oidc',
  issuer: 'https://idp.example/t1/',
  claims: { sub: 'robot', 'https://idp.example/kind': 'autonomous' },
  audience: 'https://bulla.example',
};
/** Signing refuses what is malformed, `apply` the rest. */
const codeOf = (op: object): string => refusalOf(() => ledger.append(ledger.sign({ op: op as Operation })));

describe('federation.trust', () => {
  const loose = 'rule_federation_loose';
  const malformed = 'entry_malformed';
  const many = Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`c${at}`, 'x']));
  test.each<[string, object, string]>([
    ['GitHub, one repository', trust, 'accepted'],
    [
      'GitHub, repositories of one owner',
      { ...trust, claims: { repository: { like: 'octo-org/*' } } },
      'accepted',
    ],
    ['GitHub of a company', { ...trust, issuer: 'https://ghe.example/_services/token' }, 'accepted'],
    ['GitHub, any owner', { ...trust, claims: { repository: { like: '*/octo-repo' } } }, loose],
    ['GitHub, owners alike', { ...trust, claims: { repository: { like: 'octo*/x' } } }, loose],
    ['GitHub, no repository', { ...trust, claims: { ref: 'refs/heads/main' } }, loose],
    ['GitHub, an owner alone', { ...trust, claims: { repository: 'octo-org' } }, loose],
    ["GitHub's issuer as any other", { ...trust, profile: 'oidc' }, loose],
    [
      "GitHub's issuer of an enterprise as any other",
      { ...trust, profile: 'oidc', issuer: `${trust.issuer}/octo-inc` },
      loose,
    ],
    ["GitHub's issuer of an enterprise", { ...trust, issuer: `${trust.issuer}/octo-inc` }, 'accepted'],
    ['SPIFFE', spiffe, 'accepted'],
    [
      'SPIFFE, workloads alike',
      { ...spiffe, claims: { sub: { like: 'spiffe://prod.example/ci/*' } } },
      'accepted',
    ],
    ['SPIFFE, no id', { ...spiffe, claims: { env: 'prod' } }, loose],
    ['SPIFFE, an id elsewhere', { ...spiffe, claims: { sub: 'spiffe://evil.example/billing' } }, loose],
    [
      'SPIFFE, a domain that begins alike',
      { ...spiffe, claims: { sub: 'spiffe://prod.example.evil/x' } },
      loose,
    ],
    ['SPIFFE under a web issuer', { ...spiffe, issuer: 'https://prod.example' }, loose],
    ['a SPIFFE domain as any other', { ...spiffe, profile: 'oidc' }, loose],
    ['a SPIFFE domain with a path', { ...spiffe, issuer: 'spiffe://prod.example/x' }, malformed],
    ['an IdP', oidc, 'accepted'],
    ['no keys', { ...oidc, keys: [] }, loose],
    [
      '17 keys',
      { ...oidc, keys: Array.from({ length: 17 }, (_, at) => `${String(at).padStart(42, 'K')}E`) },
      malformed,
    ],
    ['a key twice', { ...oidc, keys: [key, key] }, malformed],
    ['no claims', { ...oidc, claims: {} }, malformed],
    ['17 claims', { ...oidc, claims: many }, malformed],
    ['an empty claim', { ...oidc, claims: { sub: '' } }, malformed],
    ['a list in a claim', { ...oidc, claims: { sub: ['robot'] } }, malformed],
    ['a boolean in a claim', { ...oidc, claims: { sub: true } }, malformed],
    ['a null claim', { ...oidc, claims: { sub: null } }, malformed],
    ['a pattern that says nothing', { ...oidc, claims: { sub: { like: '*' } } }, malformed],
    ['a pattern that says nothing twice', { ...oidc, claims: { sub: { like: '**' } } }, malformed],
    ['an empty pattern', { ...oidc, claims: { sub: { like: '' } } }, malformed],
    ['a pattern of another kind', { ...oidc, claims: { sub: { regex: '.*' } } }, malformed],
    ['a pattern and more', { ...oidc, claims: { sub: { like: 'r*', not: 'x' } } }, malformed],
    ...['iss', 'aud', 'exp', 'iat', 'nbf', 'nonce'].map((name): [string, object, string] => [
      `the claim ${name}`,
      { ...oidc, claims: { [name]: 'x' } },
      malformed,
    ]),
    [
      'a claim named as the prototype',
      { ...oidc, claims: JSON.parse('{"__proto__":"x"}') as object },
      malformed,
    ],
    ['a name with a slash', { ...oidc, name: 'a/b' }, malformed],
    ['an issuer with a query', { ...oidc, issuer: 'https://idp.example/?x' }, malformed],
    ['an unknown profile', { ...oidc, profile: 'saml' }, malformed],
    ['an empty audience', { ...oidc, audience: '' }, malformed],
    ['a person', { ...oidc, agent: alice.id }, malformed],
    ['an agent nobody registered', { ...oidc, agent: `agt_${'0'.repeat(32)}` }, 'rule_subject_unknown'],
  ])('%s', (_name, op, code) => {
    expect(codeOf(op)).toBe(code);
  });

  test('writes what the log says of the issuer; the same name again replaces it', () => {
    ledger.do(oidc);
    const { type: _type, name: _name, ...said } = oidc;
    expect(ledger.read('federation/ci')).toEqual({ ...said, status: 'trusted' });
    ledger.do({ ...trust, keys: ['Z'.repeat(42) + 'E', key] });
    expect(ledger.read('federation/ci')).toMatchObject({ profile: 'github', audience: null });
    expect(ledger.read('federation/ci')?.keys).toEqual([key, 'Z'.repeat(42) + 'E']);
  });

  test('a name that was distrusted is dead for ever', () => {
    ledger.do({ ...trust, name: 'gone' });
    const distrust: Operation = { type: 'federation.distrust', name: 'gone' };
    ledger.do(distrust);
    expect(ledger.read('federation/gone')?.status).toBe('distrusted');
    expect(codeOf(distrust)).toBe('rule_federation_unknown');
    expect(codeOf({ ...trust, name: 'gone' })).toBe('rule_federation_dead');
    expect(codeOf({ ...distrust, name: 'never' })).toBe('rule_federation_unknown');
  });

  test('takes no further signature, and no agent that was revoked', () => {
    const stranger = newSigner();
    expect(ledger.codeOf(ledger.sign({ op: trust }, ledger.admin, [stranger]))).toBe(
      'rule_signature_unneeded',
    );
    const gone = ledger.agent(alice);
    ledger.do({ type: 'agent.revoke', agent: gone.id });
    expect(codeOf({ ...trust, agent: gone.id })).toBe('rule_status');
  });

  test('no lease can list it, nor vouching', () => {
    for (const operation of ['federation.trust', 'federation.distrust', 'agent.vouch']) {
      const lease = ledger.lease({ operations: [operation] });
      const delegate = newSigner();
      const op: Operation = { type: 'delegate.grant', key: delegate.publicKey.jwk, lease };
      expect(ledger.codeOf(ledger.sign({ op }, ledger.admin, [delegate]))).toBe('rule_lease_operation');
    }
  });
});

describe('agent.vouch', () => {
  const vouch = (actions: unknown, agent = robot.id) => ({ type: 'agent.vouch', agent, actions });
  test.each<[string, object, string]>([
    ['some actions', vouch(['read', 'Orders::refund']), 'accepted'],
    ['none', vouch([]), 'accepted'],
    ['64', vouch(Array.from({ length: 64 }, (_, at) => `a${at}`)), 'accepted'],
    ['65', vouch(Array.from({ length: 65 }, (_, at) => `a${at}`)), 'entry_malformed'],
    ['one twice', vouch(['read', 'read']), 'entry_malformed'],
    ['an empty one', vouch(['']), 'entry_malformed'],
    ['one with a line break', vouch(['read\nwrite']), 'entry_malformed'],
    ['a list in a list', vouch([['read']]), 'entry_malformed'],
    ['an agent nobody registered', vouch([], `agt_${'0'.repeat(32)}`), 'rule_subject_unknown'],
  ])('%s', (_name, op, code) => {
    expect(codeOf(op)).toBe(code);
  });
  test('replaces what was listed; before, the record says nothing of it', () => {
    const agent = ledger.agent(alice);
    expect(ledger.read(`agent/${agent.id}`)).not.toHaveProperty('vouched');
    ledger.do({ type: 'agent.vouch', agent: agent.id, actions: ['write', 'read'] });
    expect(ledger.read(`agent/${agent.id}`)?.vouched).toEqual(['read', 'write']);
    ledger.do({ type: 'agent.vouch', agent: agent.id, actions: [] });
    expect(ledger.read(`agent/${agent.id}`)?.vouched).toEqual([]);
  });
  test('a revoked agent is vouched for nothing more', () => {
    const gone = ledger.agent(alice);
    ledger.do({ type: 'agent.revoke', agent: gone.id });
    expect(codeOf(vouch(['read'], gone.id))).toBe('rule_status');
  });
});

describe('agent.register without a key', () => {
  const register: Operation = { type: 'agent.register', owner: alice.id, kind: 'autonomous' };
  test('makes an agent that no key speaks for', () => {
    const change = ledger.do(register);
    const name = [...change.writes.keys()].find((each) => each.startsWith('agent/')) ?? '';
    expect(ledger.read(name as `agent/${string}`)).toMatchObject({ keys: [], status: 'active' });
    const first = newSigner();
    ledger.do({ type: 'key.add', subject: name, key: first.publicKey.jwk }, [first]);
    expect(ledger.read(name as `agent/${string}`)?.keys).toEqual([first.publicKey.thumbprint]);
  });
  test('may be asked for by the owner, and by nobody else', () => {
    const subject = `principal/${alice.id}`;
    const by = (party: typeof alice): string =>
      ledger.codeOf(ledger.sign({ request: ledger.signRequest(register, subject, party.signer) }));
    expect(by(alice)).toBe('accepted');
    expect(by(world.bob)).toBe('rule_not_owner');
  });
  test('takes no signature of a key that it does not name', () => {
    expect(ledger.codeOf(ledger.sign({ op: register }, ledger.admin, [newSigner()]))).toBe(
      'rule_signature_unneeded',
    );
  });
});
