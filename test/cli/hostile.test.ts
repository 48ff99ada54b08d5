import { setTimeout } from 'node:timers/promises';
import { systemPorts } from '@bulla/verifier';
import { createGroup, Ledger } from 'bulla/admin';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Desk, policySets, type Ran } from './desk.ts';
import { Person } from './person.ts';

let desk: Desk;
let agent: string;
beforeEach(async () => {
  desk = await Desk.withIssuer();
  const { id } = await desk.addPerson();
  ({ id: agent } = await desk.addAgent(id));
});
afterEach(async () => {
  await desk.close();
});

/** The issuer as it is, but what it does with an entry. */
const issuerThat = (takes: (forward: () => Promise<Response>) => Promise<Response>): typeof fetch => {
  return (input, init) => {
    const forward = (): Promise<Response> => systemPorts.fetch(input, init);
    return init?.method === 'POST' ? takes(forward) : forward();
  };
};
const acknowledge = (): Response => Response.json({}, { status: 201 });
const suspend = (fetch: typeof globalThis.fetch, ...more: readonly string[]): Promise<Ran> =>
  desk.run([...more, 'suspend', agent], { ports: { ...systemPorts, fetch } });
const lastSize = async (): Promise<number> => Number((await desk.json('log', 'show'))['size']);

describe('an issuer that acknowledges and never publishes', () => {
  const silent = issuerThat(async () => acknowledge());
  test('is not believed: the suspension ends with 4', async () => {
    const size = await lastSize();
    const { exit, stdout, stderr } = await suspend(silent, '--timeout', '1s');
    expect(exit).toBe(4);
    expect(stdout).toBe('');
    expect(stderr).toContain(`no checkpoint with entry ${size} was seen in time (not_in_checkpoint)`);
    expect(stderr).toContain('assume that it has no effect');
    expect(stderr).toContain('`bulla stop`');
  });
  test('is found out at the next use: nothing more is signed on its log, looking goes on with a warning', async () => {
    await suspend(silent, '--timeout', '1s');
    const { exit, stderr } = await desk.run(['log', 'show']);
    expect(exit).toBe(0);
    expect(stderr).toMatch(/warning: the log lacks entry \d+, which the issuer acknowledged/u);
    expect(await desk.failure(['admin', 'group', 'add', 'late'])).toBe('3 entry_missing');
  });
});

test('an issuer that publishes late is forgiven', async () => {
  let forwarded: Promise<Response> | undefined;
  let publish: () => void = () => undefined;
  const late = issuerThat(async (forward) => {
    publish = () => {
      forwarded = forward();
    };
    return acknowledge();
  });
  expect((await suspend(late, '--timeout', '1s')).exit).toBe(4);
  publish();
  expect((await forwarded)?.status).toBe(201);
  expect(await desk.json('admin', 'agent', 'show', agent)).toMatchObject({ status: 'suspended (by admin)' });
});

test('an issuer that acknowledges and then serves another entry leads to entry_missing', async () => {
  const other = await Ledger.open({
    ...desk.account(),
    url: desk.url,
    folder: desk.path('other'),
    admins: [desk.admin()],
  });
  const replacing = issuerThat(async () => {
    await createGroup(other, 'instead');
    return acknowledge();
  });
  const { exit, stdout, stderr } = await suspend(replacing);
  await other.close();
  expect(exit).toBe(3);
  expect(stdout).toBe('');
  expect(stderr).toContain('the log has another in its place (entry_missing)');
  expect(stderr).toContain('treat the issuer as hostile');
  expect(await desk.failure(['admin', 'group', 'add', 'late'])).toBe('3 entry_missing');
});

test('an issuer that names another entry than the one a person asked for leads to entry_missing', async () => {
  const person = await Person.at(desk);
  const ledger = await Ledger.open({
    ...desk.account(),
    url: desk.url,
    folder: desk.path('other'),
    admins: [],
  });
  const seq = ledger.entries.length - 1;
  const head = ledger.entries[seq]?.hash;
  await ledger.close();
  const naming = issuerThat(async () => Response.json({ seq, size: seq + 1, head }, { status: 201 }));
  const argv = ['--insecure-plaintext-key', '--home', person.home, 'agent', 'add', '--keyless'];
  const { exit, stderr } = await desk.run(argv, { ports: { ...systemPorts, fetch: naming } });
  expect(exit).toBe(3);
  expect(stderr).toContain('not the one asked for (entry_missing)');
});

test('an honest issuer that says somebody was first gets the same change on the new head', async () => {
  const other = await Ledger.open({
    ...desk.account(),
    url: desk.url,
    folder: desk.path('other'),
    admins: [desk.admin()],
  });
  let raced = false;
  const racing = issuerThat(async (forward) => {
    if (!raced) await createGroup(other, 'first');
    raced = true;
    return forward();
  });
  const { exit, stdout } = await suspend(racing);
  await other.close();
  expect(exit).toBe(0);
  expect(stdout).toContain(`suspended ${agent}`);
});

describe('an issuer that', () => {
  test.each<[string, () => Promise<Response>, string]>([
    [
      'refuses',
      async () => Response.json({ code: 'rule_broken' }, { status: 403 }),
      '3 issuer_refused rule_broken',
    ],
    ['is overloaded', async () => new Response('later', { status: 503 }), '5 issuer_unreachable'],
    ['does not answer', async () => Promise.reject(new TypeError('fetch failed')), '5 issuer_unreachable'],
    [
      'answers with a secret',
      async () => Response.json({ code: 'A b C' }, { status: 400 }),
      '3 issuer_refused',
    ],
  ])('%s is named', async (_, answer, expected) => {
    const ports = { ...systemPorts, fetch: issuerThat(answer) };
    expect(await desk.failure(['suspend', agent], { ports })).toBe(expected);
  });
  test('is away leaves nothing to read or sign', async () => {
    await desk.issuer?.close();
    expect(await desk.failure(['suspend', agent])).toBe('5 log_unreachable');
    expect(await desk.failure(['log', 'show'])).toBe('5 log_unreachable');
  });
});

test('a checkpoint that is too old is not signed on', async () => {
  const ports = { ...systemPorts, now: () => systemPorts.now() + 120 };
  expect(await desk.failure(['suspend', agent], { ports })).toBe('5 log_stale');
});

test('a quiet while is no stale log, whatever the issuer answers first', async () => {
  await desk.json('policy', 'publish', `${policySets}/orders-to-amount`, '--slot', 'orders');
  const shown = async (): Promise<string> =>
    (await fetch(`${desk.url}/a/${desk.account().account}/log/checkpoint`)).text();
  const before = await shown();
  desk.aheadSeconds = 120;
  await vi.waitFor(async () => expect(await shown()).not.toBe(before), 5000);
  const ports = {
    now: () => systemPorts.now() + desk.aheadSeconds,
    fetch: async (...[input, init]: Parameters<typeof fetch>) => {
      const { pathname } = new URL(input instanceof Request ? input.url : input);
      if (pathname.endsWith('/log/entries')) await setTimeout(200);
      return systemPorts.fetch(input, init);
    },
  };
  const { exit, stderr } = await desk.run(['suspend', agent], { ports });
  expect(stderr).toBe('');
  expect(exit).toBe(0);
});
