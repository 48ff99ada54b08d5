import type { Signer } from '@bulla/verifier';
import { accountIdOf, apply, cosign, genesisPosition, type Operation, signEntry } from '@bulla/verifier/log';
import { describe, expect, test } from 'vitest';
import { codeOf } from '../../kit/codes.ts';
import { createLedger, newSigner, someDigest } from '../../kit/log.ts';
import { thumbprint } from './world.ts';

const hash = (text: string): string => someDigest(text).slice('sha-256:'.length);

describe('genesis', () => {
  const [alice, bob, log] = [newSigner(), newSigner('P-256'), newSigner()];
  const create = (change: Partial<Extract<Operation, { type: 'account.create' }>> = {}): Operation => ({
    type: 'account.create',
    rules: 1,
    nonce: hash('nonce'),
    origin: 'log.example/acme',
    logKey: log.publicKey.jwk,
    admins: [alice.publicKey.jwk, bob.publicKey.jwk],
    threshold: 2,
    ...change,
  });
  const code = (op: Operation, signers: readonly Signer[]): string =>
    codeOf(() => {
      const leaf = signEntry({ seq: 0, time: 1000, op }, alice, signers);
      apply(() => undefined, genesisPosition(accountIdOf(leaf)), leaf);
    });
  const rows: readonly (readonly [string, Operation, readonly Signer[], string])[] = [
    ['signed by every key in it', create(), [bob, log], 'accepted'],
    ['not signed by the second admin', create(), [log], 'rule_possession_unproven'],
    ['not signed by the log key', create(), [bob], 'rule_possession_unproven'],
    ['with a threshold nobody can meet', create({ threshold: 3 }), [bob, log], 'rule_threshold_unmet'],
    ['under later rules', create({ rules: 2 }), [bob, log], 'entry_unknown'],
    ['without admins', create({ admins: [] }), [log], 'rule_threshold_unmet'],
    [
      'with the log key as admin',
      create({ admins: [log.publicKey.jwk], threshold: 1 }),
      [log],
      'rule_key_known',
    ],
    [
      'with one admin twice',
      create({ admins: [alice.publicKey.jwk, alice.publicKey.jwk] }),
      [log],
      'rule_key_known',
    ],
    [
      'with a log key that cannot sign checkpoints',
      create({ logKey: bob.publicKey.jwk }),
      [bob],
      'rule_log_key_kind',
    ],
    ['signed by a stranger too', create(), [bob, log, newSigner()], 'rule_signature_unneeded'],
  ];
  test.each(rows)('%s: %s', (_name, op, signers, expected) => {
    expect(code(op, signers)).toBe(expected);
  });
});

describe('two of three admins', () => {
  const admins = [newSigner(), newSigner(), newSigner('P-256')] as const;
  const ledger = createLedger({ admins, threshold: 2 });
  const op: Operation = { type: 'group.create', group: 'staff', protected: false };
  const leaf = ledger.sign({ op }, admins[0]);
  test('one is too few', () => {
    expect(ledger.codeOf(leaf)).toBe('rule_threshold_unmet');
  });
  test('one and a stranger are too few', () => {
    expect(ledger.codeOf(cosign(leaf, newSigner()))).toBe('rule_threshold_unmet');
  });
  test('two, one after the other, are enough', () => {
    expect(ledger.codeOf(cosign(leaf, admins[2]))).toBe('accepted');
  });
  test('three are enough too', () => {
    expect(ledger.codeOf(cosign(cosign(leaf, admins[2]), admins[1]))).toBe('accepted');
  });
  test('a second signature that does not verify does not count', () => {
    const mallory = newSigner();
    const forged = { ...mallory, publicKey: { ...mallory.publicKey, thumbprint: thumbprint(admins[1]) } };
    expect(ledger.codeOf(cosign(leaf, forged))).toBe('jws_signature_invalid');
  });
});

describe('admins', () => {
  const remove = (key: Signer): Operation => ({ type: 'admin.remove', key: thumbprint(key) });
  test('one who was removed signs no more, and does not come back', () => {
    const second = newSigner();
    const ledger = createLedger();
    ledger.do({ type: 'admin.add', key: second.publicKey.jwk }, [second]);
    ledger.do(remove(second), [], second);
    const op: Operation = { type: 'group.create', group: 'staff', protected: false };
    expect(ledger.codeOf(ledger.sign({ op }, second))).toBe('rule_signer_unknown');
    expect(ledger.codeOf(ledger.sign({ op }, ledger.admin, [second]))).toBe('rule_signature_unneeded');
    expect(ledger.codeOf(ledger.sign({ op: remove(second) }))).toBe('rule_admin_unknown');
    const back: Operation = { type: 'admin.add', key: second.publicKey.jwk };
    expect(ledger.codeOf(ledger.sign({ op: back }, ledger.admin, [second]))).toBe('rule_key_known');
  });
  test('never fall below the threshold', () => {
    const ledger = createLedger();
    expect(ledger.codeOf(ledger.sign({ op: remove(ledger.admin) }))).toBe('rule_threshold_unmet');
  });
  test('are 15 at most', () => {
    const ledger = createLedger();
    const add = (): string => {
      const key = newSigner();
      return ledger.force(
        ledger.sign({ op: { type: 'admin.add', key: key.publicKey.jwk } }, ledger.admin, [key]),
      );
    };
    for (let count = 1; count < 15; count += 1) expect(add()).toBe('accepted');
    expect(add()).toBe('rule_admins_too_many');
  });
});

describe('the log key', () => {
  test('is replaced by an admin, with the new key; the old one is over', () => {
    const ledger = createLedger();
    const key = newSigner();
    ledger.do({ type: 'log.key', key: key.publicKey.jwk }, [key]);
    expect(ledger.read('account')?.logKey).toBe(thumbprint(key));
    expect(ledger.read(`key/${thumbprint(ledger.logKey)}`)?.status).toBe('revoked');
  });
  test('must be able to sign checkpoints', () => {
    const ledger = createLedger();
    const key = newSigner('P-256');
    const op: Operation = { type: 'log.key', key: key.publicKey.jwk };
    expect(ledger.codeOf(ledger.sign({ op }, ledger.admin, [key]))).toBe('rule_log_key_kind');
  });
});

describe('seals and rules', () => {
  test('a seal covers leaves before it, and more than the last seal', () => {
    const ledger = createLedger();
    ledger.group('staff');
    const seal = (size: number): string =>
      ledger.force(ledger.sign({ op: { type: 'account.seal', size, root: hash('r'), state: hash('s') } }));
    expect([seal(3), seal(2), seal(2), seal(4)]).toEqual([
      'rule_seal_size',
      'accepted',
      'rule_seal_size',
      'accepted',
    ]);
    expect(ledger.read('account')?.seal).toEqual({ size: 4, root: hash('r'), state: hash('s') });
  });
  test('a rules number that this version does not know halts, but only when admins say it', () => {
    const ledger = createLedger({ admins: [newSigner(), newSigner()], threshold: 2 });
    const op: Operation = { type: 'account.rules', rules: 2 };
    const leaf = ledger.sign({ op });
    expect(ledger.codeOf(leaf)).toBe('rule_threshold_unmet');
    expect(ledger.codeOf(cosign(leaf, ledger.admins[1] ?? newSigner()))).toBe('entry_unknown');
  });
  test('the rules number is never lowered', () => {
    const ledger = createLedger();
    expect(ledger.codeOf(ledger.sign({ op: { type: 'account.rules', rules: 1 } }))).toBe(
      'rule_rules_lowered',
    );
  });
});
