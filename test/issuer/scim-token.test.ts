import {
  type AccountStore,
  checkScimToken,
  IssuerRefusal,
  issueScimToken,
  listScimTokens,
  revokeScimToken,
} from '@bulla/issuer';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { IssuerWorld } from '../kit/issuer.ts';

let world: IssuerWorld;
let store: AccountStore;
const now = 2_000_000_000;
const ports = { now: () => now, randomBytes: (size: number) => crypto.getRandomValues(new Uint8Array(size)) };
beforeEach(async () => {
  world = await IssuerWorld.create({ connection: {} });
  ({ store } = world.hosted);
});
afterEach(async () => world.remove());

const issue = async () =>
  issueScimToken(store, { connection: 'okta', scopes: ['users:read'], notAfter: now + 100 }, ports);
const codeOf = async (run: Promise<unknown>): Promise<string> => {
  try {
    await run;
  } catch (error) {
    if (error instanceof IssuerRefusal) return error.code;
    throw error;
  }
  return 'accepted';
};

test('a token names its connection and scopes, until it ends', async () => {
  const { token, listed } = await issue();
  expect(await checkScimToken(store, `Bearer ${token}`, now)).toEqual(listed);
  expect(listed).toMatchObject({ connection: 'okta', scopes: ['users:read'], lastUsed: null });
  expect(await codeOf(checkScimToken(store, `bearer ${token}`, now + 99))).toBe('accepted');
  expect(await codeOf(checkScimToken(store, `Bearer ${token}`, now + 100))).toBe('scim_token_wrong');
});

test.each([undefined, '', 'Bearer', 'Bearer ', 'Basic eA==', 'Bearer x', 'Bearer x y'])(
  'no token: %s',
  async (authorization) => {
    await issue();
    expect(await codeOf(checkScimToken(store, authorization, now))).toBe('scim_token_wrong');
  },
);

test('two tokens live at once; one that is revoked is void, the other is not', async () => {
  const [old, fresh] = [await issue(), await issue()];
  expect(await listScimTokens(store, 'okta')).toHaveLength(2);
  await revokeScimToken(store, old.listed.id);
  expect(await codeOf(checkScimToken(store, `Bearer ${old.token}`, now))).toBe('scim_token_wrong');
  expect(await codeOf(checkScimToken(store, `Bearer ${fresh.token}`, now))).toBe('accepted');
  expect(await codeOf(revokeScimToken(store, old.listed.id))).toBe('scim_token_unknown');
  expect(await listScimTokens(store, 'entra')).toEqual([]);
});

test('the last use is noted to the minute, the token itself nowhere', async () => {
  const { token, listed } = await issue();
  await checkScimToken(store, `Bearer ${token}`, now + 59);
  const [seen] = await listScimTokens(store);
  expect(seen).toEqual({ ...listed, lastUsed: Math.floor((now + 59) / 60) * 60 });
  expect(JSON.stringify(seen)).not.toContain(token);
});
