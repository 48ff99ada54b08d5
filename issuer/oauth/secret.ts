import { createHash, timingSafeEqual } from 'node:crypto';
import type { AccountConfig } from '../config.ts';
import { IssuerRefusal } from '../errors.ts';
import { createLockout } from './lockout.ts';

/** A secret as it was presented. */
interface PresentedSecret {
  /** `agt_…`. */
  readonly clientId: string;
  readonly secret: string;
  /** Of the key that signed the proof of this request. */
  readonly keyThumbprint: string;
}

/**
 * Authenticates an agent by its client secret.
 *
 * @throws {IssuerRefusal} `client_unauthenticated`, `client_locked`.
 */
export type CheckSecret = (presented: PresentedSecret) => void;

/**
 * Client secrets of an account. Every configured hash is compared, each in constant time, so that the answer's timing says
 * nothing about them. Only clients that have a secret are ever locked, so made-up ones fill no memory.
 */
export function createSecretCheck(secrets: AccountConfig['clientSecrets'], now: () => number): CheckSecret {
  const known = secrets.map(({ agent, sha256, notAfter }) => ({
    agent,
    hash: Buffer.from(sha256, 'base64url'),
    notAfter: notAfter ?? Infinity,
  }));
  const agents = new Set(known.map(({ agent }) => agent));
  const lockout = createLockout(now);
  return ({ clientId, secret, keyThumbprint }) => {
    const guess = { clientId, keyThumbprint };
    // Before the comparison: while it is locked, an answer must not tell a right guess from a wrong one.
    lockout.requireOpen(guess);
    const hash = createHash('sha256').update(secret).digest();
    const matches = known.filter((candidate) => {
      const same = timingSafeEqual(candidate.hash, hash);
      return same && candidate.agent === clientId;
    });
    const valid = matches.some(({ notAfter }) => notAfter > now());
    if (valid) {
      lockout.succeeded(guess);
      return;
    }
    // A right secret that has expired is no guess.
    if (matches.length === 0 && agents.has(clientId)) lockout.failed(guess);
    throw new IssuerRefusal(
      'client_unauthenticated',
      matches.length === 0 ? 'client secret is wrong, or the client has none' : 'client secret has expired',
    );
  };
}
