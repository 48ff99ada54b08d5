import { afterAll, beforeAll, expect, test } from 'vitest';
import { Desk } from './desk.ts';

let desk: Desk;
beforeAll(async () => {
  desk = await Desk.withIssuer();
});
afterAll(async () => {
  await desk.close();
});

const grant = (...options: readonly string[]): readonly string[] => [
  'admin',
  'lease',
  'grant',
  '--key',
  desk.path(`${desk.fresh('service')}.jwk`),
  ...options,
];
const leaseOf = async (key: unknown): Promise<unknown> =>
  (await desk.json('admin', 'lease', 'show', String(key)))['lease'];

test('domains are trusted in lower case, listed with how many people they have, and distrusted', async () => {
  const domain = `${desk.fresh('sub')}.corp.example`;
  expect(await desk.json('admin', 'domain', 'trust', domain.toUpperCase())).toMatchObject({
    done: 'domain.trust',
    domain,
  });
  await desk.json('admin', 'person', 'add', '--domain', domain);
  const find = async (): Promise<unknown> => {
    const { domains } = await desk.json('admin', 'domain', 'list');
    return (domains as { domain: string }[]).find((each) => each.domain === domain);
  };
  expect(await find()).toEqual({ domain, status: 'trusted', people: 1 });
  expect(await desk.failure(['admin', 'domain', 'trust', domain])).toContain('rule_domain_known');
  await desk.json('admin', 'domain', 'distrust', domain);
  expect(await find()).toEqual({ domain, status: 'distrusted', people: 1 });
});

test.each(['corp', 'alice@corp.example', '*.corp.example'])('%s is no domain', async (domain) => {
  expect(await desk.failure(['admin', 'domain', 'trust', domain])).toContain('entry_malformed');
});

test('a lease that provisions people has a connection, domains, and caps that are small unless told', async () => {
  const allow = ['--allow', 'principal.provision,principal.suspend'];
  expect(await desk.failure(grant(...allow))).toContain('rule_lease_connection');
  expect(await desk.failure(grant(...allow, '--domain', 'corp.example'))).toBe('2 argument_invalid');
  expect(await desk.failure(grant(...allow, '--login', 'corp'))).toBe('2 argument_invalid');
  const people = ['--connection', 'okta', '--domain', 'sister.example,corp.example', '--login', 'corp'];
  const { key } = await desk.json(...grant(...allow, ...people, '--max-removals', '7'));
  expect(await leaseOf(key)).toMatchObject({
    connection: 'okta',
    domains: ['corp.example', 'sister.example'],
    logins: ['corp'],
    caps: { provisions: 1000, provisionsPerHour: 200, removals: 7, removalsPerHour: 50 },
  });
  const { stdout } = await desk.run(['admin', 'lease', 'show', String(key)]);
  expect(stdout).toMatch(/connection\s+okta/u);
  expect(stdout).toMatch(/removals\s+0 of 7, 50 an hour/u);
});

test('a lease that can only take away has caps too, and one that can do neither has none', async () => {
  const stops = await desk.json(...grant('--allow', 'agent.suspend', '--removals-per-hour', '5'));
  expect(await leaseOf(stops['key'])).toMatchObject({ caps: { removals: 200, removalsPerHour: 5 } });
  const relays = await desk.json(...grant('--allow', 'request.relay'));
  expect(await leaseOf(relays['key'])).not.toHaveProperty('caps');
  await desk.json('admin', 'lease', 'revoke', String(stops['key']));
});

test("a person's attributes and domain are replaced", async () => {
  const { id } = await desk.addPerson();
  const given = ['--attributes', '{"team":"blue","level":3}', '--domain', 'Corp.example'];
  expect(await desk.json('admin', 'person', 'update', id, ...given)).toMatchObject({
    done: 'principal.update',
    principal: id,
  });
  await desk.json('admin', 'person', 'update', id, '--attributes', '{"team":"red"}');
  expect(await desk.json('admin', 'person', 'show', id)).toMatchObject({
    attributes: { team: 'red' },
    domain: 'corp.example',
    connection: null,
  });
  expect(await desk.failure(['admin', 'person', 'update', id, '--attributes', '[1]'])).toBe(
    '2 argument_invalid',
  );
});

test('who suspended a person or an agent is shown', async () => {
  const { id } = await desk.addPerson();
  const agent = await desk.addAgent(id);
  await desk.json('suspend', agent.id);
  await desk.json('suspend', id);
  for (const [noun, subject] of [
    ['person', id],
    ['agent', agent.id],
  ] as const) {
    expect(await desk.json('admin', noun, 'show', subject)).toMatchObject({ suspensions: ['admin'] });
    const { stdout } = await desk.run(['admin', noun, 'show', subject]);
    expect(stdout).toMatch(/status\s+suspended \(by admin\)/u);
  }
});

test('what falls when a person leaves a group is shown before, and then falls', async () => {
  const group = await desk.addGroup();
  const { id } = await desk.addPerson('--group', group);
  const agent = await desk.addAgent(id);
  const remove = ['admin', 'group', 'remove-member', group, id];
  expect(await desk.json(...remove, '--dry-run')).toMatchObject({
    dryRun: true,
    leaving: { principal: id, keys: [], groups: [group], agents: [{ agent: agent.id }] },
  });
  expect(await desk.json('admin', 'agent', 'show', agent.id)).toMatchObject({ status: 'active' });
  expect(await desk.failure(['admin', 'group', 'remove-member', group, group, '--dry-run'])).toBe(
    '2 argument_invalid',
  );
  const { stdout } = await desk.run(remove);
  expect(stdout).toContain('resumes them: 1');
  expect(await desk.json('admin', 'agent', 'show', agent.id)).toMatchObject({
    status: 'suspended (with its owner)',
  });
});
