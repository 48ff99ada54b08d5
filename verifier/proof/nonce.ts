import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { encodeBase64url } from '../base64url.ts';
import { limits } from '../limits.ts';

/** Nonces for `DPoP-Nonce` (RFC 9449 section 8) that name this process and the time, without any memory. */
export interface Nonces {
  issue(): string;
  /** True for a nonce that this very object issued no longer than its lifetime ago. */
  check(nonce: string): boolean;
}

/** Clock and life of the nonces. */
export interface NonceOptions {
  /** Unix time, seconds. */
  readonly now: () => number;
  /** How long a nonce may be used. Default 600. */
  readonly lifetimeSeconds?: number;
}

const timeBytes = 6;
const macBytes = 16;

/**
 * Each call draws a key that never leaves it: a proof with one of these nonces cannot have been made before, nor be
 * accepted by another process. That is why a fresh replay store may take it at once. Behind a load balancer without
 * stickiness use a shared replay store instead, which never asks for a nonce.
 */
export function createNonces(options: NonceOptions): Nonces {
  const key = randomBytes(32);
  const lifetimeSeconds = options.lifetimeSeconds ?? 600;
  const seal = (second: number): Buffer => {
    const time = Buffer.alloc(timeBytes);
    time.writeUIntBE(second, 0, timeBytes);
    return Buffer.concat([time, createHmac('sha256', key).update(time).digest().subarray(0, macBytes)]);
  };
  return {
    issue: () => encodeBase64url(seal(Math.floor(options.now()))),
    check: (nonce) => {
      const bytes = Buffer.from(nonce, 'base64url');
      if (bytes.length !== timeBytes + macBytes || encodeBase64url(bytes) !== nonce) return false;
      const issued = bytes.readUIntBE(0, timeBytes);
      const age = options.now() - issued;
      return (
        timingSafeEqual(bytes, seal(issued)) && age <= lifetimeSeconds && age >= -limits.clockSkewSeconds
      );
    },
  };
}
