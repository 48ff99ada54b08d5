import { memoryReplay } from '@bulla/verifier';
import { signBlock } from '@bulla/verifier/envelope';
import { raiseLock } from '@bulla/verifier/log';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ApiWorld, notesPolicy, outcomeOf, readNote } from '../kit/api.ts';
import { FederatedWorld } from '../kit/federation.ts';
import { newSigner } from '../kit/log.ts';
import { Doctored } from './doctored.ts';

// Law 7: nothing goes back.

describe('law 7: the log', () => {
  let doctored: Doctored;
  beforeEach(async () => {
    doctored = await Doctored.open();
  });
  afterEach(() => doctored.close());

  test('a checkpoint smaller than one already seen is refused, and refreshes nothing', async () => {
    const { follower, api } = await doctored.reader();
    const { size } = follower.trust;
    const past = doctored.fork(size - 1);
    doctored.serve(past);
    await doctored.alarmed('checkpoint_rolled_back');
    expect(follower.trust.size).toBe(size);
    expect(await doctored.outcome(api)).toBe('allow');
    doctored.tick(61);
    past.time = doctored.now;
    past.sign();
    expect(await doctored.outcome(api)).toBe('trust_stale');
  });

  test('a checkpoint of an earlier time is refused', async () => {
    const { follower } = await doctored.reader();
    doctored.tick(30);
    await follower.until((trust) => trust.age(doctored.now) < 1);
    doctored.log.sign({ time: doctored.now - 1 });
    await doctored.alarmed('checkpoint_time_back');
    expect(follower.trust.age(doctored.now)).toBe(0);
  });

  test('a fork halts, and stays halted when the first history comes back', async () => {
    const { follower, api } = await doctored.reader();
    const other = doctored.fork(follower.trust.size - 1);
    other.ledger.group('other');
    other.publish();
    doctored.serve(other);
    await doctored.alarmed('log_forked');
    doctored.log.entries = undefined;
    doctored.tick(1);
    await expect(follower.until(() => false)).rejects.toMatchObject({ code: 'log_forked' });
    expect(await doctored.outcome(api)).toBe('trust_stale');
  });

  test('the lock is raised by what was seen, and lowered by nobody', async () => {
    const file = doctored.writeLock();
    const low = doctored.lock();
    const { follower } = await doctored.reader({ lock: file });
    doctored.world.ledger.group('later');
    doctored.tick(1);
    doctored.log.publish();
    await follower.until((trust) => trust.size > low.size);
    await follower.close();
    await expect(raiseLock(file, low)).rejects.toMatchObject({ code: 'lock_lowered' });
    const other = { ...doctored.lock(), root: low.root };
    await expect(raiseLock(file, other)).rejects.toMatchObject({ code: 'lock_mismatch' });
  });
});

describe('law 7: who comes back', () => {
  let world: ApiWorld;
  beforeEach(() => {
    world = new ApiWorld();
  });

  test('a re-enabled person’s old envelopes and keys stay dead', async () => {
    const { ledger, alice, agent } = world;
    const old = world.envelope();
    const oldKey = agent.signer.publicKey.thumbprint;
    expect(await world.outcome(old)).toBe('allow');
    ledger.do({ type: 'principal.suspend', principal: alice.id });
    expect(await world.outcome(old)).toBe('subject_not_active');
    ledger.do({ type: 'principal.resume', principal: alice.id, keys: [] });
    // The person is back; the key she had, the agents she had and what was minted for them are not.
    expect(await world.outcome(old)).toBe('subject_not_active');
    expect(await world.outcome(world.envelope())).toBe('agent_not_active');
    const add = {
      type: 'key.add',
      subject: `principal/${alice.id}`,
      key: alice.signer.publicKey.jwk,
    } as const;
    expect(ledger.codeOf(ledger.sign({ op: add }, ledger.admin, [alice.signer]))).toBe('rule_key_known');
    const asked = ledger.signRequest(
      { type: 'agent.suspend', agent: agent.id },
      `agent/${agent.id}`,
      alice.signer,
    );
    expect(ledger.codeOf(ledger.sign({ request: asked }))).toBe('rule_key_not_live');
    // The agent comes back without its old key, then with a new one: the old key and the old envelope do not.
    ledger.do({ type: 'agent.resume', agent: agent.id, keys: [] });
    expect(await world.outcome(world.envelope())).toBe('holder_key_not_live');
    const fresh = newSigner();
    ledger.do({ type: 'key.add', subject: `agent/${agent.id}`, key: fresh.publicKey.jwk }, [fresh]);
    const now = world.envelope({ cnf: { jkt: fresh.publicKey.thumbprint } });
    expect(await world.outcome(now, readNote(), fresh)).toBe('allow');
    expect(await world.outcome(world.envelope({ cnf: { jkt: oldKey } }))).toBe('holder_key_not_live');
    expect(await world.outcome(old)).toBe('subject_not_active');
  });

  test('a re-enabled agent’s old envelopes stay dead, though its key survives', async () => {
    const { ledger, agent } = world;
    const old = world.envelope();
    ledger.do({ type: 'agent.suspend', agent: agent.id });
    ledger.do({ type: 'agent.resume', agent: agent.id, keys: [agent.signer.publicKey.thumbprint] });
    expect(await world.outcome(old)).toBe('agent_not_active');
    expect(await world.outcome(world.envelope())).toBe('allow');
  });

  test('what a re-enabled agent was handed before stays dead, though its key survives', async () => {
    const { ledger, agent } = world;
    const bob = ledger.person();
    const sub = ledger.agent(bob);
    const key = sub.signer.publicKey;
    const last = newSigner();
    const root = world.envelope();
    const block = { iat: world.now, depth: 3, next: key.jwk };
    const old = signBlock(root, block, agent.signer);
    const further = signBlock(old, { ...block, depth: 2, next: last.publicKey.jwk }, sub.signer);
    expect(await world.outcome(old, readNote(), sub.signer)).toBe('allow');
    expect(await world.outcome(further, readNote(), last)).toBe('allow');
    world.now += 10;
    ledger.time = world.now;
    ledger.do({ type: 'agent.suspend', agent: sub.id });
    ledger.do({ type: 'agent.resume', agent: sub.id, keys: [key.thumbprint] });
    expect(await world.outcome(old, readNote(), sub.signer)).toBe('agent_not_active');
    expect(await world.outcome(further, readNote(), last)).toBe('agent_not_active');
    world.now = ledger.time;
    const anew = signBlock(root, { ...block, iat: world.now }, agent.signer);
    expect(await world.outcome(anew, readNote(), sub.signer)).toBe('allow');
  });

  const ways = [
    [
      'suspended and resumed',
      (id: string, keys: readonly string[]) => {
        world.ledger.do({ type: 'principal.suspend', principal: id });
        world.ledger.do({ type: 'principal.resume', principal: id, keys });
      },
    ],
    [
      'taken out of a group',
      (id: string) => {
        world.ledger.do({ type: 'member.remove', group: 'team', member: `principal/${id}` });
      },
    ],
  ] as const;
  test.each(ways)(
    'what a person was handed before they were %s stays dead, though their key survives',
    async (_, leave) => {
      const { ledger, agent } = world;
      ledger.group('team');
      const bob = ledger.person({ groups: ['team'] });
      const key = bob.signer.publicKey;
      const root = world.envelope();
      const block = { iat: world.now, depth: 3, next: key.jwk };
      const old = signBlock(root, block, agent.signer);
      expect(await world.outcome(old, readNote(), bob.signer)).toBe('allow');
      world.now += 10;
      ledger.time = world.now;
      leave(bob.id, [key.thumbprint]);
      expect(await world.outcome(old, readNote(), bob.signer)).toBe('subject_not_active');
      world.now = ledger.time;
      const anew = signBlock(root, { ...block, iat: world.now }, agent.signer);
      expect(await world.outcome(anew, readNote(), bob.signer)).toBe('allow');
    },
  );

  test('a re-enabled agent’s old outside tokens stay dead, whatever the mint makes of them', async () => {
    const job = new FederatedWorld();
    const { ledger, agent } = job;
    const old = { ...job.federated() };
    expect(await job.outcome(job.envelope(old), readNote(), job.job)).toBe('allow');
    ledger.time = job.now;
    ledger.do({ type: 'agent.suspend', agent: agent.id });
    ledger.do({ type: 'agent.resume', agent: agent.id, keys: [] });
    const epoch = { principal: 1, agent: 2 };
    expect(await job.outcome(job.envelope({ ...old, epoch }), readNote(), job.job)).toBe('federation_time');
    const fresh = job.federated({ iat: ledger.time });
    expect(await job.outcome(job.envelope({ ...fresh, epoch }), readNote(), job.job)).toBe('allow');
  });

  test('what is revoked or deleted has no way back, and no name is used twice', () => {
    const { ledger, alice, agent } = world;
    const key = newSigner();
    const code = (op: Parameters<typeof ledger.do>[0], cosigners: ReturnType<typeof newSigner>[] = []) =>
      ledger.codeOf(ledger.sign({ op }, ledger.admin, cosigners));
    ledger.do({ type: 'agent.revoke', agent: agent.id });
    expect(code({ type: 'agent.resume', agent: agent.id, keys: [] })).toBe('rule_status');
    expect(code({ type: 'key.add', subject: `agent/${agent.id}`, key: key.publicKey.jwk }, [key])).toBe(
      'rule_status',
    );
    const again = {
      type: 'agent.register',
      owner: alice.id,
      kind: 'autonomous',
      key: agent.signer.publicKey.jwk,
    } as const;
    expect(code(again, [agent.signer])).toBe('rule_key_known');
    ledger.do({ type: 'delegate.revoke', key: world.mint.publicKey.thumbprint });
    const lease = ledger.lease({ operations: ['capability.mint'] });
    expect(code({ type: 'delegate.grant', key: world.mint.publicKey.jwk, lease }, [world.mint])).toBe(
      'rule_key_known',
    );
    ledger.do({ type: 'group.delete', group: 'staff' });
    expect(code({ type: 'group.create', group: 'staff', protected: true })).toBe('rule_group_known');
    ledger.do({ type: 'policy.retire', slot: 'main' });
    const digest = [...world.documents.keys()][0] ?? '';
    expect(code({ type: 'policy.publish', slot: 'main', digest })).toBe('rule_slot_retired');
    ledger.do({ type: 'principal.deprovision', principal: alice.id });
    expect(code({ type: 'principal.resume', principal: alice.id, keys: [] })).toBe('rule_status');
  });

  test('an entry does not go back in time or place', () => {
    const { ledger } = world;
    const op = { type: 'group.create', group: 'late', protected: false } as const;
    expect(ledger.codeOf(ledger.sign({ op }, ledger.admin, [], { time: ledger.time - 1 }))).toBe(
      'rule_time_backwards',
    );
    const leaf = ledger.sign({ op });
    ledger.append(leaf);
    expect(ledger.codeOf(leaf)).toBe('rule_seq_mismatch');
  });

  test('a policy of before is superseded, also when the same set comes back for an older envelope', async () => {
    const old = world.envelope();
    world.publish({ ...notesPolicy, policies: {} });
    expect(await world.outcome(old)).toBe('policy_superseded');
  });
});

describe('law 7: a clock that is set back', () => {
  test('brings no expired envelope back to life', async () => {
    const world = new ApiWorld();
    const envelope = world.envelope();
    expect(await world.outcome(envelope)).toBe('allow');
    world.now += 300;
    expect(await world.outcome(envelope)).toBe('envelope_expired');
    world.now -= 300;
    expect(await world.outcome(envelope)).toBe('envelope_expired');
  });

  test('brings no ended lease back to life', async () => {
    const world = new ApiWorld();
    const { notAfter } = world.ledger.read(`delegate/${world.mint.publicKey.thumbprint}`)?.lease ?? {
      notAfter: 0,
    };
    const envelope = world.envelope();
    const start = world.now;
    world.now = notAfter;
    expect(await world.outcome(world.envelope())).toMatch(/^mint_/u);
    world.now = start;
    expect(await world.outcome(envelope)).toBe('envelope_expired');
  });

  test('makes no spent proof good, not for the memory of the store either', async () => {
    const world = new ApiWorld();
    const replay = memoryReplay({ processes: 1, startedAt: world.now - 3600 });
    const envelope = world.envelope();
    const spent = world.request({ envelope });
    expect(await outcomeOf(world.verifierWith({ replay }).decide(spent, readNote()))).toBe('allow');
    world.now += 200;
    const later = world.request({ envelope: world.envelope() });
    expect(await outcomeOf(world.verifierWith({ replay }).decide(later, readNote()))).toBe('allow');
    world.now -= 200;
    // Another verifier, whose clock was never ahead: what the store has forgotten it refuses by age.
    expect(await outcomeOf(world.verifierWith({ replay }).decide(spent, readNote()))).toBe('proof_time');
  });

  test('makes no state younger', async () => {
    const doctored = await Doctored.open();
    try {
      const { follower } = await doctored.reader();
      doctored.tick(100);
      await follower.until((trust) => trust.age(doctored.now) < 1);
      await follower.close();
      expect(follower.trust.age(doctored.now + 100)).toBe(100);
      expect(follower.trust.age(doctored.now - 1000)).toBe(0);
      expect(follower.trust.age(doctored.now + 100)).toBe(100);
    } finally {
      await doctored.close();
    }
  });
});
