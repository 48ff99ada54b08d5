import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Desk } from './desk.ts';

let desk: Desk;
beforeAll(async () => {
  desk = await Desk.withIssuer();
});
afterAll(async () => {
  await desk.close();
});

const plain = '--insecure-plaintext-key';
const status = async (noun: 'person' | 'agent', id: string): Promise<unknown> =>
  (await desk.json('admin', noun, 'show', id))['status'];

describe('people', () => {
  test('are pending without a key, and active with one', async () => {
    const added = await desk.json('admin', 'person', 'add', '--attributes', '{"team":"blue"}');
    const id = String(added['principal']);
    expect(added).toMatchObject({ done: 'principal.provision', status: 'pending' });
    expect(await desk.json('admin', 'person', 'show', id)).toMatchObject({
      status: 'pending',
      attributes: { team: 'blue' },
    });
    const activated = await desk.json(plain, 'admin', 'person', 'activate', id, '--key', desk.fresh('late'));
    expect(activated).toMatchObject({ done: 'principal.activate', principal: id });
    expect(await status('person', id)).toBe('active');
  });
  test('are named by the beginning of an id that only one has', async () => {
    const { id } = await desk.addPerson();
    expect(await desk.json('admin', 'person', 'show', id.slice(0, 16))).toMatchObject({ id });
  });
  test.each([
    ['prn_000000', '3 subject_unknown'],
    [`prn_${'0'.repeat(32)}`, '3 subject_unknown'],
    ['agt_000000', '2 argument_invalid'],
    ['alice', '2 argument_invalid'],
  ])('that are not there are not guessed: %s', async (id, expected) => {
    expect(await desk.failure(['admin', 'person', 'show', id])).toBe(expected);
  });
  test('who lost their keys start again with one, and their agents end', async () => {
    const { id, key } = await desk.addPerson();
    const agent = await desk.addAgent(id);
    await desk.json(plain, 'admin', 'key', 'recover', id, '--key', desk.fresh('recovered'));
    expect(await desk.json('admin', 'key', 'show', key)).toMatchObject({ live: false });
    expect(await status('agent', agent.id)).not.toBe('active');
    expect(await status('person', id)).toBe('active');
  });
});

describe('groups', () => {
  test('hold people and groups, and let them go', async () => {
    const [inner, outer] = [await desk.addGroup(), await desk.addGroup('--protected')];
    const { id } = await desk.addPerson('--group', inner);
    await desk.json('admin', 'group', 'add-member', outer, inner);
    const person = await desk.json('admin', 'person', 'show', id);
    expect([...(person['effectiveGroups'] as string[])].sort()).toEqual([inner, outer].sort());
    expect(await desk.json('admin', 'group', 'show', outer)).toMatchObject({
      protected: true,
      members: [`group/${inner}`],
    });
    await desk.json('admin', 'group', 'remove-member', inner, id);
    expect(await desk.json('admin', 'group', 'show', inner)).toMatchObject({ members: [] });
  });
  test('take their name with them', async () => {
    const name = await desk.addGroup();
    await desk.json('admin', 'group', 'delete', name);
    expect(await desk.failure(['admin', 'group', 'add', name])).toMatch(/^3 rule_/u);
  });
});

describe('agents and keys', () => {
  test('an agent has an owner, a key and limits', async () => {
    const owner = await desk.addPerson();
    const agent = await desk.addAgent(owner.id);
    const file = desk.write('limits.json', '[]');
    expect(await desk.json('admin', 'agent', 'limit', agent.id, file)).toMatchObject({ limits: 0 });
    expect(await desk.json('admin', 'agent', 'show', agent.id)).toMatchObject({
      status: 'active',
      owner: owner.id,
      keys: [agent.key],
      registeredBy: 'admin',
    });
    const { agents } = await desk.json('admin', 'agent', 'list', '--owner', owner.id);
    expect(agents).toMatchObject([{ id: agent.id }]);
  });
  test('limits that are no list are refused before anything is sent', async () => {
    const argv = ['admin', 'agent', 'limit', 'agt_000000', desk.write('bad.json', '{}')];
    expect(await desk.failure(argv)).toBe('2 argument_invalid');
  });
  test('the old key signs for the new one', async () => {
    const { id, key, file } = await desk.addPerson();
    const next = desk.fresh('next');
    const rotated = await desk.json(plain, 'admin', 'key', 'rotate', '--old', file, '--new', next);
    expect(rotated).toMatchObject({ subject: `principal/${id}`, old: key });
    const { keys } = await desk.json('admin', 'person', 'show', id);
    expect(keys).toEqual([rotated['key']]);
  });
  test('a revoked key is dead, and so is nothing else', async () => {
    const { id, key } = await desk.addPerson();
    const second = await desk.json(plain, 'admin', 'key', 'add', id, '--key', desk.fresh('second'));
    await desk.json('revoke', key);
    expect(await desk.json('admin', 'key', 'show', key)).toMatchObject({ live: false });
    expect(await desk.json('admin', 'key', 'show', String(second['key']))).toMatchObject({ live: true });
    expect(await desk.failure(['revoke', key])).toMatch(/^3 rule_/u);
  });
});

test.each(['-', '--', '_'])('a thumbprint that begins with %s is one all the same', async (start) => {
  const thumbprint = start.padEnd(43, 'A');
  expect(await desk.failure(['admin', 'key', 'show', thumbprint])).toBe('3 subject_unknown');
  expect(await desk.failure(['admin', 'lease', 'show', thumbprint])).toBe('3 subject_unknown');
  const { id } = await desk.addPerson();
  await desk.json('suspend', id);
  expect(await desk.failure(['resume', id, '--keep-key', thumbprint])).toMatch(/^3 rule_/u);
});

describe('suspend, resume, revoke', () => {
  test('an agent is suspended, resumed with the keys that stay, and ended for ever', async () => {
    const { id, key } = await desk.addAgent((await desk.addPerson()).id);
    const done = await desk.json('suspend', id);
    expect(done).toMatchObject({ done: 'agent.suspend', subject: id, entry: { seq: expect.any(Number) } });
    const { entry, checkpoint } = done as { entry: { seq: number }; checkpoint: { size: number } };
    expect(checkpoint.size).toBeGreaterThan(entry.seq);
    expect(await status('agent', id)).toBe('suspended (by admin)');
    expect(await desk.json('resume', id, '--keep-all-keys')).toMatchObject({ keys: [key] });
    expect(await status('agent', id)).toBe('active');
    await desk.json('revoke', id);
    expect(await desk.failure(['resume', id, '--keep-all-keys'])).toMatch(/^3 rule_/u);
  });
  test('agents fall with their person', async () => {
    const { id } = await desk.addPerson();
    const agent = await desk.addAgent(id);
    await desk.json('suspend', id);
    expect(await status('agent', agent.id)).toBe('suspended (with its owner)');
  });
  test('a resume that names no key ends them all', async () => {
    const { id, key } = await desk.addPerson();
    await desk.json('suspend', id);
    expect(await desk.json('resume', id)).toMatchObject({ keys: [] });
    expect(await desk.json('admin', 'key', 'show', key)).toMatchObject({ live: false });
  });
  test('people read where it was seen', async () => {
    const { id } = await desk.addPerson();
    const { exit, stdout } = await desk.run(['suspend', id]);
    expect(exit).toBe(0);
    expect(stdout).toMatch(/^suspended prn_.*\n {2}entry \d+ of .*, seen in the checkpoint of size \d+\n/u);
  });
});

describe('leases', () => {
  const grant = (...more: readonly string[]): Promise<Record<string, unknown>> =>
    desk.json('admin', 'lease', 'grant', '--key', desk.path(`${desk.fresh('service')}.jwk`), ...more);
  test('are granted, renewed and ended', async () => {
    const { key } = await grant('--allow', 'request.relay', '--for', '2h', '--per-hour', '7');
    const shown = await desk.json('admin', 'lease', 'show', String(key));
    expect(shown).toMatchObject({
      status: 'active',
      lease: { operations: ['request.relay'], maxEntriesPerHour: 7 },
    });
    const before = (shown['lease'] as { notAfter: number }).notAfter;
    await desk.json('admin', 'lease', 'renew', String(key), '--for', '3h');
    const after = (await desk.json('admin', 'lease', 'show', String(key)))['lease'];
    expect((after as { notAfter: number }).notAfter).toBeGreaterThan(before);
    await desk.json('admin', 'lease', 'renew', String(key), '--for', '7d');
    const { renewed, kept } = await desk.json('admin', 'lease', 'renew', String(key));
    expect({ renewed, kept }).toMatchObject({ renewed: [], kept: [{ key }] });
    await desk.json('admin', 'lease', 'revoke', String(key));
    expect(await desk.json('admin', 'lease', 'show', String(key))).not.toMatchObject({ status: 'active' });
  });
  test('that end soon are a warning on stderr, whatever was asked', async () => {
    const { key } = await grant('--allow', 'request.relay', '--for', '1h');
    const { stdout, stderr } = await desk.run(['--json', 'admin', 'lease', 'list']);
    expect(stderr).toContain(`warning: the lease of key ${String(key)} ends in 60 min`);
    expect(JSON.parse(stdout)).toHaveProperty('leases');
  });
});

describe('admins', () => {
  test('come and go', async () => {
    const { key } = await desk.json(plain, 'admin', 'signer', 'add', '--key', desk.fresh('admin'));
    const listed = async (): Promise<unknown> => (await desk.json('admin', 'signer', 'list'))['keys'];
    expect(await listed()).toContainEqual({ key, status: 'active' });
    await desk.json('admin', 'signer', 'remove', String(key));
    expect(await listed()).not.toContainEqual({ key, status: 'active' });
  });
  test('a key that is none of the admins is refused before anything is sent', async () => {
    const { file } = await desk.addPerson();
    expect(await desk.failure(['--sign-with', file, 'admin', 'group', 'add', desk.fresh('group')])).toMatch(
      /^3 rule_/u,
    );
  });
});
