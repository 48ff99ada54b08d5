import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { parseConfig } from '@bulla/issuer';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Desk } from './desk.ts';

const agent = `agt_${'1'.repeat(32)}`;
const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64url');
let desk: Desk;
beforeEach(() => {
  desk = new Desk();
});
afterEach(async () => {
  await desk.close();
});

interface Made {
  readonly line: { readonly agent: string; readonly sha256: string; readonly notAfter?: number };
  readonly secret?: string;
}

/** Whether the issuer takes these members of an account. */
function accepts(lines: object): boolean {
  const account = {
    account: `acct_${'x'.repeat(43)}`,
    logKeyFile: 'log.jwk',
    mintKeyFile: 'mint.jwk',
    ...lines,
  };
  parseConfig({ publicUrl: 'https://issuer.example', database: 'issuer.db', accounts: [account] });
  return true;
}

describe('bulla secret', () => {
  test('client shows a secret once, and the line for a partner that the issuer takes', async () => {
    const scopes = ['users:read', 'users:suspend'];
    const asked = scopes.flatMap((scope) => ['--scope', scope]);
    const { stdout } = await desk.run(['secret', 'client', 'offboarding', ...asked, '--json']);
    const { line, secret = '' } = JSON.parse(stdout) as { line: object; secret?: string };
    expect(line).toEqual({ id: 'offboarding', secrets: [{ sha256: sha256(secret) }], scopes });
    expect(accepts({ usersApi: { delegateKeyFile: 'users-api.jwk', clients: [line] } })).toBe(true);
    for (const wrong of [['Off'], ['off'], ['off', '--scope', 'users:write']]) {
      expect(await desk.failure(['secret', 'client', ...wrong])).toBe('2 argument_invalid');
    }
  });

  test('new shows a secret once, and the line with its hash that the issuer takes', async () => {
    const { stdout } = await desk.run(['secret', 'new', agent, '--for', '90d', '--json']);
    const { line, secret = '' } = JSON.parse(stdout) as Made;
    expect(secret).toMatch(/^[A-Za-z0-9_-]{43}$/u);
    expect(line).toEqual({ agent, sha256: sha256(secret), notAfter: expect.any(Number) });
    expect(Math.abs((line.notAfter ?? 0) - Date.now() / 1000 - 90 * 86_400)).toBeLessThan(60);
    expect(accepts({ clientSecrets: [line] })).toBe(true);
    const again = JSON.parse((await desk.run(['secret', 'new', agent, '--json'])).stdout) as Made;
    expect(again.secret).not.toBe(secret);
    expect(again.line.notAfter).toBeUndefined();
  });

  test('new writes a secret to a file of its own, and does not show it', async () => {
    const file = desk.path('agent.secret');
    const { stdout } = await desk.run(['secret', 'new', agent, '--to', file]);
    const secret = readFileSync(file, 'utf8').trim();
    expect(stdout).toContain(sha256(secret));
    expect(stdout).not.toContain(secret);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(await desk.failure(['secret', 'new', agent, '--to', file])).toBe('2 argument_invalid');
    expect(readFileSync(file, 'utf8').trim()).toBe(secret);
  });

  test('line hashes a secret that is there already, from a file or stdin, and does not show it', async () => {
    const stdin = 'a secret of the old kind, long enough\n';
    const { stdout } = await desk.run(['secret', 'line', agent, '-'], { stdin });
    expect(stdout).toContain(sha256(stdin.trim()));
    expect(stdout).not.toContain(stdin.trim());
  });

  test('reader makes a read token that the issuer takes by its hash', async () => {
    const file = desk.path('api.token');
    const { line } = JSON.parse(
      (await desk.run(['secret', 'reader', 'orders-api', '--to', file, '--json'])).stdout,
    ) as { readonly line: { readonly name: string; readonly sha256: string } };
    expect(line).toEqual({ name: 'orders-api', sha256: sha256(readFileSync(file, 'utf8').trim()) });
    expect(accepts({ readTokens: [line] })).toBe(true);
  });

  test.each([
    ['a reader whose name the configuration would not take', ['secret', 'reader', 'Orders API'], ''],
    ['an agent that is no id', ['secret', 'new', 'ci'], ''],
    ['a secret as argument', ['secret', 'line', agent, 'a secret of the old kind, long enough'], ''],
    ['a secret that can be guessed', ['secret', 'line', agent, '-'], 'hunter2'],
  ])('refuses %s', async (_, argv, stdin) => {
    expect(await desk.failure(argv, { stdin })).toBe('2 argument_invalid');
  });
});
