import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Desk } from './desk.ts';
import { Person } from './person.ts';

let desk: Desk;
let bob: Person;
let carol: Person;
beforeAll(async () => {
  desk = await Desk.withIssuer();
  bob = await Person.at(desk);
  carol = await Person.at(desk);
});
afterAll(() => desk.close());

const words = (made: Record<string, unknown>): string[] => String(made['fingerprint']).split(' ');

test('a recovery key lets a new key in: the old one ends, agents fall until they are resumed, and it works once', async () => {
  const alice = await Person.at(desk);
  const file = desk.path('stick.json');
  const { key: recoveryKey } = await alice.does('recovery', 'set', '--key', file);
  expect(await bob.does('recovery', 'show', alice.id)).toMatchObject({
    recovery: { key: recoveryKey, people: [] },
  });
  const { agent } = await alice.does('agent', 'add', '--key', 'ci');
  const { key } = await alice.does('recovery', 'use', '--key', file, '--new', 'me-2');
  expect(await bob.fails('key', 'verify', alice.id, alice.key)).toBe('7 key_differs');
  expect(await bob.does('key', 'verify', alice.id, String(key))).toMatchObject({ verified: true });
  expect(await alice.does('agent', 'show', String(agent))).toMatchObject({
    status: 'suspended (with its owner)',
  });
  await alice.does('agent', 'resume', '--all');
  expect(await alice.does('agent', 'show', String(agent))).toMatchObject({ status: 'active', keys: [] });
  expect(await alice.fails('recovery', 'use', '--key', file, '--new', 'me-3')).toBe(
    '3 issuer_refused rule_key_not_live',
  );
});

test('the people who were named let a new key in together, and each signs for the words that they heard', async () => {
  const alice = await Person.at(desk);
  await alice.does('recovery', 'set', '--person', bob.id, '--person', carol.id, '--threshold', '2');
  const file = desk.path('recover-me.json');
  const asked = await alice.does('recovery', 'ask', '--new', 'me-2', '--to', file);
  expect(await alice.fails('recovery', 'finish', file, '--new', 'me-2')).toBe('2 argument_invalid');
  await bob.does('recovery', 'sign', file, ...words(asked));
  expect(await alice.fails('recovery', 'finish', file, '--new', 'me-2')).toBe(
    '3 issuer_refused rule_recovery_unmet',
  );
  await carol.does('recovery', 'sign', file, words(asked).join(' '));
  const { principal, key } = await alice.does('recovery', 'finish', file, '--new', 'me-2');
  expect({ principal, key }).toEqual({ principal: alice.id, key: asked['key'] });
  expect(await alice.does('me')).toMatchObject({ key: asked['key'], keys: [asked['key']], recovery: null });
});

test('nobody signs for other words, nor who was not named, and nothing is written then', async () => {
  const alice = await Person.at(desk);
  await alice.does('recovery', 'set', '--person', bob.id);
  const file = desk.path('other.json');
  const asked = await alice.does('recovery', 'ask', '--new', 'me-2', '--to', file);
  const before = readFileSync(file, 'utf8');
  expect(await bob.fails('recovery', 'sign', file, ...words(asked).toReversed())).toBe('7 key_differs');
  expect(await carol.fails('recovery', 'sign', file, ...words(asked))).toBe('3 request_impossible');
  expect(readFileSync(file, 'utf8')).toBe(before);
  const { account } = desk.account();
  const elsewhere = desk.write('elsewhere.json', before.replace(account, `acct_${'A'.repeat(43)}`));
  expect(await bob.fails('recovery', 'sign', elsewhere, ...words(asked))).toBe('2 argument_invalid');
  const nonsense = desk.write('nonsense.json', '{"recover": 1}');
  expect(await bob.fails('recovery', 'sign', nonsense, ...words(asked))).toBe('2 argument_invalid');
});

test('a key that nobody set to recover with is refused', async () => {
  const alice = await Person.at(desk);
  const file = `${bob.home}/keys/me.json`;
  expect(await alice.fails('recovery', 'use', '--key', file, '--new', 'me-2')).toBe(
    '3 issuer_refused rule_recovery_unmet',
  );
});
