import { createAgent } from '@bulla/agent';
import type { PrivateJwk } from '@bulla/verifier';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DocumentsApi, deskWithApi } from './api.ts';
import type { Desk } from './desk.ts';

let desk: Desk;
let api: DocumentsApi;
beforeAll(async () => {
  ({ desk, api } = await deskWithApi());
});
afterAll(async () => {
  await api.close();
  await desk.close();
});

const call = (...more: readonly string[]): string[] => [
  'call',
  `${api.origin}/documents/7`,
  '--agent',
  api.agent,
  '--key',
  api.key,
  ...more,
];

/** An envelope as its holder has it. */
async function envelope(agent: string = api.agent, key: string = api.key): Promise<string> {
  const file = JSON.parse(desk.read(`home/keys/${key}.json`)) as { privateKey: PrivateJwk };
  return createAgent({
    issuer: `${desk.url}/a/${desk.account().account}`,
    clientId: agent,
    key: file.privateKey,
    resource: `${api.origin}/`,
    origins: [api.origin],
  }).envelope();
}

describe('call', () => {
  test('prints what the API answered', async () => {
    const { exit, stdout } = await desk.run(call());
    expect(exit).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ document: '7' });
  });
  test('prints status and header fields when told', async () => {
    const { stdout } = await desk.run(call('--include'));
    expect(stdout).toMatch(/^200 OK\n(?:[\w-]+: .*\n)+\n\{/u);
  });
  test('gives one JSON document', async () => {
    expect(await desk.json(...call())).toMatchObject({ status: 200, body: { document: '7' } });
  });
  test('ends with 7 where the policy says no, and shows why', async () => {
    const argv = ['--json', ...call('-X', 'PUT', '--data', '{}', '-H', 'content-type: application/json')];
    const { exit, stdout } = await desk.run(argv);
    expect(exit).toBe(7);
    expect(JSON.parse(stdout)).toMatchObject({
      status: 403,
      body: { reasons: [{ policy: 'agents-only-read' }] },
    });
  });
  test('ends with 3 where the issuer gives no envelope', async () => {
    const owner = await desk.addPerson();
    const { id, file } = await desk.addAgent(owner.id);
    await desk.json('suspend', id);
    const argv = ['call', `${api.origin}/documents/7`, '--agent', id, '--key', file];
    expect(await desk.failure(argv)).toMatch(/^3 /u);
  });
  test('says how an audience is written that the issuer does not know', async () => {
    const { exit, stderr } = await desk.run([...call(), '--resource', api.origin]);
    expect(exit).toBe(3);
    expect(stderr).toContain('target_refused (exchange_refused)\n  the audience is written exactly as');
  });
  test('ends with 5 where nobody listens', async () => {
    expect(await desk.failure([...call(), '--issuer', 'http://127.0.0.1:1/a/x'])).toMatch(/^5 /u);
  });
});

describe('token', () => {
  test('inspect shows what an envelope says, and says that nothing was verified', async () => {
    const { exit, stdout } = await desk.run(['token', 'inspect', '-'], { stdin: await envelope() });
    expect(exit).toBe(0);
    expect(stdout).toMatch(/^UNVERIFIED/u);
    expect(stdout).toContain(api.agent);
  });
  test('verify holds it against the log', async () => {
    const file = desk.write('envelope.txt', `DPoP ${await envelope()}\n`);
    expect(await desk.json('token', 'verify', file)).toMatchObject({
      holds: true,
      audience: `${api.origin}/`,
    });
  });
  test.each([
    ['another audience', ['--audience', 'https://elsewhere.example/'], (text: string) => text],
    [
      'one letter changed',
      [],
      (text: string) => text.replace(/.(?=.{20}$)/u, (c) => (c === 'A' ? 'B' : 'A')),
    ],
  ])('verify refuses %s', async (_, more, change) => {
    const argv = ['token', 'verify', '-', ...more];
    expect(await desk.failure(argv, { stdin: change(await envelope()) })).toMatch(/^7 token_refused \w+$/u);
  });
  test('verify refuses it when its agent is suspended, and when it was revoked', async () => {
    const { id } = await desk.addPerson('--group', 'staff');
    const agent = await desk.addAgent(id);
    const text = await envelope(agent.id, agent.file);
    const other = await envelope();
    expect(await desk.json('revoke', '--capability', desk.write('other.txt', other))).toMatchObject({
      done: 'capability.revoke',
    });
    await desk.json('suspend', agent.id);
    const verify = (stdin: string): Promise<string> => desk.failure(['token', 'verify', '-'], { stdin });
    expect(await verify(text)).toBe('7 token_refused agent_not_active');
    expect(await verify(other)).toBe('7 token_refused envelope_revoked');
  });
  test('what is no envelope is refused', async () => {
    expect(await desk.failure(['token', 'inspect', '-'], { stdin: 'x.y.z' })).toMatch(/^3 /u);
  });
});
