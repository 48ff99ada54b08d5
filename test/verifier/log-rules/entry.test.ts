import { createSigner, generatePrivateJwk, type Signer } from '@bulla/verifier';
import { type Json, type JsonObject, signJws } from '@bulla/verifier/envelope';
import { accountIdOf, cosign, leafHash, type Operation, parseEntry } from '@bulla/verifier/log';
import { describe, expect, test } from 'vitest';
import { codeOf } from '../../kit/codes.ts';
import { createLedger, newSigner } from '../../kit/log.ts';
import { createWorld, samples } from './world.ts';

const ledger = createLedger();
const suspend: JsonObject = { type: 'principal.suspend', principal: `prn_${'a'.repeat(32)}` };

/** An entry at the next position with odd content, which the builder would not sign. */
function odd(change: JsonObject, signer: Signer = ledger.admin, typ = 'bulla-entry+jwt'): string {
  const { account, seq, prevHash } = ledger.position;
  const payload = { v: 1, account, seq, prev: prevHash, time: ledger.time, op: suspend, ...change };
  return signJws(typ, { kid: signer.publicKey.thumbprint }, payload, signer);
}

const parseCode = (leaf: string): string => codeOf(() => parseEntry(leaf));

describe('an entry', () => {
  const rows: readonly (readonly [string, JsonObject, string])[] = [
    ['as it should be', {}, 'rule_subject_unknown'],
    ['of a later version', { v: 2 }, 'entry_unknown'],
    ['of a later version with other members', { v: 2, more: true }, 'entry_unknown'],
    ['without a version', { v: null }, 'entry_malformed'],
    ['with an unknown member', { more: 1 }, 'entry_malformed'],
    ['with an operation nobody knows', { op: { type: 'principal.clone' } }, 'entry_unknown'],
    ['with an operation named like a builtin', { op: { type: 'constructor' } }, 'entry_unknown'],
    ['with an operation that is not an object', { op: 'principal.suspend' }, 'entry_malformed'],
    ['with an operation without a type', { op: {} }, 'entry_malformed'],
    ['with an unknown member in its operation', { op: { ...suspend, force: true } }, 'entry_malformed'],
    ['with a member missing in its operation', { op: { type: 'principal.suspend' } }, 'entry_malformed'],
    ['with both an operation and a request', { request: 'a.b.c' }, 'entry_malformed'],
    ['with a request that is not one', { op: undefined, request: 'abc' } as never, 'jws_malformed'],
    ['with a negative seq', { seq: -1 }, 'entry_malformed'],
    ['with text for a time', { time: '1' }, 'entry_malformed'],
    ['with another seq', { seq: 7 }, 'rule_seq_mismatch'],
    ['with another prev', { prev: leafHash('x') }, 'rule_prev_mismatch'],
    ['with another account', { account: `acct_${leafHash('x')}` }, 'rule_account_mismatch'],
    ['older than the last', { time: ledger.time - 1 }, 'rule_time_backwards'],
    ['without a prev', { prev: undefined } as never, 'entry_malformed'],
    ['without an account', { account: undefined } as never, 'entry_malformed'],
  ];
  test.each(rows)('%s', (_name, change, code) => {
    expect(ledger.codeOf(odd(change))).toBe(code);
  });
  test('of another JWS type is refused, a request among them', () => {
    expect(ledger.codeOf(odd({}, ledger.admin, 'bulla-request+jwt'))).toBe('jws_type_wrong');
  });
  test('larger than a leaf may be is refused before it is read', () => {
    expect(ledger.codeOf('x'.repeat(65_536))).toBe('entry_too_large');
  });
  test('with a changed signature is refused', () => {
    const leaf = odd({});
    const last = leaf.slice(0, -10) + (leaf.at(-10) === 'A' ? 'B' : 'A') + leaf.slice(-9);
    expect(ledger.codeOf(last)).toBe('jws_signature_invalid');
  });
  test('with an `alg` that is not of the key is refused', () => {
    const wrong = { ...ledger.admin, algorithm: 'ES256' };
    expect(ledger.codeOf(odd({}, wrong))).toBe('jws_algorithm_wrong');
  });
});

describe('further signatures', () => {
  const [a, b] = [newSigner(), createSigner(generatePrivateJwk('P-256'))];
  const leaf = odd({});
  const both = cosign(cosign(leaf, a), b);
  const parts = both.split('~');
  test('stand in one order, whoever signed first', () => {
    const kids = parseEntry(cosign(cosign(leaf, b), a)).statement.further.map(({ thumbprint }) => thumbprint);
    expect(kids).toEqual([a, b].map(({ publicKey }) => publicKey.thumbprint).sort());
    expect(parseEntry(both).statement.further.map(({ thumbprint }) => thumbprint)).toEqual(kids);
  });
  test.each([
    ['in another order', [parts[0], parts[2], parts[1]]],
    ['twice', [parts[0], parts[1], parts[1]]],
    ['empty', [parts[0], '']],
    ['with a payload of their own', [parts[0], odd({})]],
    ['too many', [parts[0], ...Array.from({ length: 16 }, () => parts[1])]],
  ])('%s: refused', (_name, pieces) => {
    expect(parseCode(pieces.join('~'))).toBe('entry_malformed');
  });
  test('by the key that signed first are refused', () => {
    expect(codeOf(() => cosign(leaf, ledger.admin))).toBe('entry_malformed');
    expect(codeOf(() => cosign(both, a))).toBe('entry_malformed');
  });
  test('are part of what `prev` commits to', () => {
    expect(leafHash(leaf)).not.toBe(leafHash(both));
  });
});

describe('a leaf moved', () => {
  test('to another place, log or account is refused', () => {
    const mine = createLedger();
    const leaf = mine.sign({ op: { type: 'group.create', group: 'staff', protected: false } });
    mine.append(leaf);
    expect(mine.codeOf(leaf)).toBe('rule_seq_mismatch');
    const twin = createLedger({ admins: mine.admins });
    expect(twin.codeOf(leaf)).toBe('rule_account_mismatch');
    const fork = createLedger();
    fork.position = { ...mine.position, seq: 1, prevHash: leafHash('other') };
    expect(fork.codeOf(leaf)).toBe('rule_prev_mismatch');
  });
  test('genesis belongs to the account it makes, and comes once', () => {
    const genesis = ledger.leaves[0] ?? '';
    expect(accountIdOf(genesis)).toBe(ledger.account);
    expect(ledger.codeOf(genesis)).toBe('rule_seq_mismatch');
    const other = createLedger();
    other.position = { account: other.account, seq: 0, prevHash: null, lastTime: 0 };
    expect(other.codeOf(genesis)).toBe('rule_account_mismatch');
  });
});

/** Fed to every member of every operation: none of them has this form. */
const wrongValues: readonly Json[] = [null, -1, '', 'UPPER CASE/..', {}, ['', ''], { kty: 'OKP' }];
/** What looks wrong but is a value of the member's form; rules or the engine judge it. */
const free = new Set(['attributes {}', 'attributes {"kty":"OKP"}', 'limits ["",""]', 'claims {"kty":"OKP"}']);
/** May be left out. */
const optional = new Set([
  'agent.register key',
  'federation.trust audience',
  'principal.provision domain',
  'recovery.set key',
]);

describe('every member of every operation is checked', () => {
  const world = createWorld();
  const operations: Operation[] = [
    ...Object.values(samples).map((sample) => sample(world).op),
    { type: 'account.rules', rules: 2 },
    { type: 'admin.remove', key: leafHash('k') },
    { type: 'principal.resume', principal: world.alice.id, keys: [] },
    { type: 'agent.resume', agent: world.robot.id, keys: [] },
    { type: 'policy.overlap', slot: 'main', until: 1 },
  ];
  test.each(operations.map((op) => [op.type, op] as const))('%s', (type, op) => {
    const good = JSON.parse(JSON.stringify(op)) as JsonObject;
    expect(parseCode(odd({ op: good }))).toBe('accepted');
    for (const name of Object.keys(good).filter((member) => member !== 'type')) {
      for (const value of wrongValues) {
        if (free.has(`${name} ${JSON.stringify(value)}`)) continue;
        const code = parseCode(odd({ op: { ...good, [name]: value } }));
        expect([type, name, value, code]).toEqual([type, name, value, 'entry_malformed']);
      }
      const { [name]: _gone, ...rest } = good;
      const without = optional.has(`${type} ${name}`) ? 'accepted' : 'entry_malformed';
      expect([name, parseCode(odd({ op: rest }))]).toEqual([name, without]);
    }
  });
  test.each([
    ['a private key', { ...generatePrivateJwk() }],
    ['a key with a `kid`', { ...newSigner().publicKey.jwk, kid: 'x' }],
    ['a key of another kind', { kty: 'RSA', n: 'AQ', e: 'AQAB' }],
  ])('%s is refused', (_name, key) => {
    expect(parseCode(odd({ op: { type: 'admin.add', key } }))).toBe('entry_malformed');
  });
});
