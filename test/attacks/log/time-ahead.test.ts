import { expect, test } from 'vitest';
import { start, useStage } from '../../verifier/log-tree/stage.ts';

// The times of entries fill a lease's bucket. An issuer that may date its entries freely could spend a week's worth at once,
// and, since no entry may be older than the one before, leave admins unable to write until the clock has caught up.

const stage = useStage();

test('a delegate does not refill its bucket with entries from the future', async () => {
  const { ledger } = stage().log;
  const delegate = ledger.grant({ operations: ['capability.revoke'], maxEntriesPerHour: 1 });
  stage().log.publish();
  const follower = stage().follow({ directory: stage().directory });
  await follower.ready;
  for (let hour = 1; hour <= 3; hour += 1) {
    ledger.time = start + 3600 * hour;
    ledger.do({ type: 'capability.revoke', jti: `j${hour}`, exp: start }, [], delegate);
  }
  stage().log.publish();
  expect(await stage().alarmed('rule_time_ahead')).toMatchObject({ halted: false });
  expect(follower.trust.size).toBe(2);
  // What was signed is known: the smaller state ages, whatever is signed now.
  stage().now += 30;
  expect(follower.trust.age(stage().now)).toBe(30);

  stage().now = ledger.time;
  await follower.until((trust) => trust.size === 5);
  expect(follower.trust.age(stage().now)).toBe(stage().now - start);

  // A restart takes its own copy as it is, also with a clock that was set back.
  await follower.close();
  stage().now = start;
  const again = stage().follow({ directory: stage().directory });
  await again.ready;
  expect(again.trust.size).toBe(5);
});

test('an entry a little ahead of the clock is taken', async () => {
  const follower = stage().follow();
  await follower.ready;
  stage().log.ledger.time = start + 60;
  stage().grow('crew');
  await follower.until((trust) => trust.size === 2);
  expect(stage().alarms.filter(({ code }) => code === 'rule_time_ahead')).toEqual([]);
});
