import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { checkScimToken, loadConfig, openLibsqlStore, type ScimToken } from '@bulla/issuer';
import { generatePrivateJwk } from '@bulla/verifier';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Desk } from './desk.ts';

let desk: Desk;
let config: string;
beforeEach(async () => {
  desk = await Desk.withIssuer();
  config = path.join(desk.data, 'issuer.json');
  const delegateKeyFile = path.join(desk.data, 'okta.jwk');
  writeFileSync(delegateKeyFile, JSON.stringify(generatePrivateJwk('Ed25519')), { mode: 0o600 });
  const written = JSON.parse(readFileSync(config, 'utf8')) as { accounts: { connections?: object[] }[] };
  for (const account of written.accounts) account.connections = [{ name: 'okta', delegateKeyFile }];
  writeFileSync(config, JSON.stringify(written));
});
afterEach(async () => {
  await desk.close();
});

interface Made extends ScimToken {
  readonly token?: string;
  readonly url: string;
}
const json = async <T>(...given: readonly string[]): Promise<T> =>
  JSON.parse((await desk.run([...given, '--config', config, '--json'])).stdout) as T;

async function check(token: string): Promise<string> {
  const { accounts, database } = loadConfig(config, {});
  const store = openLibsqlStore(database);
  try {
    const account = await store.openAccount(accounts[0]?.account ?? '');
    return (await checkScimToken(account, `Bearer ${token}`, Date.now() / 1000)).connection;
  } finally {
    await store.close();
  }
}

test('a token is made while the issuer runs, is listed without itself, and ends when it is revoked', async () => {
  const made = await json<Made>('scim', 'token', 'new', 'okta', '--scope', 'users:read', '--for', '1h');
  expect(made.url).toMatch(/\/a\/acct_[A-Za-z0-9_-]{43}\/scim\/v2$/u);
  expect(made.scopes).toEqual(['users:read']);
  expect(await check(made.token ?? '')).toBe('okta');
  const listed = await desk.run(['scim', 'token', 'list', '--config', config]);
  expect(listed.stdout).toContain(made.id);
  expect(listed.stdout).not.toContain(made.token ?? '');
  await json('scim', 'token', 'revoke', made.id);
  expect((await json<{ tokens: object[] }>('scim', 'token', 'list', 'okta')).tokens).toEqual([]);
  await expect(check(made.token ?? '')).rejects.toMatchObject({ code: 'scim_token_wrong' });
  expect(await desk.failure(['scim', 'token', 'revoke', made.id, '--config', config])).toBe(
    '3 scim_token_unknown',
  );
});

test('a token goes into a file of its own; unknown connections and scopes are refused', async () => {
  const file = desk.path('okta.token');
  const made = await json<Made>('scim', 'token', 'new', 'okta', '--to', file);
  expect(made.token).toBeUndefined();
  expect(await check(readFileSync(file, 'utf8').trim())).toBe('okta');
  const fails = async (...given: string[]) => desk.failure(['scim', 'token', ...given, '--config', config]);
  expect(await fails('new', 'okta', '--to', file)).toBe('2 argument_invalid');
  expect(await fails('new', 'entra')).toBe('2 argument_invalid');
  expect(await fails('new', 'okta', '--scope', 'users:own')).toBe('2 argument_invalid');
});

test('erase wants a whole id and a person who is there', async () => {
  const erase = async (person: string) => desk.failure(['erase', person, '--config', config]);
  expect(await erase('alice')).toBe('2 argument_invalid');
  expect(await erase(`prn_${'0'.repeat(32)}`)).toBe('3 person_unknown');
});
