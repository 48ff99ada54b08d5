import { encodeBase64url, signJws } from '@bulla/verifier/envelope';
import { CompactRange, hashLeaf } from '@bulla/verifier/log';
import { describe, expect, test } from 'vitest';
import { createLedger, newSigner } from '../../kit/log.ts';
import { refuseStream, SampleLog } from './sample-log.ts';
import { newLog, start, useStage } from './stage.ts';

const stage = useStage();

describe('an honest log', () => {
  test('is replayed from genesis, and every entry appended later arrives', async () => {
    stage().grow('crew');
    const follower = stage().follow();
    await follower.ready;
    expect(follower.trust.read('group/crew')).toMatchObject({ status: 'active' });
    expect([follower.trust.size, follower.trust.root]).toEqual([
      2,
      encodeBase64url(stage().log.world.treeRoot()),
    ]);
    stage().log.ledger.do({ type: 'group.delete', group: 'crew' });
    stage().log.publish();
    await follower.until((trust) => trust.size === 3);
    expect(follower.trust.read('group/crew')).toMatchObject({ status: 'deleted' });
    expect(stage().alarms.filter(({ code }) => code !== 'log_unreachable')).toEqual([]);
  });

  test('of more entries than one answer carries', async () => {
    for (let index = 0; index < 1100; index += 1) stage().log.ledger.group(`g${index}`);
    stage().log.publish();
    const follower = stage().follow();
    await follower.ready;
    expect(follower.trust.size).toBe(1101);
  });

  test('ages with the clock, and is refreshed by a new signature over the same tree', async () => {
    const follower = stage().follow();
    expect(follower.trust.age(stage().now)).toBe(Infinity);
    await follower.ready;
    expect(follower.trust.age(start + 30)).toBe(30);
    stage().tick(40);
    await follower.until((trust) => trust.age(stage().now) === 0);
    expect(follower.trust.size).toBe(1);
  });

  test('a clock that is set back does not make the state younger than its newest signature allows', async () => {
    stage().tick(100);
    const follower = stage().follow();
    await follower.ready;
    expect(follower.trust.age(start)).toBe(0);
    expect(follower.trust.age(stage().now + 7)).toBe(7);
  });

  test('a leaf that breaks a rule is skipped with an alarm, and stays in the tree', async () => {
    const op = { type: 'group.create', group: 'evil', protected: false } as const;
    stage().log.ledger.force(stage().log.ledger.sign({ op }, newSigner()));
    stage().grow('crew');
    const follower = stage().follow();
    await follower.ready;
    expect(follower.trust.size).toBe(3);
    expect(follower.trust.read('group/evil')).toBeUndefined();
    expect(follower.trust.read('group/crew')).toBeDefined();
    expect(stage().alarms).toContainEqual(
      expect.objectContaining({ code: 'rule_signer_unknown', seq: 1, halted: false }),
    );
  });

  test('the stream is used once caught up, and when it is cut polling goes on', async () => {
    stage().log.openStreams();
    const follower = stage().follow();
    await follower.ready;
    stage().now = start + 1;
    stage().log.time = stage().now;
    await follower.until(() => {
      if (stage().log.streams > 0) return true;
      stage().log.sign();
      return false;
    });
    stage().grow('crew');
    await follower.until((trust) => trust.size === 2);
    stage().log.stream = refuseStream;
    stage().log.cutStreams();
    stage().grow('team');
    await follower.until((trust) => trust.size === 3);
    expect(follower.halted).toBeUndefined();
  });
});

test('whoever waits for a follower is told when it is closed', async () => {
  const follower = stage().follow();
  await follower.ready;
  const waiting = follower.until(() => false);
  await follower.close();
  await expect(waiting).rejects.toMatchObject({ code: 'follower_closed' });
});

describe('a log that lies', () => {
  test('rolled back below what was seen: refused, and the state ages', async () => {
    const old = stage().log.note;
    stage().grow('crew');
    const follower = stage().follow();
    await follower.ready;
    stage().log.note = old;
    await stage().alarmed('checkpoint_rolled_back');
    expect([follower.trust.size, follower.trust.age(start + 90)]).toEqual([2, 90]);
  });

  test('the same size with another root halts for good', async () => {
    const follower = stage().follow();
    await follower.ready;
    stage().log.sign({ root: Buffer.alloc(32, 1) });
    expect(await stage().alarmed('log_forked')).toMatchObject({ halted: true });
    expect([follower.halted?.code, follower.trust.age(stage().now)]).toEqual(['log_forked', Infinity]);
    await expect(follower.until(() => false)).rejects.toMatchObject({ code: 'log_forked' });
  });

  test('a false state root halts for good, at the same size and at a new one', async () => {
    const follower = stage().follow();
    await follower.ready;
    stage().grow('crew');
    stage().log.sign({ state: Buffer.alloc(32, 1) });
    expect(await stage().alarmed('state_root_differs')).toMatchObject({ halted: true });
    expect(follower.trust.age(stage().now)).toBe(Infinity);
  });

  test('a fork with more entries is never applied, and the state ages', async () => {
    stage().grow('crew');
    const follower = stage().follow();
    await follower.ready;
    const fork = newLog();
    fork.ledger.group('other');
    fork.ledger.group('third');
    fork.publish();
    stage().log.leaves.splice(0, Infinity, ...fork.leaves);
    stage().log.note = fork.note;
    await stage().alarmed('log_root_differs');
    expect(follower.trust.read('group/crew')).toBeDefined();
    expect(follower.trust.age(start + 90)).toBe(90);
    expect(follower.trust.read('group/third')).toBeUndefined();
    // The log has signed for three entries: saying two again, at a later time, refreshes nothing.
    stage().log.leaves.length = 0;
    stage().log.publish();
    await stage().alarmed('checkpoint_rolled_back');
    expect(follower.trust.age(start + 90)).toBe(90);
  });

  test('a clock set back behind what the log has signed does not make the state young', async () => {
    const follower = stage().follow();
    await follower.ready;
    stage().now = start + 60;
    stage().log.sign({ size: 2, time: start + 60 });
    await follower.until((trust) => trust.age(start) > 0);
    expect(follower.trust.age(start)).toBe(55);
  });

  test('entries withheld under a larger checkpoint: newer signatures over the old tree refresh nothing', async () => {
    const follower = stage().follow();
    await follower.ready;
    stage().log.ledger.group('crew');
    const withheld = stage().log.ledger.lastLeaf;
    const older = stage().log.note;
    stage().log.world.append(withheld);
    stage().log.sign({ size: 2 });
    const asked = stage().log.requests.length;
    await follower.until(() => stage().log.requests.length > asked + 3);
    stage().now = start + 50;
    stage().log.entries = (_request, response) => {
      response.end(`${JSON.stringify({ checkpoint: older })}\n`);
    };
    await stage().alarmed('checkpoint_rolled_back');
    expect(follower.trust.age(stage().now)).toBe(50);
    stage().log.entries = undefined;
    stage().log.leaves.push(withheld);
    stage().log.time = stage().now;
    stage().log.sign();
    await follower.until((trust) => trust.size === 2);
    expect(follower.trust.age(stage().now)).toBe(0);
  });

  test('a checkpoint older than one seen is refused', async () => {
    stage().tick(10);
    const follower = stage().follow();
    await follower.ready;
    stage().log.sign({ time: start + 9 });
    await stage().alarmed('checkpoint_time_back');
    expect(follower.trust.age(start + 20)).toBe(10);
  });

  test('a checkpoint from the future is refused', async () => {
    const follower = stage().follow();
    await follower.ready;
    stage().log.sign({ time: start + 6 });
    await stage().alarmed('checkpoint_future');
    expect(follower.trust.age(start + 20)).toBe(20);
  });

  test('another origin, another log key, another account', async () => {
    const follower = stage().follow();
    await follower.ready;
    stage().log.sign({ origin: 'elsewhere.example' });
    await stage().alarmed('checkpoint_origin_wrong');
    const other = new SampleLog(createLedger({ time: start }));
    stage().log.note = other.note;
    await stage().alarmed('checkpoint_unsigned');
    const stranger = stage().follow({ account: other.ledger.account });
    await stage().alarmed('log_unreachable');
    expect([stranger.trust.size, stranger.trust.age(stage().now)]).toEqual([0, Infinity]);
  });

  test('the genesis of another account', async () => {
    stage().log.leaves[0] = createLedger({ time: start }).lastLeaf;
    const follower = stage().follow();
    await stage().alarmed('genesis_mismatch');
    expect([follower.trust.size, follower.trust.age(stage().now)]).toEqual([0, Infinity]);
  });

  test('an operation that these rules do not know halts, once the log has signed for it', async () => {
    const follower = stage().follow();
    await follower.ready;
    const { account, seq, prevHash } = stage().log.ledger.position;
    const { admin } = stage().log.ledger;
    const payload = { v: 1, account, seq, prev: prevHash ?? '', time: start, op: { type: 'galaxy.create' } };
    const leaf = signJws('bulla-entry+jwt', { kid: admin.publicKey.thumbprint }, payload, admin);
    stage().log.entries = (_request, response) => {
      response.end(`${JSON.stringify({ leaf })}\n${JSON.stringify({ checkpoint: stage().log.note })}\n`);
    };
    await stage().alarmed('log_answer_invalid');
    expect([follower.halted, follower.trust.age(start + 9)]).toEqual([undefined, 9]);
    const range = new CompactRange();
    for (const each of [...stage().log.leaves, leaf]) range.append(hashLeaf(Buffer.from(each)));
    stage().log.sign({ size: 2, root: range.root() });
    expect(await stage().alarmed('entry_unknown')).toMatchObject({ halted: true });
    expect(follower.trust.age(stage().now)).toBe(Infinity);
  });

  test('a delegate entry dated more than a minute before a checkpoint that lacked it halts', async () => {
    const eve = stage().log.ledger.grant({ operations: ['capability.revoke'] });
    const op = { type: 'capability.revoke', jti: 'one', exp: stage().now + 9000 } as const;
    const other = { ...op, jti: 'two' };
    stage().tick(200);
    const follower = stage().follow();
    await follower.ready;
    stage().log.ledger.append(stage().log.ledger.sign({ op }, eve, [], { time: stage().now - 60 }));
    stage().log.publish();
    await follower.until((trust) => trust.size === 3);
    stage().tick(200);
    await follower.until((trust) => trust.age(stage().now) === 0);
    stage().log.ledger.append(
      stage().log.ledger.sign({ op: other }, stage().log.ledger.admin, [], { time: stage().now - 100 }),
    );
    stage().log.publish();
    await follower.until((trust) => trust.size === 4);
    const third = { ...op, jti: 'three' };
    stage().log.ledger.append(stage().log.ledger.sign({ op: third }, eve, [], { time: stage().now - 61 }));
    stage().log.publish();
    expect(await stage().alarmed('entry_backdated')).toMatchObject({ halted: true });
    expect([follower.trust.size, follower.trust.age(stage().now)]).toEqual([4, Infinity]);
  });
});
