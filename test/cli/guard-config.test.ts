import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Desk } from './desk.ts';
import { guardFields, writeGuardConfig } from './guarded.ts';

let desk: Desk;
const folders: string[] = [];
beforeEach(() => {
  desk = new Desk();
});
afterEach(async () => {
  await desk.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function config(change: Readonly<Record<string, unknown>> = {}): string {
  const file = writeGuardConfig(change);
  folders.push(path.dirname(file));
  return file;
}

/** What `bulla guard --check` says about this change: exit, code and message. */
async function complaint(change: Readonly<Record<string, unknown>>): Promise<string> {
  const { exit, stdout } = await desk.run(['--json', 'guard', '--check', '--config', config(change)]);
  const { error } = JSON.parse(stdout) as { error?: { code: string; message: string } };
  return error === undefined ? String(exit) : `${exit} ${error.code} ${error.message}`;
}

const row = { action: 'payment.read', resource: { type: 'Payment', id: '{id}' } };
const withRow = (change: Readonly<Record<string, unknown>>, name = 'GET /payments/:id') => ({
  routes: { [name]: { ...row, ...change } },
});
const withResource = (change: Readonly<Record<string, unknown>>) =>
  withRow({ resource: { ...row.resource, ...change } });

describe('guard --check', () => {
  test('takes a configuration that is right', async () => {
    expect(await desk.json('guard', '--check', '--config', config())).toMatchObject({
      valid: true,
      forms: ['nginx', 'envoy', 'authzen'],
    });
  });

  test.each([
    ['account', { account: undefined }],
    ['account', { account: 'acct_short' }],
    ['issuer', { issuer: 'issuer.example' }],
    ['audience', { audience: 7 }],
    ['publicOrigins', { publicOrigins: [] }],
    ['publicOrigins', { publicOrigins: ['https://api.example/'] }],
    ['publicOrigins', { publicOrigins: 'https://api.example' }],
    ['lockFile', { lockFile: undefined }],
    ['lockFile', { lockFile: 'nothing' }],
    ['lockFile', { lockFile: 'read-token' }],
    ['readTokenFile', { readTokenFile: 'nothing' }],
    ['callerSecretFile', { callerSecretFile: 'nothing' }],
    ['stateFolder', { stateFolder: '' }],
    ['listen', { listen: undefined }],
    ['listen', { listen: '0.0.0.0:8790' }],
    ['listen', { listen: 'localhost:8790' }],
    ['listen', { listen: '127.0.0.1' }],
    ['listen', { listen: '127.0.0.1:65536' }],
    ['listen', { dangerouslyListenBeyondLoopback: '0.0.0.0:8790' }],
    [
      'dangerouslyListenBeyondLoopback',
      { listen: undefined, dangerouslyListenBeyondLoopback: '0.0.0.0:8790' },
    ],
    ['receipts', { receipts: undefined }],
    ['stalenessSeconds', { stalenessSeconds: 0 }],
    ['maxBodyBytes', { maxBodyBytes: '1' }],
    ['nginx', { nginx: undefined, envoy: undefined, authzen: undefined }],
    ['nginx', { nginx: true }],
    ['nginx.secret', { nginx: { secret: 'x' } }],
    ['envoy.maxRequestBytes', { envoy: {} }],
    ['envoy.pathPrefix', { envoy: { maxRequestBytes: 1, pathPrefix: '/envoy/' } }],
    ['envoy.pathPrefix', { envoy: { maxRequestBytes: 1, pathPrefix: '/access' } }],
    ['envoy.pathPrefix', { envoy: { maxRequestBytes: 1, pathPrefix: '/nginx' } }],
    ['authzen.identifier', { authzen: { identifier: 'http://guard.example' } }],
    ['receipt', { receipt: 'stdout' }],
    ['routes', { routes: undefined }],
    ['routes', { routes: {} }],
    ['routes', { routes: { 'get /x': 'public' } }],
    ['routes', { routes: { 'GET /:a': 'public', 'GET /:b': 'public' } }],
    ['routes.GET /x', { routes: { 'GET /x': 'open' } }],
    ['routes.GET /payments/:id.action', withRow({ action: undefined })],
    ['routes.GET /payments/:id.resource', withRow({ resource: undefined })],
    ['routes.GET /payments/:id.actoin', withRow({ actoin: 'payment.read' })],
    ['routes.GET /payments/:id.stalenessSeconds', withRow({ stalenessSeconds: '5' })],
    ['routes.GET /payments/:id.bindHeaders', withRow({ bindHeaders: 'x' })],
    ['routes.GET /payments/:id.context.a', withRow({ context: { a: 'json:team' } })],
    ['routes.GET /payments/:id.context.a', withRow({ context: { a: 'json:/~2' } })],
    ['routes.GET /payments/:id.context.a', withRow({ context: { a: 'query:' } })],
    ['routes.GET /payments/:id.context.a', withRow({ context: { a: 'header:x-team' } })],
    ['routes.GET /payments/:id.context.a', withRow({ context: { a: null } })],
    ['routes.GET /payments/:id.context.a', withRow({ context: { a: '{team}' } })],
    ['routes.GET /payments/:id.context.a', withRow({ context: { a: 'integer:json:/a' } })],
    ['routes.GET /payments/:id.context.a', withRow({ context: { a: 'integer:5' } })],
    ['routes.GET /payments/:id.context.a[1].b', withRow({ context: { a: [1, { b: '{c}' }] } })],
    ['routes.GET /payments/:id.resource.type', withResource({ type: '{id}' })],
    ['routes.GET /payments/:id.resource.id', withResource({ id: undefined })],
    ['routes.GET /payments/:id.resource.parents', withResource({ parents: [] })],
    ['routes.GET /payments/:id.resource.ancestors', withResource({ ancestors: {} })],
    ['routes.GET /payments/:id.resource.ancestors[0].id', withResource({ ancestors: [{ type: 'F' }] })],
  ])('names %s where it is wrong: %j', async (field, change) => {
    expect(await complaint(change)).toMatch(/^78 guard_config_invalid /u);
    expect(await complaint(change)).toContain(`\`${field}\``);
  });

  test.each(['not json', '[]', '{"account":"a","account":"b"}'])('refuses %s', async (text) => {
    const file = config();
    writeFileSync(file, text);
    expect(await desk.failure(['guard', '--check', '--config', file])).toBe('78 guard_config_invalid');
  });

  test('refuses secrets that others can read, or that are none', async () => {
    const file = config();
    const token = path.join(path.dirname(file), 'read-token');
    chmodSync(token, 0o644);
    expect(await desk.failure(['guard', '--check', '--config', file])).toBe('78 home_exposed');
    chmodSync(token, 0o600);
    writeFileSync(token, 'short');
    expect(await desk.failure(['guard', '--check', '--config', file])).toBe('78 guard_config_invalid');
  });

  test('refuses a lock of another account', async () => {
    const file = config();
    const fields = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    writeFileSync(file, JSON.stringify({ ...fields, account: `acct_${'B'.repeat(43)}` }));
    const { stdout } = await desk.run(['--json', 'guard', '--check', '--config', file]);
    expect(stdout).toContain('names a lock of another account');
  });

  test('beyond the loopback is spelled out, and needs a secret', async () => {
    const beyond = { listen: undefined, dangerouslyListenBeyondLoopback: '0.0.0.0:8790' };
    expect(await complaint({ ...beyond, callerSecretFile: 'secret' })).toBe('0');
  });

  test('the configuration of the example is right', async () => {
    const text = readFileSync(new URL('../../examples/nginx/guard.json', import.meta.url), 'utf8');
    const example = JSON.parse(text) as Record<string, unknown>;
    const nothing = Object.fromEntries(Object.keys(guardFields).map((name) => [name, undefined]));
    expect(await complaint({ ...nothing, ...example })).toBe('0');
  });
});

describe('guard with an issuer', () => {
  let live: Desk;
  let file: string;
  beforeEach(async () => {
    live = await Desk.withIssuer('--audience', 'https://api.example');
    const lock = live.path('bulla.lock');
    await live.json('pin', lock);
    const { account, readToken } = live.account();
    file = config({ account, issuer: live.url, lockFile: lock, receipts: 'receipts.jsonl' });
    writeFileSync(path.join(path.dirname(file), 'read-token'), readToken);
  });
  afterEach(() => live.close());

  test('listens, and ends in order when it is told to', async () => {
    const answer = await live.json('guard', '--config', file);
    expect(answer).toMatchObject({ url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/u) });
    expect(existsSync(path.join(path.dirname(file), 'state', 'process'))).toBe(false);
  });

  test('listens on a socket, over one that a killed guard left behind', async () => {
    const fields = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    writeFileSync(file, JSON.stringify({ ...fields, listen: 'unix:guard.sock' }));
    const socket = path.join(path.dirname(file), 'guard.sock');
    const url = `unix:${socket}`;
    const killed =
      "require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))";
    spawnSync(process.execPath, ['-e', killed, socket]);
    expect(existsSync(socket)).toBe(true);
    expect(await live.json('guard', '--config', file)).toMatchObject({ url });
  });

  test('will not share its state with another process', async () => {
    await live.json('guard', '--config', file);
    writeFileSync(path.join(path.dirname(file), 'state', 'process'), String(process.ppid), { mode: 0o600 });
    expect(await live.failure(['guard', '--config', file])).toBe('1 home_busy');
  });

  test('says where it cannot listen', async () => {
    const fields = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    const { port } = new URL(live.url);
    writeFileSync(file, JSON.stringify({ ...fields, listen: `127.0.0.1:${port}` }));
    expect(await live.failure(['guard', '--config', file])).toBe('78 guard_cannot_listen');
  });
});
