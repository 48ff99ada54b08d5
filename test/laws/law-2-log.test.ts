import { signRoot } from '@bulla/verifier/envelope';
import { leafHash } from '@bulla/verifier/log';
import { afterEach, describe, expect, test } from 'vitest';
import { newSigner, testDomain } from '../kit/log.ts';
import { Doctored } from './doctored.ts';
import { Api, rootClaims } from './hostile.ts';

// Law 2, the log key: Eve signs and serves what she likes from a server of her own. Who reads it denies, or sees
// nothing wider than the admins wrote.

let doctored: Doctored;
afterEach(() => doctored.close());

describe('law 2: what Eve serves', () => {
  test('a false state root, so that an invented record counts: halts for good', async () => {
    doctored = await Doctored.open();
    const { follower, api } = await doctored.reader();
    expect(await doctored.outcome(api)).toBe('allow');
    doctored.log.sign({ state: Buffer.alloc(32, 7) });
    await doctored.alarmed('state_root_differs');
    expect(follower.halted?.code).toBe('state_root_differs');
    expect(await doctored.outcome(api)).toBe('trust_stale');
    doctored.log.sign();
    expect(await doctored.outcome(api)).toBe('trust_stale');
  });

  test('a false state root from the first byte on, for a process without memory', async () => {
    doctored = await Doctored.open();
    doctored.log.sign({ state: Buffer.alloc(32, 7) });
    const follower = doctored.follow();
    await expect(follower.ready).rejects.toMatchObject({ code: 'state_root_differs' });
  });

  test('a policy set that is not the one published', async () => {
    doctored = await Doctored.open();
    const [digest = ''] = doctored.world.documents.keys();
    const honest = doctored.log.policies.get(digest) ?? Buffer.from('');
    const wide = honest.toString().replace('"effect":"forbid"', '"effect":"permit"');
    expect(wide).not.toBe(honest.toString());
    doctored.log.policies.set(digest, Buffer.from(wide));
    const follower = doctored.follow();
    await follower.ready;
    await doctored.alarmed('policy_document_invalid');
    const api = new Api(follower.trust, () => doctored.now);
    expect(await doctored.outcome(api)).toBe('policy_unavailable');
  });

  test('an entry with its second signature stripped, to one reader', async () => {
    const admins = [newSigner(), newSigner()];
    doctored = await Doctored.open(admins, 2);
    const { ledger } = doctored.world;
    const whole = await doctored.reader();
    const size = ledger.leaves.length;
    ledger.do({ type: 'agent.suspend', agent: doctored.world.agent.id });
    const [stripped = ''] = ledger.lastLeaf.split('~');
    expect(stripped).not.toBe(ledger.lastLeaf);
    doctored.log.publish();
    await expect
      .poll(() => doctored.outcome(whole.api), { interval: 5, timeout: 5000 })
      .toBe('agent_not_active');

    // Under the signed tree the stripped leaf hashes to another root.
    const honest = doctored.log.lines(0);
    doctored.log.entries = (_, response) => {
      response.end(honest.replace(JSON.stringify(ledger.lastLeaf), JSON.stringify(stripped)));
    };
    const first = doctored.follow();
    await doctored.alarmed('log_root_differs');
    expect(first.trust.size).toBe(0);

    // Under a tree of its own the leaf breaks a rule; everything the admins sign from then on does not fit that tree.
    const fork = doctored.fork(size);
    fork.ledger.force(stripped);
    fork.publish();
    doctored.serve(fork);
    doctored.alarms.length = 0;
    const deceived = await doctored.reader();
    expect(await doctored.alarmed('rule_threshold_unmet')).toMatchObject({ seq: size });
    ledger.group('later');
    fork.ledger.force(ledger.lastLeaf);
    fork.publish();
    expect(await doctored.alarmed('rule_prev_mismatch')).toMatchObject({ seq: size + 1 });
    // The alarm may have been another follower's.
    await deceived.follower.until((trust) => trust.size === size + 2);
    expect(leafHash(stripped)).not.toBe(leafHash(ledger.leaves[size] ?? ''));

    // And whoever sees both trees knows.
    doctored.log.publish();
    doctored.log.entries = undefined;
    await expect(deceived.follower.until(() => false)).rejects.toMatchObject({ code: 'log_forked' });
    expect(await doctored.outcome(deceived.api)).toBe('trust_stale');
  });

  test('a second signature added where none is needed', async () => {
    doctored = await Doctored.open();
    const { ledger } = doctored.world;
    const mallory = ledger.person();
    const leaf = ledger.sign(
      { op: { type: 'group.create', group: 'more', protected: false } },
      ledger.admin,
      [mallory.signer],
    );
    expect(ledger.codeOf(leaf)).toBe('rule_signature_unneeded');
  });
});

describe('law 2: an older log', () => {
  /** Serves only the first `size` leaves, freshly signed. */
  const rollBack = (size: number) => {
    const past = doctored.fork(size);
    doctored.serve(past);
    return past;
  };

  test('below the lock is refused by a process without memory', async () => {
    doctored = await Doctored.open();
    const lock = doctored.writeLock();
    rollBack(doctored.log.leaves.length - 1);
    const follower = doctored.follow({ lock });
    await doctored.alarmed('checkpoint_rolled_back');
    expect(follower.trust.size).toBe(0);
    expect(follower.trust.age(doctored.now)).toBe(Number.POSITIVE_INFINITY);
  });

  test('at the lock, with another history, is refused for good', async () => {
    doctored = await Doctored.open();
    const lock = doctored.writeLock();
    const size = doctored.log.leaves.length;
    const other = doctored.fork(size - 1);
    other.ledger.group('other');
    other.publish();
    doctored.serve(other);
    await expect(doctored.follow({ lock }).ready).rejects.toMatchObject({ code: 'lock_mismatch' });
  });

  test('below what was seen is refused, and the state ages', async () => {
    doctored = await Doctored.open();
    const { follower, api } = await doctored.reader();
    const size = follower.trust.size;
    const past = rollBack(size - 2);
    await doctored.alarmed('checkpoint_rolled_back');
    expect(follower.trust.size).toBe(size);
    doctored.tick(61);
    past.time = doctored.now;
    past.sign();
    expect(await doctored.outcome(api)).toBe('trust_stale');
  });

  test('below what was seen is refused after a restart from the disk', async () => {
    doctored = await Doctored.open();
    const { directory } = doctored;
    const before = await doctored.reader({ directory });
    const { size } = before.follower.trust;
    await before.follower.close();
    rollBack(size - 2);
    const after = doctored.follow({ directory });
    await doctored.alarmed('checkpoint_rolled_back');
    await after.until((trust) => trust.size === size);
    expect(after.halted).toBeUndefined();
  });

  test('with a delegate entry dated back behind the lock is refused for good', async () => {
    doctored = await Doctored.open();
    const { ledger } = doctored.world;
    ledger.trustDomain();
    const eve = ledger.grant({ operations: ['principal.provision'], notAfter: ledger.time + 600 });
    doctored.log.publish();
    const start = ledger.time;
    doctored.tick(7200);
    const lock = doctored.writeLock();
    // Two hours later the lease is long over. Nothing else was written since, so only the lock knows how late it is.
    const op = {
      type: 'principal.provision',
      groups: [],
      attributes: {},
      sponsor: false,
      domain: testDomain,
    } as const;
    ledger.append(ledger.sign({ op }, eve, [], { time: start + 500 }));
    doctored.log.publish();
    await expect(doctored.follow({ lock }).ready).rejects.toMatchObject({ code: 'entry_backdated' });
  });
});

describe('law 2: a fork', () => {
  test('of one size and two roots halts whoever sees both', async () => {
    doctored = await Doctored.open();
    const { follower, api } = await doctored.reader();
    const other = doctored.fork(follower.trust.size - 1);
    other.ledger.group('other');
    other.publish();
    doctored.serve(other);
    await doctored.alarmed('log_forked');
    expect(follower.halted?.code).toBe('log_forked');
    expect(await doctored.outcome(api)).toBe('trust_stale');
  });

  test('by a removed admin, from before the removal, is no match for the lock', async () => {
    const [staying, leaving] = [newSigner(), newSigner()];
    doctored = await Doctored.open([staying, leaving], 1);
    const { ledger } = doctored.world;
    const size = ledger.leaves.length;
    ledger.do({ type: 'admin.remove', key: leaving.publicKey.thumbprint }, [], staying);
    doctored.log.publish();
    const lock = doctored.writeLock();
    const fork = doctored.fork(size);
    const own = newSigner();
    const op = { type: 'admin.add', key: own.publicKey.jwk } as const;
    fork.ledger.append(fork.ledger.sign({ op }, leaving, [own]));
    fork.publish();
    expect(ledger.codeOf(ledger.sign({ op }, leaving, [own]))).toBe('rule_signer_unknown');
    doctored.serve(fork);
    await expect(doctored.follow({ lock }).ready).rejects.toMatchObject({ code: 'lock_mismatch' });
  });
});

describe('law 2: a suspension withheld under fresh timestamps', () => {
  const frozen = async () => {
    doctored = await Doctored.open();
    const reader = await doctored.reader();
    doctored.world.ledger.do({ type: 'agent.suspend', agent: doctored.world.agent.id });
    doctored.tick(50);
    await reader.follower.until((trust) => trust.age(doctored.now) < 1);
    return { ...reader, leaf: doctored.world.ledger.lastLeaf };
  };
  /** What Eve mints: the epochs are those of the tree that she shows. */
  const minted = (epoch: { principal: number; agent: number }) => {
    const { world } = doctored;
    const pair = { owner: world.alice, agent: world.agent };
    return signRoot(rootClaims(world.ledger, pair, doctored.now, { epoch }), world.mint);
  };
  const shown = { principal: 1, agent: 0 };

  test('is not noticed by the log alone: this is what is not defended', async () => {
    const { api } = await frozen();
    expect(await doctored.outcome(api, minted(shown))).toBe('allow');
  });

  test('is denied at once after `bulla stop`', async () => {
    const { follower, api, leaf } = await frozen();
    expect(await doctored.outcome(api, minted(shown))).toBe('allow');
    await follower.stop(leaf);
    expect(await doctored.outcome(api, minted(shown))).toBe('agent_not_active');
    doctored.tick(50);
    await follower.until((trust) => trust.age(doctored.now) < 1);
    expect(await doctored.outcome(api, minted(shown))).toBe('agent_not_active');
  });

  test('is denied in any case when the lease ends', async () => {
    const { follower, api } = await frozen();
    doctored.tick(86_400);
    await follower.until((trust) => trust.age(doctored.now) < 1);
    expect(await doctored.outcome(api, minted(shown))).toBe('mint_not_trusted');
  });

  test('cannot be outlived by a renewal: that entry drags the suspension along', async () => {
    const { follower, api } = await frozen();
    const { ledger } = doctored.world;
    const key = doctored.world.mint.publicKey.thumbprint;
    const notAfter = ledger.time + 86_400;
    ledger.do({ type: 'delegate.renew', key, notAfter });
    const without = doctored.fork(doctored.log.leaves.length);
    expect(without.ledger.codeOf(ledger.lastLeaf)).toBe('rule_seq_mismatch');
    without.ledger.group('in-its-place');
    expect(without.ledger.codeOf(ledger.lastLeaf)).toBe('rule_prev_mismatch');
    doctored.log.publish();
    await follower.until((trust) => trust.read(`delegate/${key}`)?.lease.notAfter === notAfter);
    expect(await doctored.outcome(api, minted(shown))).toBe('agent_not_active');
  });
});
