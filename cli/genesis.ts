import { randomBytes } from 'node:crypto';
import type { Signer } from '@bulla/verifier';
import { encodeBase64url } from '@bulla/verifier/envelope';
import {
  accountIdOf,
  apply,
  genesisPosition,
  leafHash,
  type Operation,
  signEntry,
} from '@bulla/verifier/log';

export interface GenesisOptions {
  /** C2SP checkpoint origin: a URL without scheme and trailing slash; names the log for ever. */
  readonly origin: string;
  readonly logKey: Signer;
  /** The admins' keys; each signs. */
  readonly admins: readonly Signer[];
  /** How many admins must sign each admin operation. Default 1. */
  readonly threshold?: number;
  /** Unix seconds. */
  readonly now: number;
}

/** The first entries of an account. */
export interface Genesis {
  /** `acct_…`, the hash of the first leaf: the account certifies itself. */
  readonly account: string;
  readonly leaves: readonly string[];
}

/** What follows the first entry at once, each signed by the admins. */
export interface FirstStep {
  readonly op: Operation;
  /** New keys that prove possession. */
  readonly cosigners?: readonly Signer[];
}

/**
 * Signs an account into being. Needs no issuer: the leaves are handed to one.
 *
 * @throws {Refusal} the rule that an entry breaks.
 */
export function createGenesis(options: GenesisOptions, steps: readonly FirstStep[] = []): Genesis {
  const { origin, logKey, admins, threshold = 1, now } = options;
  const [first, ...others] = admins;
  if (first === undefined) throw new TypeError('`admins` is empty');
  const time = Math.floor(now);
  const op: Operation = {
    type: 'account.create',
    rules: 1,
    nonce: encodeBase64url(randomBytes(32)),
    origin,
    logKey: logKey.publicKey.jwk,
    admins: admins.map(({ publicKey }) => publicKey.jwk),
    threshold,
  };
  const genesis = signEntry({ seq: 0, time, op }, first, [...others, logKey]);
  const account = accountIdOf(genesis);
  const records = new Map<string, unknown>();
  const read = ((key: string) => records.get(key)) as Parameters<typeof apply>[0];
  const leaves: string[] = [];
  const add = (leaf: string): void => {
    const before = leaves.at(-1);
    const position =
      before === undefined
        ? genesisPosition(account)
        : { account, seq: leaves.length, prevHash: leafHash(before), lastTime: time };
    for (const [key, value] of apply(read, position, leaf).writes) records.set(key, value);
    leaves.push(leaf);
  };
  add(genesis);
  for (const { op: next, cosigners = [] } of steps) {
    const prev = leafHash(leaves.at(-1) ?? '');
    add(signEntry({ account, seq: leaves.length, prev, time, op: next }, first, [...others, ...cosigners]));
  }
  return { account, leaves };
}
