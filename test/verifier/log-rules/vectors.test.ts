import { readFileSync } from 'node:fs';
import { canonicalJson, type Json } from '@bulla/verifier/envelope';
import { accountIdOf } from '@bulla/verifier/log';
import { expect, test } from 'vitest';
import { createLedger } from '../../kit/log.ts';

interface Vectors {
  readonly account: string;
  readonly leaves: readonly { readonly does: string; readonly leaf: string; readonly code: string }[];
  readonly state: Json;
}

test.each(['log-rules.json', 'log-identity.json'])(
  'the published leaves of %s are judged as published, and lead to the published state',
  (name) => {
    const file = new URL(`../../vectors/${name}`, import.meta.url);
    const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vectors;
    const ledger = createLedger();
    ledger.state.clear();
    ledger.position = { account: vectors.account, seq: 0, prevHash: null, lastTime: 0 };
    expect(accountIdOf(vectors.leaves[0]?.leaf ?? '')).toBe(vectors.account);
    const codes = vectors.leaves.map(({ does, leaf }) => [does, ledger.force(leaf)]);
    expect(codes).toEqual(vectors.leaves.map(({ does, code }) => [does, code]));
    expect(canonicalJson(Object.fromEntries(ledger.state))).toBe(canonicalJson(vectors.state));
  },
);
