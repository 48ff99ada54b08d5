import type { Operation } from '@bulla/verifier/log';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newSigner, type Party, testDomain } from '../kit/log.ts';
import { HostileIssuer, type Pair } from './hostile.ts';

/*
 * Eve has the keys of a connection, with small caps, and everything else of the issuer. What its code refuses she writes into
 * the database, and the follower refuses it.
 */

const caps = { provisions: 2, provisionsPerHour: 1000, removals: 2, removalsPerHour: 1000 };
const operations = [
  'principal.provision',
  'principal.update',
  'principal.suspend',
  'principal.resume',
  'principal.deprovision',
  'member.add',
  'member.remove',
  'agent.suspend',
  'agent.revoke',
  'key.revoke',
];
const both = (code: string): readonly [string, string] => [code, code];

let hostile: HostileIssuer;
beforeAll(async () => {
  hostile = await HostileIssuer.create();
});
afterAll(() => hostile.close());

/** Tries an operation with a stolen key of a connection. */
async function tries(
  signer: ReturnType<typeof newSigner>,
  op: Operation,
): Promise<readonly [string, string]> {
  const leaf = hostile.ledger.sign({ op }, signer);
  return [await hostile.posted(leaf), await hostile.write(leaf)];
}

/** Whom Eve's other lease provisioned and an admin activated, with an agent: of the connection `corp`. */
async function colleague(groups: readonly string[] = []): Promise<Pair> {
  const { ledger, eve } = hostile;
  const owner = ledger.person({ by: eve });
  for (const group of groups) ledger.do({ type: 'member.add', group, member: `principal/${owner.id}` });
  const agent = ledger.agent(owner);
  await hostile.publish();
  return { owner, agent };
}

async function stolen(connection: string): Promise<ReturnType<typeof newSigner>> {
  const key = hostile.ledger.grant({
    operations,
    groups: ['interns'],
    attributes: ['team'],
    connection,
    caps,
  });
  await hostile.publish();
  return key;
}

const provision = (domain?: string): Operation => ({
  type: 'principal.provision',
  groups: [],
  attributes: {},
  sponsor: false,
  ...(domain !== undefined && { domain }),
});
const suspend = ({ id }: Party): Operation => ({ type: 'principal.suspend', principal: id });

describe('law 2: a stolen key of a connection', () => {
  test('fills the company with nobody: listed and trusted domains, and caps', async () => {
    const key = await stolen('corp');
    expect(await tries(key, provision())).toEqual(both('rule_domain_unlisted'));
    expect(await tries(key, provision('evil.example'))).toEqual(both('rule_domain_unlisted'));
    for (let count = 0; count < caps.provisions; count += 1) {
      expect(await hostile.write(hostile.ledger.sign({ op: provision(testDomain) }, key))).toBe('accepted');
    }
    expect(await tries(key, provision(testDomain))).toEqual(both('rule_cap_provisions'));
  });

  test('empties the company of two, whatever way of taking away she chooses', async () => {
    const key = await stolen('corp');
    const people = [await colleague(), await colleague(), await colleague(['interns'])] as const;
    const [first, second, last] = people;
    expect(await hostile.write(hostile.ledger.sign({ op: suspend(first.owner) }, key))).toBe('accepted');
    expect(await hostile.write(hostile.ledger.sign({ op: suspend(second.owner) }, key))).toBe('accepted');
    const rest: readonly Operation[] = [
      suspend(last.owner),
      { type: 'principal.deprovision', principal: last.owner.id },
      { type: 'agent.suspend', agent: last.agent.id },
      { type: 'agent.revoke', agent: last.agent.id },
      { type: 'key.revoke', key: last.owner.signer.publicKey.thumbprint },
      { type: 'member.remove', group: 'interns', member: `principal/${last.owner.id}` },
    ];
    for (const op of rest)
      expect([op.type, ...(await tries(key, op))]).toEqual([op.type, ...both('rule_cap_removals')]);
    expect(await hostile.outcome(hostile.envelope({}, last), last.agent.signer)).toBe('deny');
    expect(await hostile.outcome(hostile.envelope({}, first), first.agent.signer)).toBe('subject_not_active');
  });

  test('does nothing to people of another connection, or whom an admin made', async () => {
    const key = await stolen('other');
    const theirs = await colleague(['staff']);
    const { alice } = hostile;
    for (const { owner, agent } of [theirs, alice]) {
      const ops: readonly Operation[] = [
        suspend(owner),
        { type: 'principal.update', principal: owner.id, attributes: { team: 'hers' } },
        { type: 'principal.deprovision', principal: owner.id },
        { type: 'member.add', group: 'interns', member: `principal/${owner.id}` },
        { type: 'agent.revoke', agent: agent.id },
        { type: 'key.revoke', key: agent.signer.publicKey.thumbprint },
      ];
      for (const op of ops) {
        expect([op.type, ...(await tries(key, op))]).toEqual([op.type, ...both('rule_connection_foreign')]);
      }
    }
    expect(await hostile.outcome(hostile.envelope({}, theirs), theirs.agent.signer)).toBe('allow');
  });

  test('sets nobody free whom an admin suspended, though it suspended them as well', async () => {
    const key = await stolen('corp');
    const { ledger } = hostile;
    const { owner, agent } = await colleague(['staff']);
    const keys = [owner.signer.publicKey.thumbprint];
    const resume: Operation = { type: 'principal.resume', principal: owner.id, keys };
    expect(await hostile.write(ledger.sign({ op: suspend(owner) }, key))).toBe('accepted');
    ledger.do(suspend(owner));
    await hostile.publish();
    expect(await hostile.write(ledger.sign({ op: resume }, key))).toBe('accepted');
    expect(hostile.follower.trust.read(`principal/${owner.id}`)).toMatchObject({
      status: 'suspended',
      suspensions: ['admin'],
    });
    expect(await tries(key, resume)).toEqual(both('rule_rank_too_low'));
    expect(await hostile.outcome(hostile.envelope({}, { owner, agent }), agent.signer)).toBe(
      'subject_not_active',
    );
  });

  test('gives nobody an attribute that its lease does not list, nor trusts a domain', async () => {
    const key = await stolen('corp');
    const { owner } = await colleague();
    const update: Operation = {
      type: 'principal.update',
      principal: owner.id,
      attributes: { team: 'x', role: 'boss' },
    };
    expect(await tries(key, update)).toEqual(both('rule_attribute_unlisted'));
    expect(await tries(key, { type: 'domain.trust', domain: 'evil.example' })).toEqual(
      both('rule_not_permitted'),
    );
  });

  test('ends nothing that a key added, however early it says', async () => {
    const key = await stolen('corp');
    const { owner } = await colleague();
    const op: Operation = { type: 'key.revoke', key: owner.signer.publicKey.thumbprint, since: 0 };
    expect(await tries(key, op)).toEqual(both('rule_not_permitted'));
  });
});
