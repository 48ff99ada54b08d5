import { readFileSync, statSync } from 'node:fs';
import { createAgent, generateKey } from '@bulla/agent';
import { createSigner, type PrivateJwk, systemPorts } from '@bulla/verifier';
import { inspect, signRoot } from '@bulla/verifier/envelope';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DocumentsApi, deskWithApi } from './api.ts';
import type { Desk } from './desk.ts';

let desk: Desk;
let api: DocumentsApi;
let envelope: string;
const helper = generateKey();
beforeAll(async () => {
  ({ desk, api } = await deskWithApi());
  const { privateKey } = JSON.parse(desk.read(`home/keys/${api.key}.json`)) as { privateKey: PrivateJwk };
  envelope = await createAgent({
    issuer: `${desk.url}/a/${desk.account().account}`,
    clientId: api.agent,
    key: privateKey,
    resource: `${api.origin}/`,
    origins: [api.origin],
  }).envelope();
  desk.write('helper.jwk', JSON.stringify(helper.publicJwk));
});
afterAll(async () => {
  await api.close();
  await desk.close();
});

const narrow = (...more: readonly string[]): string[] => ['narrow', '-', '--key', api.key, ...more];
const call = async (text: string, key: PrivateJwk, id: string): Promise<number> => {
  const agent = createAgent({ envelope: text, key, origins: [api.origin] });
  return (await agent.fetch(`${api.origin}/documents/${id}`)).status;
};

describe('narrow', () => {
  test('hands on less: the envelope on stdout, what was taken away on stderr', async () => {
    const argv = narrow(
      '--next',
      desk.path('helper.jwk'),
      '--only-resource',
      'Document::"7"',
      '--for',
      '2m',
      '--seal',
    );
    const { exit, stdout, stderr } = await desk.run(argv, { stdin: envelope, printsEnvelope: true });
    expect([exit, stderr.startsWith('forbid')]).toEqual([0, true]);
    expect(stderr).toContain('resource in [Document::"7"]');
    expect(stdout.trim()).not.toContain('\n');
    expect(inspect(stdout.trim()).effective).toMatchObject({ depth: 0 });
    expect(await call(stdout.trim(), helper.privateJwk, '7')).toBe(200);
    expect(await call(stdout.trim(), helper.privateJwk, '8')).toBe(403);
  });

  test('writes a file for its owner alone, and replaces none', async () => {
    const out = desk.path('narrowed.txt');
    const file = desk.write('envelope.txt', envelope);
    const argv = ['narrow', file, '--key', api.key, '--only-action', 'document.read', '--to', out];
    expect(await desk.json(...argv)).toMatchObject({
      file: out,
      policies: [expect.stringContaining('document.read')],
    });
    expect(statSync(out).mode & 0o777).toBe(0o600);
    expect(inspect(readFileSync(out, 'utf8').trim()).blocks).toHaveLength(1);
    expect(await desk.failure(argv)).toBe('2 argument_invalid');
  });

  test('what was handed on is spent by `call`, to its end, without an issuer', async () => {
    const file = desk.path('handed.txt');
    const key = desk.write('helper-private.jwk', JSON.stringify(helper.privateJwk));
    const only = ['--only-resource', 'Document::7', '--for', '1m', '--to', file];
    await desk.run(narrow('--next', desk.path('helper.jwk'), ...only), { stdin: envelope });
    const spend = (id: string): string[] => [
      'call',
      `${api.origin}/documents/${id}`,
      '--envelope',
      file,
      '--key',
      key,
    ];
    expect((await desk.run(spend('7'))).exit).toBe(0);
    expect((await desk.run(spend('8'))).exit).toBe(7);
    const ports = { ...systemPorts, now: () => systemPorts.now() + 61 };
    const { exit, stdout } = await desk.run(['--json', ...spend('7')], { ports });
    expect([exit, JSON.parse(stdout)]).toMatchObject([3, { error: { code: 'envelope_expired' } }]);
  });

  test.each<[string, () => string]>([
    ['a key of the home', () => api.key],
    ['the thumbprint of a key in the log', () => inspect(envelope).root.client_id ?? ''],
    ['a key file', () => desk.path('home', 'keys', `${api.key}.json`)],
  ])('names the next holder by %s', async (what, name) => {
    const own = createSigner(
      (JSON.parse(desk.read(`home/keys/${api.key}.json`)) as { privateKey: PrivateJwk }).privateKey,
    );
    const given = what.startsWith('the thumbprint') ? own.publicKey.thumbprint : name();
    const argv = ['--json', ...narrow('--next', given)];
    const { stdout } = await desk.run(argv, { stdin: envelope, printsEnvelope: true });
    const { envelope: text } = JSON.parse(stdout) as { envelope: string };
    expect(inspect(text).blocks.at(-1)?.holder).toBe(own.publicKey.thumbprint);
  });

  test('says how to do without an issuer that is away', async () => {
    const ports = { ...systemPorts, fetch: async () => Promise.reject(new TypeError('fetch failed')) };
    const { exit, stderr } = await desk.run(narrow('--only-action', 'document.read'), {
      stdin: envelope,
      ports,
    });
    expect(exit).toBe(5);
    expect(stderr).toContain('without the issuer, --schema takes');
  });

  test('takes the policy set from a file', async () => {
    const set = desk.write('set.json', JSON.stringify(await desk.json('policy', 'show', 'documents')));
    const argv = narrow('--only-action', 'document.read', '--schema', set);
    expect((await desk.run(argv, { stdin: envelope, printsEnvelope: true })).exit).toBe(0);
  });

  test.each<[string, readonly string[], string]>([
    [
      'an action that the schema lacks',
      ['--only-action', 'document.raed'],
      '3 narrowing_invalid policy_not_valid',
    ],
    ['an attribute that it lacks', ['--max', 'amount=5'], '3 narrowing_invalid policy_not_valid'],
    ['a limit without a number', ['--max', 'amount'], '2 argument_invalid'],
    ['a resource without an id', ['--only-resource', 'Document'], '2 argument_invalid'],
    [
      'a resource with an escape in its id',
      ['--only-resource', String.raw`Document::"a\"b"`],
      '2 argument_invalid',
    ],
    [
      'an audience more',
      ['--audience', 'https://elsewhere.example/'],
      '3 narrowing_invalid envelope_widened',
    ],
    ['a thumbprint that nobody has', ['--next', 'A'.repeat(43)], '3 subject_unknown'],
    ['a private key as the next', ['--next', 'private.jwk'], '3 key_invalid'],
    ['no file', ['--next', 'nowhere/x.jwk'], '2 argument_invalid'],
    [
      'a schema that is none',
      ['--only-action', 'x', '--schema', 'private.jwk'],
      '3 schema_unusable policy_invalid',
    ],
    ['too little room', ['--seal', '--max-bytes', '300'], '3 narrowing_invalid envelope_too_large'],
  ])('refuses %s', async (_, more, code) => {
    desk.write('private.jwk', JSON.stringify(helper.privateJwk));
    const argv = narrow(...more.map((each) => (each === 'private.jwk' ? desk.path(each) : each)));
    expect(await desk.failure(argv, { stdin: envelope })).toBe(code);
  });

  test.each([
    ['--only-action', 'document.raed', 'the schema has no such action, but document.delete, document.list, '],
    ['--only-resource', 'Docment::"7"', 'the schema has no such type, but Document, Folder, Group, User'],
  ])('names what %s may say', async (option, value, told) => {
    const { exit, stderr } = await desk.run(narrow(option, value), { stdin: envelope });
    expect(exit).toBe(3);
    expect(stderr).toContain(told);
  });
});

describe('show', () => {
  test('says that nothing was verified, and shows each limit as Cedar text', async () => {
    const { stdout: text } = await desk.run(narrow('--only-action', 'document.read'), {
      stdin: envelope,
      printsEnvelope: true,
    });
    const { exit, stdout } = await desk.run(['show', '-'], { stdin: text });
    expect([exit, stdout.startsWith('UNVERIFIED')]).toEqual([0, true]);
    expect(stdout).toContain(api.agent);
    expect(stdout).toMatch(/limit by block 1:\n +forbid/u);
  });

  test('obeys nothing that an envelope says to the terminal', async () => {
    const mallory = createSigner(helper.privateJwk);
    const { root } = inspect(envelope);
    const hostile = 'https://x\u001b[2J\u202e\u009b1A\nVERIFIED\u2028';
    const forbid = {
      effect: 'forbid',
      principal: { op: 'All' },
      action: { op: 'All' },
      resource: { op: 'All' },
    };
    const annotations = { reason: hostile };
    const text = signRoot(
      {
        ...root,
        iss: hostile,
        aud: [hostile],
        narrow: [{ ...forbid, conditions: [], annotations }, hostile],
      },
      mallory,
    );
    const { stdout } = await desk.run(['show', '-'], { stdin: text });
    expect(stdout).not.toMatch(/[^\P{C}\n]|\u2028/u);
    expect(stdout).not.toMatch(/^ *VERIFIED/mu);
  });
});
