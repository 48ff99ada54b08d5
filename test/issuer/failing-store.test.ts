import { type AccountStore, openLibsqlStore, type Store } from '@bulla/issuer';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { IssuerWorld } from '../kit/issuer.ts';

type Method = 'size' | 'entries' | 'append' | 'saveCheckpoint' | 'useOnce' | 'document';

/** Methods that fail from now on; a test adds to it. */
const failing = new Set<Method>();
const breakable = (store: AccountStore): AccountStore =>
  new Proxy(store, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return async (...parameters: unknown[]) => {
        if (failing.has(name as Method)) throw new Error('disk is gone: secret-of-the-store');
        return (value as (...all: unknown[]) => Promise<unknown>).apply(target, parameters);
      };
    },
  });
const openStore = (database: string): Store => {
  const store = openLibsqlStore(database);
  return { ...store, openAccount: async (account) => breakable(await store.openAccount(account)) };
};

let world: IssuerWorld;
beforeEach(async () => {
  failing.clear();
  world = await IssuerWorld.create({ ports: { openStore } });
});
afterEach(async () => {
  failing.clear();
  await world.remove();
});

const append = async (group: string): Promise<Response> => {
  world.ledger.group(group);
  return world.postLeaf(world.ledger.lastLeaf);
};
const health = async (): Promise<unknown> => (await world.issuer.app.request('/healthz')).json();
const checkpointSize = async (): Promise<number> =>
  Number((await (await world.get('/log/checkpoint')).text()).split('\n')[1]);

describe('law 4: when the store fails at', () => {
  test.each(['append', 'size', 'document', 'useOnce'] as const)(
    '%s, nothing is acknowledged',
    async (method) => {
      failing.add(method);
      const response = method === 'append' || method === 'size' ? await append('x') : await world.token();
      expect(response.status).toBe(500);
      const text = await response.text();
      expect(text).not.toContain('secret-of-the-store');
      expect(JSON.stringify(world.lines)).not.toContain('secret-of-the-store');
    },
  );

  test('append, the entry is not in the log, and the same leaf is taken once the store is back', async () => {
    const before = await checkpointSize();
    failing.add('append');
    await append('x');
    expect(await checkpointSize()).toBe(before);
    failing.clear();
    expect((await world.postLeaf(world.ledger.lastLeaf)).status).toBe(201);
    expect(await checkpointSize()).toBe(before + 1);
  });

  test('saving a checkpoint, the old one is served, health says so, and the entry is kept', async () => {
    const before = await checkpointSize();
    failing.add('saveCheckpoint');
    expect((await append('x')).status).toBe(201);
    expect(await checkpointSize()).toBe(before);
    expect(await health()).toMatchObject({ healthy: false });
    failing.clear();
    expect((await append('y')).status).toBe(201);
    expect(await checkpointSize()).toBe(before + 2);
    expect(await health()).toMatchObject({ healthy: true });
  });

  test('reading, health is false', async () => {
    failing.add('size');
    expect(await health()).toMatchObject({
      healthy: false,
      accounts: [{ reasons: expect.arrayContaining(['store_unavailable']) as unknown }],
    });
  });
});
