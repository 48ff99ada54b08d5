import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Desk } from './desk.ts';
import { Person } from './person.ts';

let desk: Desk;
let alice: Person;
let bob: Person;
beforeAll(async () => {
  desk = await Desk.withIssuer();
  alice = await Person.at(desk);
  bob = await Person.at(desk);
});
afterAll(() => desk.close());

const statusOf = async (agent: unknown): Promise<unknown> =>
  (await desk.json('admin', 'agent', 'show', String(agent)))['status'];

describe('whose key is whose', () => {
  const wordsOf = async (person: Person): Promise<string> => String((await person.does('me'))['fingerprint']);

  test('is shown in words that anybody who follows the log sees alike', async () => {
    const { keys, status } = await bob.does('key', 'show', alice.id);
    expect({ status, keys }).toMatchObject({
      status: 'active',
      keys: [{ thumbprint: alice.key, live: true, fingerprint: await wordsOf(alice) }],
    });
    expect(await bob.does('key', 'show', alice.key)).toMatchObject({ person: alice.id, live: true });
  });
  test.each([
    ['the words', async () => wordsOf(alice)],
    [
      'the words in capitals and with commas',
      async () => (await wordsOf(alice)).toUpperCase().replaceAll(' ', ', '),
    ],
    ['four letters of each word', async () => (await wordsOf(alice)).replaceAll(/([a-z]{4})[a-z]+/gu, '$1')],
    ['the thumbprint', async () => alice.key],
    ['the key file', async () => `${alice.home}/keys/me.json`],
  ])('is checked by %s', async (_, claim) => {
    expect(await bob.does('key', 'verify', alice.id, await claim())).toMatchObject({
      verified: true,
      key: alice.key,
    });
  });
  test.each([
    ["another person's words", async () => wordsOf(bob), '7 key_differs'],
    ["another person's thumbprint", async () => bob.key, '7 key_differs'],
    [
      'the words in another order',
      async () => (await wordsOf(alice)).split(' ').toReversed().join(' '),
      '7 key_differs',
    ],
    ['eleven words', async () => (await wordsOf(alice)).split(' ').slice(1).join(' '), '2 argument_invalid'],
  ])('is denied for %s', async (_, claim, code) => {
    expect(await bob.fails('key', 'verify', alice.id, await claim())).toBe(code);
  });
  test('is remembered under a name, which no other person gets', async () => {
    await bob.does('key', 'verify', alice.id, alice.key, '--as', 'alice');
    expect(await bob.does('key', 'show', 'alice')).toMatchObject({ principal: alice.id, name: 'alice' });
    expect(await bob.fails('key', 'verify', bob.id, bob.key, '--as', 'alice')).toBe('3 name_taken');
    expect(await alice.fails('key', 'show', 'alice')).toBe('3 subject_unknown');
  });
  test('is denied for a key that ended when its owner replaced it, and their commands go on with the new one', async () => {
    const carol = await Person.at(desk);
    const { key } = await carol.does('key', 'rotate', '--new', 'me-2');
    expect(await bob.fails('key', 'verify', carol.id, carol.key)).toBe('7 key_differs');
    expect(await bob.does('key', 'verify', carol.id, String(key))).toMatchObject({ verified: true });
    expect(await carol.does('key', 'rotate', '--new', 'me-2')).toEqual({ key });
    await carol.does('agent', 'add', '--keyless');
    await carol.does('key', 'revoke', String(key));
    expect(await carol.fails('agent', 'add', '--keyless')).toBe('3 issuer_refused rule_key_not_live');
  });
  test('is denied while the person is suspended', async () => {
    const dave = await Person.at(desk);
    await desk.json('suspend', dave.id);
    expect(await bob.fails('key', 'verify', dave.id, dave.key)).toBe('7 key_differs');
  });
});

test('a dry run shows what falls with a person, and with one agent, and changes nothing', async () => {
  const erin = await Person.at(desk);
  const { agent, key } = await erin.does('agent', 'add', '--key', 'ci');
  const group = await desk.addGroup();
  await desk.json('admin', 'group', 'add-member', group, erin.id);
  for (const command of ['suspend', 'revoke']) {
    const { leaving } = await bob.does(command, erin.id, '--dry-run');
    expect(leaving).toEqual({
      principal: erin.id,
      status: 'active',
      keys: [erin.key],
      groups: [group],
      agents: [{ agent, kind: 'autonomous', keys: [key], federations: [] }],
      federations: [],
    });
  }
  expect((await desk.run(['suspend', erin.id, '--dry-run'])).stdout.split('\n')).toEqual([
    erin.id,
    `├─ key ${erin.key}`,
    `├─ agent ${String(agent)}, autonomous`,
    `│  ├─ key ${String(key)}`,
    '│  └─ its envelopes, and all that was handed on from them',
    `└─ its part in ${group}`,
    'nothing was changed',
    '',
  ]);
  expect(await erin.does('suspend', String(agent), '--dry-run')).toMatchObject({
    leaving: { keys: [], groups: [], agents: [{ agent }] },
  });
  await erin.does('agent', 'suspend', String(agent));
  expect((await desk.run(['suspend', String(agent), '--dry-run'])).stdout).toContain(
    'nothing of it is in force',
  );
  expect(await statusOf(agent)).toBe('suspended (by owner)');
});

describe('a person, by requests that their own key signs', () => {
  test('sees who they are, and their key in words', async () => {
    const { id, key, fingerprint } = await alice.does('me');
    expect({ id, key }).toEqual({ id: alice.id, key: alice.key });
    expect(String(fingerprint).split(' ')).toHaveLength(12);
  });
  test('registers an agent, suspends it, takes it on again, ends it', async () => {
    const { agent } = await alice.does('agent', 'add', '--key', 'ci');
    const { agents } = await alice.does('agent', 'list');
    const mine = { id: agent, owner: alice.id, registeredBy: 'owner', status: 'active' };
    expect(agents).toContainEqual(expect.objectContaining(mine));
    await alice.does('agent', 'suspend', String(agent));
    expect(await statusOf(agent)).toBe('suspended (by owner)');
    await alice.does('agent', 'resume', String(agent), '--keep-all-keys');
    expect(await statusOf(agent)).toBe('active');
    await alice.does('revoke', String(agent));
    expect(await statusOf(agent)).toBe('revoked');
  });
  test('limits an agent beside what admins set', async () => {
    const { agent } = await alice.does('agent', 'add', '--keyless');
    const limits = desk.write('none.json', '[]');
    expect(await alice.does('agent', 'limit', String(agent), limits)).toMatchObject({ limits: 0 });
  });
  test('takes all that fell with them on again at once, but not what an admin suspended', async () => {
    const frank = await Person.at(desk);
    const [first, second] = [
      await frank.does('agent', 'add', '--key', 'a'),
      await frank.does('agent', 'add', '--key', 'b'),
    ];
    await frank.does('revoke', String((await frank.does('agent', 'add', '--keyless'))['agent']));
    await desk.json('suspend', String(second['agent']));
    await desk.json('suspend', frank.id);
    await desk.json('resume', frank.id, '--keep-key', frank.key);
    expect(await statusOf(first['agent'])).toBe('suspended (with its owner)');
    expect(await frank.fails('agent', 'resume')).toBe('2 argument_invalid');
    expect(await frank.fails('agent', 'resume', String(first['agent']), '--all')).toBe('2 argument_invalid');
    const { exit, stdout } = await desk.run([
      '--json',
      '--home',
      frank.home,
      'agent',
      'resume',
      '--all',
      '--keep-all-keys',
    ]);
    expect(exit).toBe(3);
    expect(JSON.parse(stdout)).toEqual({
      agents: [
        { agent: first['agent'], status: 'active' },
        { agent: second['agent'], status: 'suspended (by admin)', refused: 'rule_rank_too_low' },
      ],
    });
  });
  test('hears that an agent which comes back without its keys needs a new one', async () => {
    const frank = await Person.at(desk);
    const { agent } = await frank.does('agent', 'add', '--key', 'c');
    await frank.does('agent', 'suspend', String(agent));
    const { stderr } = await desk.run(['--home', frank.home, 'agent', 'resume', '--all']);
    expect(stderr).toContain(`one key of ${String(agent)} ended for ever`);
    await frank.does('agent', 'suspend', String(agent));
    const again = await desk.run(['--home', frank.home, 'agent', 'resume', String(agent)]);
    expect(again.stderr).not.toContain('ended for ever');
  });
  test("cannot touch another's agent, nor suspend a person, nor act where the home has nobody", async () => {
    const { agent } = await alice.does('agent', 'add', '--key', 'mine');
    expect(await bob.fails('agent', 'suspend', String(agent))).toBe('3 issuer_refused rule_not_owner');
    expect(await bob.fails('suspend', alice.id)).toBe('3 request_impossible');
    expect(await desk.failure(['agent', 'list'])).toBe('3 request_impossible');
  });
});
