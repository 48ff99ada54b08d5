import { IssuerRefusal } from '../errors.ts';

/** Who tries: the client that is named, and the key that signed the proof of the request. */
interface Guess {
  readonly clientId: string;
  readonly keyThumbprint: string;
}

/**
 * Slows down the guessing of client secrets.
 *
 * Ten failures lock a client for a minute, the next ten for two, up to a quarter of an hour; what is tried while it is locked
 * is neither compared nor counted, so every lock ends by itself. A key that has once come with the right secret is counted apart:
 * a stranger who keeps guessing locks out other strangers, not the agent that is at work. What he can delay, for as long
 * as he keeps at it, is an agent with a key that was never seen since this process started.
 *
 * In memory: a restart forgives. Secrets of 256 bits (`bulla secret new`) do not need any of this; secrets that people made do.
 */
export interface Lockout {
  /** @throws {IssuerRefusal} `client_locked`, with `retryAfterSeconds`. */
  requireOpen(guess: Guess): void;
  failed(guess: Guess): void;
  succeeded(guess: Guess): void;
}

interface Tries {
  failures: number;
  locks: number;
  lockedUntil: number;
}

const failuresToLock = 10;
const firstLockSeconds = 60;
const maxLockSeconds = 900;
/** After so long without one, locks are short again. */
const calmSeconds = 3600;
const maxTracked = 10_000;
const maxKnownKeys = 10_000;

/** @param now Unix seconds, never going back. */
export function createLockout(now: () => number): Lockout {
  const tries = new Map<string, Tries>();
  const knownKeys = new Set<string>();
  const nameOf = ({ clientId, keyThumbprint }: Guess): string => {
    const own = `${clientId}\n${keyThumbprint}`;
    return knownKeys.has(own) ? own : clientId;
  };
  return {
    requireOpen: (guess) => {
      const seconds = (tries.get(nameOf(guess))?.lockedUntil ?? 0) - now();
      if (seconds <= 0) return;
      const retryAfterSeconds = Math.ceil(seconds);
      throw new IssuerRefusal(
        'client_locked',
        `too many wrong secrets for this client: try again in ${retryAfterSeconds} s`,
        { details: { retryAfterSeconds } },
      );
    },
    failed: (guess) => {
      const name = nameOf(guess);
      const known = tries.get(name) ?? { failures: 0, locks: 0, lockedUntil: 0 };
      tries.delete(name);
      tries.set(name, known);
      if (now() > known.lockedUntil + calmSeconds) known.locks = 0;
      known.failures += 1;
      if (known.failures >= failuresToLock) {
        known.failures = 0;
        known.lockedUntil = now() + Math.min(maxLockSeconds, firstLockSeconds * 2 ** known.locks);
        known.locks = Math.min(known.locks + 1, 16);
      }
      if (tries.size > maxTracked) tries.delete(tries.keys().next().value ?? name);
    },
    succeeded: (guess) => {
      tries.delete(nameOf(guess));
      const own = `${guess.clientId}\n${guess.keyThumbprint}`;
      knownKeys.delete(own);
      knownKeys.add(own);
      if (knownKeys.size > maxKnownKeys) knownKeys.delete(knownKeys.keys().next().value ?? own);
    },
  };
}
