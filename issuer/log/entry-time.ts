import { type Change, isTimedByDelegate, type Read } from '@bulla/verifier/log';
import { IssuerRefusal } from '../errors.ts';

/** How far an entry's time may be from the issuer's clock: typing a passphrase takes a while, a wrong clock takes longer. */
const maxEntryAheadSeconds = 5;
const maxEntryBehindSeconds = 600;
/** Followers halt for good on a delegate's entry over 60 s older than a checkpoint that lacks it (`entry_backdated`). */
const maxDelegateEntryBehindSeconds = 30;

/** `time` and `now`: Unix seconds. @throws {IssuerRefusal} `entry_time_off`. */
export function requireTime(time: number, now: number): void {
  // A time ahead would hold up every later entry, whose time may not be less.
  if (time > now + maxEntryAheadSeconds || time < now - maxEntryBehindSeconds) {
    throw new IssuerRefusal(
      'entry_time_off',
      'entry time is too far from the issuer clock; compare clocks, sign again',
    );
  }
}

/** One delegate with a slow clock must not be able to stop every follower. @throws {IssuerRefusal} `entry_time_off`. */
export function requireDelegateTime(read: Read, change: Change, now: number): void {
  if (!isTimedByDelegate(read, change) || change.time >= now - maxDelegateEntryBehindSeconds) return;
  throw new IssuerRefusal(
    'entry_time_off',
    `entry of a delegate is over ${maxDelegateEntryBehindSeconds} s behind the issuer clock; sign it when it is sent`,
  );
}
