import { agentIsLive, type Lease, type Operation, principalIdOf, principalIsLive } from '@bulla/verifier/log';
import { describe, expect, test } from 'vitest';
import { codeOf } from '../../kit/codes.ts';
import { createLedger, type Ledger, managing, newSigner, type Party, testDomain } from '../../kit/log.ts';
import { createWorld, thumbprint } from './world.ts';

type Provision = Extract<Operation, { type: 'principal.provision' }>;
type LeaseCaps = NonNullable<Lease['caps']>;

const provision = (change: Partial<Provision> = {}): Operation => ({
  type: 'principal.provision',
  groups: [],
  attributes: {},
  sponsor: false,
  domain: testDomain,
  ...change,
});
const update = (person: Party, attributes: Provision['attributes'], domain?: string): Operation => ({
  type: 'principal.update',
  principal: person.id,
  attributes,
  ...(domain !== undefined && { domain }),
});

describe('a lease that provisions people says whose, where and how many', () => {
  test.each(['connection', 'domains', 'caps'] as const)('and is not granted without `%s`', (member) => {
    const ledger = createLedger();
    const key = newSigner();
    const { [member]: _missing, ...lease } = ledger.lease({ operations: ['principal.provision'] });
    const grant = (rest: Lease): string =>
      ledger.codeOf(
        ledger.sign({ op: { type: 'delegate.grant', key: key.publicKey.jwk, lease: rest } }, ledger.admin, [
          key,
        ]),
      );
    expect(grant(lease)).toBe('rule_lease_connection');
    expect(grant({ ...lease, operations: ['principal.suspend'] })).toBe('accepted');
  });
  test.each<[string, Partial<Lease>]>([
    ['a domain in capitals', { domains: ['Corp.example'] }],
    ['a domain without a dot', { domains: ['corp'] }],
    ['an address', { domains: ['alice@corp.example'] }],
    ['a wildcard', { domains: ['*.corp.example'] }],
    ['a final dot', { domains: ['corp.example.'] }],
    ['an address of the network', { domains: ['10.0.0.1'] }],
    ['the same domain twice', { domains: ['corp.example', 'corp.example'] }],
    ['a connection with a slash', { connection: 'corp/okta' }],
    ['caps below zero', { caps: { provisions: -1, provisionsPerHour: 1, removals: 1, removalsPerHour: 1 } }],
    ['one cap alone', { caps: { removals: 1 } as LeaseCaps }],
  ])('%s is malformed', (_name, change) => {
    const ledger = createLedger();
    const key = newSigner();
    const lease = ledger.lease({ operations: ['principal.provision'], ...change });
    const op: Operation = { type: 'delegate.grant', key: key.publicKey.jwk, lease };
    expect(codeOf(() => ledger.sign({ op }, ledger.admin, [key]))).toBe('entry_malformed');
  });
});

describe('a domain', () => {
  const world = (): { ledger: Ledger; code: (op: Operation) => string } => {
    const ledger = createLedger();
    const idp = ledger.grant({ operations: managing, domains: [testDomain, 'sister.example'] });
    return { ledger, code: (op) => ledger.force(ledger.sign({ op }, idp)) };
  };
  test('must be said, listed and trusted', () => {
    const { ledger, code } = world();
    ledger.trustDomain('unlisted.example');
    const { domain: _none, ...without } = provision() as Provision;
    expect(code(without)).toBe('rule_domain_unlisted');
    expect(code(provision({ domain: 'unlisted.example' }))).toBe('rule_domain_unlisted');
    expect(code(provision())).toBe('rule_domain_untrusted');
    ledger.trustDomain();
    expect(code(provision())).toBe('accepted');
    expect(ledger.read(`principal/${principalIdOf(ledger.lastLeaf)}`)).toMatchObject({
      status: 'pending',
      connection: 'corp',
      domain: testDomain,
      login: null,
    });
  });
  test('that is distrusted takes in nobody further, keeps who is there, and may be trusted again', () => {
    const { ledger, code } = world();
    const trust: Operation = { type: 'domain.trust', domain: testDomain };
    const distrust: Operation = { type: 'domain.distrust', domain: testDomain };
    const asAdmin = (op: Operation): string => ledger.force(ledger.sign({ op }));
    expect([asAdmin(distrust), asAdmin(trust), asAdmin(trust)]).toEqual([
      'rule_domain_untrusted',
      'accepted',
      'rule_domain_known',
    ]);
    expect(code(provision())).toBe('accepted');
    const id = principalIdOf(ledger.lastLeaf);
    expect(asAdmin(distrust)).toBe('accepted');
    expect(code(provision())).toBe('rule_domain_untrusted');
    expect(code(update({ id, signer: newSigner() }, {}, testDomain))).toBe('rule_domain_untrusted');
    expect(ledger.read(`principal/${id}`)?.status).toBe('pending');
    expect(asAdmin(trust)).toBe('accepted');
    expect(code(provision())).toBe('accepted');
  });
  test('does not bind an admin, whose people belong to no connection', () => {
    const { ledger } = world();
    ledger.do(provision({ domain: 'anywhere.example' }));
    expect(ledger.read(`principal/${principalIdOf(ledger.lastLeaf)}`)).toMatchObject({
      connection: null,
      domain: 'anywhere.example',
    });
  });
});

describe('an update', () => {
  test('changes what the lease lists, and nothing else; an admin changes all', () => {
    const { ledger, eve, alice } = createWorld();
    const before = ledger.read(`principal/${alice.id}`);
    ledger.do(update(alice, { team: 'red', level: 3 }));
    const code = (attributes: Provision['attributes']): string =>
      ledger.codeOf(ledger.sign({ op: update(alice, attributes) }, eve));
    expect(code({ team: 'blue', level: 3 })).toBe('accepted');
    expect(code({ level: 3 })).toBe('accepted');
    expect(code({ team: 'red' })).toBe('rule_attribute_unlisted');
    expect(code({ team: 'red', level: 4 })).toBe('rule_attribute_unlisted');
    expect(code({ team: 'red', level: 3, role: 'boss' })).toBe('rule_attribute_unlisted');
    expect(code({ team: 'red', level: 3, constructor: 'x' })).toBe('rule_attribute_unlisted');
    expect(code({ team: { __entity: { type: 'Group', id: 'board' } }, level: 3 })).toBe(
      'rule_attribute_kind',
    );
    ledger.do(update(alice, { team: 'blue', level: 3 }, undefined), [], eve);
    expect(ledger.read(`principal/${alice.id}`)).toEqual({
      ...before,
      attributes: { team: 'blue', level: 3 },
    });
  });
  test('moves a person to a domain that is listed and trusted', () => {
    const { ledger, eve, alice } = createWorld();
    const code = (domain: string): string =>
      ledger.codeOf(ledger.sign({ op: update(alice, {}, domain) }, eve));
    expect(code(testDomain)).toBe('accepted');
    expect(code('other.example')).toBe('rule_domain_unlisted');
  });
  test('of somebody who is gone is refused', () => {
    const { ledger, alice } = createWorld();
    ledger.do({ type: 'principal.deprovision', principal: alice.id });
    expect(ledger.codeOf(ledger.sign({ op: update(alice, {}) }))).toBe('rule_status');
  });
});

describe('whom a lease reaches', () => {
  const { ledger, alice, bob, sam, robot } = createWorld();
  const helper = ledger.agent(sam);
  const lease: Partial<Lease> = { operations: managing, groups: ['staff'] };
  const provisioning = {
    domains: [testDomain],
    caps: { provisions: 1, provisionsPerHour: 1, removals: 9, removalsPerHour: 9 },
  };
  const own = ledger.grant({ ...lease, ...provisioning, connection: 'corp' });
  const foreign = ledger.grant({ ...lease, ...provisioning, connection: 'other' });
  const none = ledger.grant({ ...lease, operations: managing.slice(1) });
  ledger.do({ type: 'principal.suspend', principal: bob.id }, [], own);
  const no = 'rule_connection_foreign';
  const yes = 'accepted';
  /** Columns: a lease of the same connection, of another, and of none. */
  const rows: readonly (readonly [string, Operation, string, string, string])[] = [
    ['updating', update(alice, {}), yes, no, no],
    ['deprovisioning', { type: 'principal.deprovision', principal: alice.id }, yes, no, no],
    [
      'putting into a group',
      { type: 'member.add', group: 'staff', member: `principal/${bob.id}` },
      yes,
      no,
      no,
    ],
    [
      'taking out of a group',
      { type: 'member.remove', group: 'staff', member: `principal/${alice.id}` },
      yes,
      no,
      no,
    ],
    ['suspending', { type: 'principal.suspend', principal: alice.id }, yes, no, yes],
    [
      'resuming whom the connection suspended',
      { type: 'principal.resume', principal: bob.id, keys: [thumbprint(bob)] },
      yes,
      no,
      'rule_rank_too_low',
    ],
    ['suspending an agent', { type: 'agent.suspend', agent: robot.id }, yes, no, yes],
    ['revoking an agent', { type: 'agent.revoke', agent: robot.id }, yes, no, yes],
    ["revoking a person's key", { type: 'key.revoke', key: thumbprint(alice) }, yes, no, yes],
    ["revoking an agent's key", { type: 'key.revoke', key: thumbprint(robot) }, yes, no, yes],
    ['suspending whom an admin made', { type: 'principal.suspend', principal: sam.id }, no, no, yes],
    ['suspending their agent', { type: 'agent.suspend', agent: helper.id }, no, no, yes],
    ['deprovisioning whom an admin made', { type: 'principal.deprovision', principal: sam.id }, no, no, no],
  ];
  test.each(rows)('%s', (_name, op, ...codes) => {
    const found = [own, foreign, none].map((signer) => ledger.codeOf(ledger.sign({ op }, signer)));
    expect(found).toEqual(codes);
  });
  test('what a key added stands, whoever among delegates revokes it', () => {
    const op: Operation = { type: 'key.revoke', key: thumbprint(sam), since: 0 };
    expect(ledger.codeOf(ledger.sign({ op }, none))).toBe('rule_not_permitted');
    expect(ledger.codeOf(ledger.sign({ op }))).toBe('accepted');
  });
  test('a new key of a connection ends what its old one began, and no other connection does', () => {
    const op: Operation = { type: 'principal.resume', principal: bob.id, keys: [thumbprint(bob)] };
    const next = ledger.grant({ ...lease, ...provisioning, connection: 'corp' });
    expect(ledger.codeOf(ledger.sign({ op }, next))).toBe('accepted');
  });
});

describe('caps', () => {
  const caps: LeaseCaps = { provisions: 3, provisionsPerHour: 2, removals: 3, removalsPerHour: 2 };
  test('bound how many people come in: in an hour, and in all, renewed or not', () => {
    const ledger = createLedger();
    ledger.trustDomain();
    const idp = ledger.grant({ operations: managing, caps });
    const spend = (): string => ledger.force(ledger.sign({ op: provision() }, idp));
    expect([spend(), spend(), spend()]).toEqual(['accepted', 'accepted', 'rule_cap_provisions_rate']);
    ledger.time += 1800;
    expect([spend(), spend()]).toEqual(['accepted', 'rule_cap_provisions']);
    ledger.do({ type: 'delegate.renew', key: idp.publicKey.thumbprint, notAfter: ledger.time + 86_400 });
    ledger.time += 7200;
    expect(spend()).toBe('rule_cap_provisions');
  });
  test('count every way of taking away, and neither what was refused nor what gives back', () => {
    const { ledger, alice, bob, robot } = createWorld();
    const idp = ledger.grant({ operations: managing, groups: ['staff'], caps });
    const attempt = (op: Operation): string => ledger.force(ledger.sign({ op }, idp));
    const removals: readonly Operation[] = [
      { type: 'principal.suspend', principal: alice.id },
      { type: 'principal.deprovision', principal: alice.id },
      { type: 'member.remove', group: 'staff', member: `principal/${alice.id}` },
      { type: 'agent.suspend', agent: robot.id },
      { type: 'agent.revoke', agent: robot.id },
      { type: 'key.revoke', key: thumbprint(bob) },
    ];
    expect(attempt({ type: 'principal.suspend', principal: `prn_${'0'.repeat(32)}` })).toBe(
      'rule_subject_unknown',
    );
    expect(attempt({ type: 'principal.suspend', principal: bob.id })).toBe('accepted');
    expect(attempt({ type: 'principal.resume', principal: bob.id, keys: [thumbprint(bob)] })).toBe(
      'accepted',
    );
    expect(attempt({ type: 'agent.suspend', agent: robot.id })).toBe('accepted');
    for (const op of removals) expect([op.type, attempt(op)]).toEqual([op.type, 'rule_cap_removals_rate']);
    ledger.time += 7200;
    expect(attempt({ type: 'agent.revoke', agent: robot.id })).toBe('accepted');
    for (const op of removals) expect([op.type, attempt(op)]).toEqual([op.type, 'rule_cap_removals']);
    expect(attempt(update(alice, {}))).toBe('accepted');
  });
  test('do not count requests that a delegate wraps, and bind a lease without a connection where it has some', () => {
    const { ledger, alice, robot } = createWorld();
    const none = { ...caps, removals: 0, removalsPerHour: 0 };
    const api = ledger.grant({ operations: ['agent.suspend', 'request.relay'], caps: none });
    const op: Operation = { type: 'agent.suspend', agent: robot.id };
    expect(ledger.codeOf(ledger.sign({ op }, api))).toBe('rule_cap_removals');
    const request = ledger.signRequest(op, `agent/${robot.id}`, alice.signer);
    expect(ledger.codeOf(ledger.sign({ request }, api))).toBe('accepted');
  });
});

describe('leaving', () => {
  test('a group ends what was minted, and agents wait for owner or admin', () => {
    const { ledger, eve, alice, robot } = createWorld();
    const epoch = ledger.read(`principal/${alice.id}`)?.epoch ?? 0;
    const version = ledger.read(`principal/${alice.id}`)?.version;
    ledger.do({ type: 'member.remove', group: 'staff', member: `principal/${alice.id}` }, [], eve);
    expect(ledger.read(`principal/${alice.id}`)).toMatchObject({ epoch: epoch + 1, version });
    expect(principalIsLive(ledger.read, alice.id)).toBe(true);
    expect(agentIsLive(ledger.read, robot.id)).toBe(false);
    const resume: Operation = { type: 'agent.resume', agent: robot.id, keys: [thumbprint(robot)] };
    expect(ledger.codeOf(ledger.sign({ op: resume }, eve))).toBe('rule_rank_too_low');
    ledger.ask(resume, `agent/${robot.id}`, alice.signer);
    expect(agentIsLive(ledger.read, robot.id)).toBe(true);
  });
  test('before having come: a pending person who is suspended comes back pending', () => {
    const { ledger, eve, carol } = createWorld();
    const own = newSigner();
    const activate: Operation = {
      type: 'principal.activate',
      principal: carol.id,
      key: own.publicKey.jwk,
    };
    ledger.do({ type: 'principal.suspend', principal: carol.id }, [], eve);
    expect(ledger.codeOf(ledger.sign({ op: activate }, ledger.admin, [own]))).toBe('rule_status');
    const recover: Operation = { type: 'key.recover', principal: carol.id, key: own.publicKey.jwk };
    expect(ledger.codeOf(ledger.sign({ op: recover }, ledger.admin, [own]))).toBe('rule_status');
    ledger.do({ type: 'principal.resume', principal: carol.id, keys: [] }, [], eve);
    expect(ledger.read(`principal/${carol.id}`)).toMatchObject({
      status: 'pending',
      suspendedBy: null,
      suspensions: [],
    });
    expect(ledger.codeOf(ledger.sign({ op: activate }, ledger.admin, [own]))).toBe('accepted');
  });
});

test('a lease with a connection speaks for its own pending people alone', () => {
  const { ledger, carol } = createWorld();
  const made = ledger.person({ pending: true });
  const key = newSigner();
  const relay = (connection?: string) =>
    ledger.grant({
      operations: ['request.relay', 'principal.activate'],
      ...(connection !== undefined && { connection }),
    });
  const code = ({ id }: Party, signer: ReturnType<typeof relay>): string => {
    const op: Operation = { type: 'principal.activate', principal: id, key: key.publicKey.jwk };
    return ledger.codeOf(ledger.sign({ request: ledger.signRequest(op, `principal/${id}`, key) }, signer));
  };
  const [own, other, none] = [relay('corp'), relay('other'), relay()];
  const no = 'rule_connection_foreign';
  expect([own, other, none].map((signer) => code(carol, signer))).toEqual(['accepted', no, 'accepted']);
  expect([own, other, none].map((signer) => code(made, signer))).toEqual([no, no, 'accepted']);
});
