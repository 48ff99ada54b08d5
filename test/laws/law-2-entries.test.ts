import type { Operation } from '@bulla/verifier/log';
import { policySetDigest } from '@bulla/verifier/policy';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { notesPolicy, readNote } from '../kit/api.ts';
import { newSigner, type Party, testDomain } from '../kit/log.ts';
import { HostileIssuer, type Pair } from './hostile.ts';

// Law 2: a compromised issuer widens nothing. What the honest code refuses over HTTP, Eve writes into the store herself;
// the issuer's process signs for it, and a real follower and verifier answer.

let hostile: HostileIssuer;
beforeAll(async () => {
  hostile = await HostileIssuer.create();
});
afterAll(() => hostile.close());

const both = (code: string) => [code, code];
const write = readNote('1', 'open', 'write');
const all = { op: 'All' } as const;
const permitAll = {
  effect: 'permit' as const,
  principal: all,
  action: all,
  resource: all,
  conditions: [],
};

/** A person whom Eve provisioned and an admin activated, with an agent, as the follower has them too. */
async function honest(groups: readonly string[] = []): Promise<Pair> {
  const { ledger, eve } = hostile;
  const owner = ledger.person({ by: eve });
  for (const group of groups) ledger.do({ type: 'member.add', group, member: `principal/${owner.id}` });
  const agent = ledger.agent(owner);
  await hostile.publish();
  return { owner, agent };
}

const provision = (change: Partial<Extract<Operation, { type: 'principal.provision' }>>): Operation => ({
  type: 'principal.provision',
  groups: [],
  attributes: {},
  sponsor: false,
  domain: testDomain,
  ...change,
});

test('law 2: what the lease lists works, so that what follows is refused for its own reason', async () => {
  expect(await hostile.outcome(hostile.envelope())).toBe('allow');
  const op = provision({ groups: ['interns'], attributes: { team: 'x' } });
  expect(await hostile.write(hostile.ledger.sign({ op }, hostile.eve))).toBe('accepted');
});

describe('law 2: a new principal with rights', () => {
  test('in a protected group, an unlisted one, with an unlisted attribute, as a sponsor', async () => {
    expect(await hostile.tries(provision({ groups: ['staff'] }))).toEqual(both('rule_group_protected'));
    expect(await hostile.tries(provision({ groups: ['helpers'] }))).toEqual(both('rule_group_unlisted'));
    const boss = provision({ attributes: { role: 'boss' } });
    expect(await hostile.tries(boss)).toEqual(both('rule_attribute_unlisted'));
    expect(await hostile.tries(provision({ sponsor: true }))).toEqual(both('rule_not_permitted'));
  });

  test('activated by Eve, by the new key itself, or by somebody who is no sponsor', async () => {
    const person = hostile.ledger.person({ pending: true });
    await hostile.publish();
    const own = newSigner();
    const activate: Operation = { type: 'principal.activate', principal: person.id, key: own.publicKey.jwk };
    const subject = `principal/${person.id}`;
    expect(await hostile.tries(activate, [own])).toEqual(both('rule_not_permitted'));
    const byAlice = await hostile.triesRequest(activate, subject, hostile.world.alice.signer, [own]);
    expect(byAlice).toEqual(both('rule_not_sponsor'));
    expect(await hostile.triesRequest(activate, subject, own)).toEqual(both('rule_connection_foreign'));
  });

  test('made up and let in by her lease: good for nothing that a policy does not give such people by name', async () => {
    const person = hostile.ledger.person({ pending: true, by: hostile.eve });
    const own = newSigner();
    const op: Operation = { type: 'principal.activate', principal: person.id, key: own.publicKey.jwk };
    const subject = `principal/${person.id}`;
    await hostile.publish();
    const request = hostile.ledger.signRequest(op, subject, own);
    expect(await hostile.write(hostile.ledger.sign({ request }, hostile.eve))).toBe('accepted');
    const agent = hostile.ledger.agent({ id: person.id, signer: own });
    await hostile.publish();
    const join: Operation = { type: 'member.add', group: 'staff', member: subject };
    expect(hostile.ledger.codeOf(hostile.ledger.sign({ op: join }))).toBe('rule_not_confirmed');
    expect(await hostile.outcome(hostile.envelope({}, { owner: person, agent }), agent.signer)).toBe('deny');
    expect(hostile.api.receipts.at(-1)?.envelope?.assurance).toBe('delegate');
  });

  test('that exists in an envelope alone', async () => {
    const envelope = hostile.envelope({ sub: 'prn_00000000000000000000000000000000' });
    expect(await hostile.outcome(envelope)).toBe('subject_not_active');
  });
});

describe('law 2: her own key on an existing principal', () => {
  test('added, rotated in, or recovered', async () => {
    const { owner, agent } = await honest(['staff']);
    const own = newSigner();
    const key = own.publicKey.jwk;
    for (const subject of [`principal/${owner.id}`, `agent/${agent.id}`]) {
      const add: Operation = { type: 'key.add', subject, key };
      expect(await hostile.tries(add, [own])).toEqual(both('rule_not_permitted'));
      expect(await hostile.triesRequest(add, subject, own)).toEqual(both('rule_key_not_live'));
      const byAlice = await hostile.triesRequest(add, subject, hostile.world.alice.signer, [own]);
      expect(byAlice).toEqual(both('rule_not_owner'));
    }
    const old = owner.signer.publicKey.thumbprint;
    expect(await hostile.tries({ type: 'key.rotate', old, key }, [own])).toEqual(both('rule_not_permitted'));
    const envelope = hostile.envelope({ cnf: { jkt: own.publicKey.thumbprint } }, { owner, agent });
    expect(await hostile.outcome(envelope, own)).toBe('holder_key_not_live');
  });

  test("recovering somebody's key, with her own delegate key or by a request", async () => {
    const { owner } = await honest(['staff']);
    const own = newSigner();
    const recover: Operation = { type: 'key.recover', principal: owner.id, key: own.publicKey.jwk };
    expect(await hostile.tries(recover, [own])).toEqual(both('rule_not_permitted'));
    const asked = await hostile.triesRequest(recover, `principal/${owner.id}`, owner.signer, [own]);
    expect(asked).toEqual(both('rule_recovery_unmet'));
  });

  test('on an agent that she registers for somebody', async () => {
    const own = newSigner();
    const owner = hostile.world.alice.id;
    const key = own.publicKey.jwk;
    const register: Operation = { type: 'agent.register', owner, kind: 'autonomous', key };
    expect(await hostile.tries(register, [own])).toEqual(both('rule_not_permitted'));
    expect(await hostile.triesRequest(register, `principal/${owner}`, own)).toEqual(
      both('rule_key_not_live'),
    );
  });

  test('by replaying what its owner signed once, after it was taken back', async () => {
    const { ledger } = hostile;
    const { owner } = await honest();
    const own = newSigner();
    const add: Operation = { type: 'key.add', subject: `principal/${owner.id}`, key: own.publicKey.jwk };
    const request = ledger.signRequest(add, `principal/${owner.id}`, owner.signer, { cosigners: [own] });
    expect(await hostile.write(ledger.sign({ request }, hostile.eve))).toBe('accepted');
    ledger.do({ type: 'key.revoke', key: own.publicKey.thumbprint });
    await hostile.publish();
    const again = ledger.sign({ request }, hostile.eve);
    expect([await hostile.posted(again), await hostile.write(again)]).toEqual(both('rule_subject_version'));
  });
});

test('law 2: a logged key claiming another `sub`', async () => {
  const mallory = await honest();
  const holder = mallory.agent.signer;
  const { alice } = hostile;
  const epoch = {
    principal: hostile.ledger.read(`principal/${alice.owner.id}`)?.epoch ?? 0,
    agent: hostile.ledger.read(`agent/${mallory.agent.id}`)?.epoch ?? 0,
  };
  const asAlice = hostile.envelope({ sub: alice.owner.id, epoch }, mallory);
  expect(await hostile.outcome(asAlice, holder)).toBe('agent_not_active');
  const asHerAgent = hostile.envelope({ cnf: { jkt: holder.publicKey.thumbprint } });
  expect(await hostile.outcome(asHerAgent, holder)).toBe('holder_key_not_live');
});

describe('law 2: a policy', () => {
  test('that is wider, kept beside the current one, or in another slot', async () => {
    const digest = policySetDigest({ ...notesPolicy, policies: { all: permitAll } });
    const publish: Operation = { type: 'policy.publish', slot: 'main', digest };
    expect(await hostile.tries(publish)).toEqual(both('rule_not_permitted'));
    const overlap: Operation = { type: 'policy.overlap', slot: 'main', until: hostile.ledger.time + 3600 };
    expect(await hostile.tries(overlap)).toEqual(both('rule_not_permitted'));
    const register: Operation = {
      type: 'audience.register',
      audience: 'https://api.example',
      slot: 'other',
      maxStalenessSeconds: 60,
    };
    expect(await hostile.tries(register)).toEqual(both('rule_not_permitted'));
    expect(await hostile.outcome(hostile.envelope({ policy: digest }))).toBe('policy_superseded');
  });

  test('of last year, more permissive, which the admins once published', async () => {
    const old = policySetDigest(notesPolicy);
    expect(hostile.ledger.read('slot/main')?.digest).not.toBe(old);
    expect(await hostile.outcome(hostile.envelope({ policy: old }), undefined, write)).toBe(
      'policy_superseded',
    );
  });
});

describe('law 2: a group', () => {
  const joins = (group: string, party: Party): Operation => ({
    type: 'member.add',
    group,
    member: `principal/${party.id}`,
  });

  test('that the lease does not list, that is protected, or that she makes herself', async () => {
    const { owner } = await honest();
    expect(await hostile.tries(joins('helpers', owner))).toEqual(both('rule_group_unlisted'));
    expect(await hostile.tries(joins('staff', owner))).toEqual(both('rule_group_protected'));
    const create: Operation = { type: 'group.create', group: 'hers', protected: false };
    expect(await hostile.tries(create)).toEqual(both('rule_not_permitted'));
  });

  test('that is listed, nested under a protected one', async () => {
    const mallory = await honest();
    const nest: Operation = { type: 'member.add', group: 'staff', member: 'group/interns' };
    expect(await hostile.tries(nest)).toEqual(both('rule_not_permitted'));
    // The admins nest it themselves: from then on it leads to rights, and the lease reaches it no longer.
    hostile.ledger.do(nest);
    await hostile.publish();
    expect(await hostile.tries(joins('interns', mallory.owner))).toEqual(both('rule_group_protected'));
    expect(await hostile.outcome(hostile.envelope({}, mallory), mallory.agent.signer)).toBe('deny');
    hostile.ledger.do({ type: 'member.remove', group: 'staff', member: 'group/interns' });
    await hostile.publish();
  });

  test('out of which a member is taken, so that a forbid falls silent', async () => {
    const contractor = await honest(['staff', 'contractors']);
    const { owner, agent } = contractor;
    const envelope = hostile.envelope({}, contractor);
    expect(await hostile.outcome(envelope, agent.signer)).toBe('allow');
    expect(await hostile.outcome(envelope, agent.signer, write)).toBe('deny');
    const remove: Operation = {
      type: 'member.remove',
      group: 'contractors',
      member: `principal/${owner.id}`,
    };
    expect(await hostile.tries(remove)).toEqual(both('rule_group_unlisted'));
    const dissolve: Operation = { type: 'group.delete', group: 'contractors' };
    expect(await hostile.tries(dissolve)).toEqual(both('rule_not_permitted'));
    expect(await hostile.outcome(envelope, agent.signer, write)).toBe('deny');
  });
});

describe('law 2: resuming', () => {
  test('what its owner or an admin suspended', async () => {
    const { ledger } = hostile;
    const { owner, agent } = await honest(['staff']);
    const subject = `agent/${agent.id}`;
    const keys = [agent.signer.publicKey.thumbprint];
    const resume: Operation = { type: 'agent.resume', agent: agent.id, keys };
    const envelope = () => hostile.envelope({}, { owner, agent });
    ledger.ask({ type: 'agent.suspend', agent: agent.id }, subject, owner.signer);
    await hostile.publish();
    expect(await hostile.tries(resume)).toEqual(both('rule_rank_too_low'));
    ledger.do({ type: 'agent.suspend', agent: agent.id });
    await hostile.publish();
    expect(await hostile.tries(resume)).toEqual(both('rule_rank_too_low'));
    ledger.ask(resume, subject, owner.signer);
    await hostile.publish();
    const byOwner = await hostile.triesRequest(resume, subject, owner.signer);
    expect(byOwner).toEqual(both('rule_rank_too_low'));
    expect(await hostile.outcome(envelope(), agent.signer)).toBe('agent_not_active');
    ledger.do({ type: 'principal.suspend', principal: owner.id });
    await hostile.publish();
    const person: Operation = {
      type: 'principal.resume',
      principal: owner.id,
      keys: [owner.signer.publicKey.thumbprint],
    };
    expect(await hostile.tries(person)).toEqual(both('rule_rank_too_low'));
    expect(await hostile.outcome(envelope(), agent.signer)).toBe('subject_not_active');
  });

  test('what has no way back', async () => {
    const { owner, agent } = await honest(['staff']);
    hostile.ledger.do({ type: 'agent.revoke', agent: agent.id });
    hostile.ledger.do({ type: 'principal.deprovision', principal: owner.id });
    await hostile.publish();
    const resumeAgent: Operation = { type: 'agent.resume', agent: agent.id, keys: [] };
    expect(await hostile.tries(resumeAgent)).toEqual(both('rule_status'));
    const resume: Operation = { type: 'principal.resume', principal: owner.id, keys: [] };
    expect(await hostile.tries(resume)).toEqual(both('rule_status'));
  });

  test('by taking off a limit that the admins put on an agent', async () => {
    const { owner, agent } = await honest(['staff']);
    const limits = [{ ...permitAll, effect: 'forbid' }];
    hostile.ledger.do({ type: 'agent.limit', agent: agent.id, limits });
    await hostile.publish();
    const off: Operation = { type: 'agent.limit', agent: agent.id, limits: [] };
    expect(await hostile.tries(off)).toEqual(both('rule_not_permitted'));
    // With the owner's help she sets what owners set, and the admins' limit stays.
    hostile.ledger.ask(off, `agent/${agent.id}`, owner.signer, { relay: hostile.eve });
    await hostile.publish();
    expect(await hostile.outcome(hostile.envelope({}, { owner, agent }), agent.signer)).toBe('deny');
  });
});

describe('law 2: power over the log', () => {
  test('is not for a delegate: no admin, no lease, no log key, no rules', async () => {
    const own = newSigner();
    const key = own.publicKey.jwk;
    const { ledger } = hostile;
    const lease = ledger.lease({ operations: ['capability.mint'] });
    const notAfter = ledger.time + 600_000;
    const ops: readonly [Operation, readonly (typeof own)[]][] = [
      [{ type: 'admin.add', key }, [own]],
      [{ type: 'admin.remove', key: ledger.admin.publicKey.thumbprint }, []],
      [{ type: 'delegate.grant', key, lease }, [own]],
      [{ type: 'delegate.renew', key: hostile.eve.publicKey.thumbprint, notAfter }, []],
      [{ type: 'delegate.renew', key: hostile.mint.publicKey.thumbprint, notAfter }, []],
      [{ type: 'log.key', key }, [own]],
      [{ type: 'account.rules', rules: 1 }, []],
    ];
    for (const [op, cosigners] of ops) {
      const codes = await hostile.tries(op, cosigners);
      expect([op.type, ...codes]).toEqual([op.type, ...both('rule_not_permitted')]);
    }
  });

  test('nor for the log key or the mint key', async () => {
    const member = `principal/${hostile.world.alice.id}`;
    const op: Operation = { type: 'member.add', group: 'interns', member };
    const byLog = hostile.ledger.sign({ op }, hostile.world.log.signer);
    expect([await hostile.posted(byLog), await hostile.write(byLog)]).toEqual(both('rule_signer_unknown'));
    const byMint = hostile.ledger.sign({ op }, hostile.mint);
    expect([await hostile.posted(byMint), await hostile.write(byMint)]).toEqual(
      both('rule_operation_unlisted'),
    );
  });

  test('and a broken leaf does not brick the account', async () => {
    expect(await hostile.write('not.a.leaf')).toMatch(/^(?:encoding|json|jws|entry)_/u);
    const pair = await honest(['staff']);
    expect(await hostile.outcome(hostile.envelope({}, pair), pair.agent.signer)).toBe('allow');
    expect(hostile.follower.halted).toBeUndefined();
  });
});
