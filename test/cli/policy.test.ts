import { readFileSync } from 'node:fs';
import path from 'node:path';
import { systemPorts } from '@bulla/verifier';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Desk, policySets } from './desk.ts';

let desk: Desk;
beforeAll(async () => {
  desk = await Desk.withIssuer();
});
afterAll(async () => {
  await desk.close();
});

describe('policies and audiences', () => {
  const set = `${policySets}/orders-to-amount`;
  const publish = (slot: string, ...more: readonly string[]): string[] => [
    'policy',
    'publish',
    set,
    '--slot',
    slot,
    ...more,
  ];
  test('the shipped sets pass their cases', async () => {
    const folders = ['read-only-agent', 'ci-deploy', 'orders-to-amount'].map(
      (name) => `${policySets}/${name}`,
    );
    expect(await desk.json('policy', 'test', ...folders)).toMatchObject({ failed: 0 });
  });
  test('a set that does not compile is shown with its place', async () => {
    desk.write('wrong/schema.cedarschema', 'entity User;');
    desk.write('wrong/policy.cedar', 'permit (principal, action, resource)');
    const { exit, stderr } = await desk.run(['policy', 'check', desk.path('wrong')]);
    expect(exit).toBe(7);
    expect(stderr).toMatch(/wrong\/policy\.cedar:1:\d+: .*\(policy_wrong/u);
  });
  test.each([
    ['its own schema', 'base\n\n', 'entity User;\n\n?', 'set/schema.cedarschema:3:1'],
    ['the base schema', 'entity User;\n?\n', 'entity Order;\n', 'base.cedarschema:2:1'],
  ])('a schema that does not compile is shown with its place: %s', async (_, base, own, place) => {
    const file = desk.write('base.cedarschema', base.replace('base', 'entity Base;'));
    desk.write('set/schema.cedarschema', own);
    desk.write('set/policy.cedar', '');
    const { exit, stderr } = await desk.run(['policy', 'check', desk.path('set'), '--schema', file]);
    expect(exit).toBe(7);
    expect(stderr).toContain(place);
  });
  test('findings end a check with 7', async () => {
    const argv = ['--json', 'policy', 'check', set, '--delegable-attribute', 'team'];
    const { exit, stdout } = await desk.run(argv);
    expect(exit).toBe(7);
    expect(JSON.parse(stdout)).toMatchObject({ findings: [{ rule: 'delegable_restriction' }] });
  });
  test('a set that stands on what a service key may write is published only when told', async () => {
    const file = desk.path(`${desk.fresh('service')}.jwk`);
    const provides = ['--connection', 'corp', '--domain', 'corp.example'];
    const allow = ['--allow', 'principal.provision', '--attribute', 'team', ...provides];
    const lease = await desk.json('admin', 'lease', 'grant', '--key', file, ...allow);
    const slot = desk.fresh('slot');
    expect(await desk.failure(publish(slot))).toBe('3 lint_found delegable_restriction');
    expect(await desk.failure(['policy', 'show', slot])).toBe('3 subject_unknown');
    const done = await desk.json(...publish(slot, '--accept-lint'));
    expect(done).toMatchObject({ done: 'policy.publish', findings: [{ policyId: 'own-team' }] });
    await desk.json('admin', 'lease', 'revoke', String(lease['key']));
  });
  test('a dry run publishes nothing and says what would change', async () => {
    const slot = desk.fresh('slot');
    const { change, done } = await desk.json(...publish(slot, '--dry-run'));
    expect(done).toBeNull();
    expect((change as { added: string[] }).added).toContain('own-team');
    expect(await desk.failure(['policy', 'show', slot])).toBe('3 subject_unknown');
  });
  test('approvals that would count for nothing are named, and a group that they need is not made unprotected', async () => {
    const argv = ['policy', 'publish', `${policySets}/payments-four-eyes`, '--slot', desk.fresh('slot')];
    const { stdout, stderr } = await desk.run(argv);
    expect(stdout).toContain('next: bulla admin audience add <url> --slot ');
    expect(stderr).toContain('there is no such group yet: bulla admin group add finance --protected');
    expect(await desk.failure(['admin', 'group', 'add', 'finance'])).toBe('2 argument_invalid');
    await desk.json('admin', 'group', 'add', 'finance', '--protected');
    await desk.json('admin', 'group', 'add', 'board', '--protected');
    expect((await desk.run([...argv, '--dry-run'])).stderr).toBe('');
  });
  test('an audience that differs by a slash from what the issuer may mint for is pointed out', async () => {
    const slot = desk.fresh('slot');
    await desk.json('policy', 'publish', `${policySets}/ci-deploy`, '--slot', slot);
    const url = `https://${slot}.example`;
    const lease = ['admin', 'lease', 'grant', '--key', desk.path('mint.jwk'), '--allow', 'capability.mint'];
    await desk.json(...lease, '--audience', `${url}/`);
    const { stderr } = await desk.run(['admin', 'audience', 'add', url, '--slot', slot]);
    expect(stderr).toContain(`the issuer may mint for ${url}/, which is another audience`);
  });
  test('a set away from its base schema is told to name one', async () => {
    const folder = ['policy.cedar', 'schema.cedarschema'].map((name) =>
      desk.write(`lone/${name}`, readFileSync(`${set}/${name}`, 'utf8')),
    );
    const { exit, stderr } = await desk.run(['policy', 'check', path.dirname(folder[0] ?? '')]);
    expect(exit).toBe(7);
    expect(stderr).toContain('name one with --schema');
  });
  test('a slot decides for an audience until that retires', async () => {
    const slot = desk.fresh('slot');
    const url = `https://${slot}.example/`;
    const published = await desk.json('policy', 'publish', `${policySets}/ci-deploy`, '--slot', slot);
    await desk.json('admin', 'audience', 'add', url, '--slot', slot, '--staleness', '45s');
    const shown = { slot, maxStalenessSeconds: 45, policy: published['digest'] };
    expect(await desk.json('admin', 'audience', 'show', url)).toMatchObject({ ...shown, status: 'active' });
    expect(await desk.json('policy', 'show', slot)).toMatchObject({
      document: { policies: { 'staging-only': {} } },
    });
    await desk.json('admin', 'audience', 'retire', url);
    expect(await desk.json('admin', 'audience', 'show', url)).not.toMatchObject({ status: 'active' });
  });
});

describe('the log', () => {
  test('is shown, whole or about one', async () => {
    const { id } = await desk.addPerson();
    const { entries } = await desk.json('log', 'show', '--about', id);
    expect(entries).toMatchObject([
      { op: { type: 'principal.provision' } },
      { op: { type: 'principal.activate', principal: id } },
    ]);
    const { exit, stdout } = await desk.run(['log', 'show', '--from', '0']);
    expect(exit).toBe(0);
    expect(stdout).toMatch(/^ENTRY +TIME .*\n0 .* admin [\w-]{8} +account\.create/u);
  });
  test('holds, fetched anew and replayed', async () => {
    expect(await desk.json('log', 'verify')).toMatchObject({ holds: true, forkedAt: null, skipped: [] });
  });
  test('is pinned, and the pin is checked', async () => {
    const lock = desk.path(desk.fresh('bulla.lock'));
    expect(await desk.failure(['pin', lock, '--check'])).toBe('7 lock_behind');
    const first = await desk.json('pin', lock);
    await desk.addGroup();
    expect(await desk.json('pin', lock, '--check')).toMatchObject({ size: first['size'] });
    const raised = await desk.json('pin', lock);
    expect(Number(raised['size'])).toBeGreaterThan(Number(first['size']));
    const old = { ...(JSON.parse(desk.read(lock.slice(desk.folder.length))) as object), time: 1 };
    expect(await desk.failure(['pin', desk.write('old.lock', JSON.stringify(old)), '--check'])).toBe(
      '7 lock_behind',
    );
  });
  test('is pinned with the time of its checkpoint, in whatever part of a second that is', async () => {
    const times: number[] = [];
    for (const part of [0, 0.9]) {
      const ports = { ...systemPorts, now: () => Math.ceil(systemPorts.now()) + part };
      const argv = ['--json', 'pin', desk.path(desk.fresh('bulla.lock'))];
      times.push((JSON.parse((await desk.run(argv, { ports })).stdout) as { time: number }).time);
    }
    expect(times[1]).toBeGreaterThanOrEqual(times[0] ?? Infinity);
  });
});
