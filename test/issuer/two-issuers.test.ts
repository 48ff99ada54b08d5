import { createIssuer, type Issuer } from '@bulla/issuer';
import { signEntry } from '@bulla/verifier/log';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { IssuerWorld, readToken } from '../kit/issuer.ts';

let world: IssuerWorld;
let second: Issuer;
beforeAll(async () => {
  world = await IssuerWorld.create({ config: { checkpointSeconds: 0.05 } });
  second = await createIssuer(world.config, world.ports);
});
afterAll(async () => {
  await second.close();
  await world.remove();
});

const sizeAt = async ({ app }: Issuer): Promise<number> =>
  Number((await (await app.request(`${world.base}/log/checkpoint`)).text()).split('\n')[1]);
const post = async ({ app }: Issuer, leaf: string): Promise<Response> =>
  app.request(`${world.base}/log/entries`, {
    method: 'POST',
    headers: { authorization: `Bearer ${readToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ leaf }),
  });

test('what one issuer appended, another on the same database builds on at once', async () => {
  world.ledger.group('by-first');
  expect((await post(world.issuer, world.ledger.lastLeaf)).status).toBe(201);
  world.ledger.group('by-second');
  expect((await post(second, world.ledger.lastLeaf)).status).toBe(201);
  expect(await sizeAt(second)).toBe(world.ledger.leaves.length);
  await expect.poll(async () => sizeAt(world.issuer)).toBe(world.ledger.leaves.length);
});

test('writers at both that sign again on each conflict all get in, each entry once', async () => {
  const { account, admin, leaves, position } = world.ledger;
  const names = Array.from({ length: 16 }, (_, index) => `shared-${index}`);
  const start = { size: leaves.length, head: position.prevHash ?? '' };
  const taken: string[] = [];
  const write = async (name: string, index: number): Promise<number> => {
    const issuer = index % 2 === 0 ? world.issuer : second;
    for (let at = start; ; ) {
      const op = { type: 'group.create', group: name, protected: false } as const;
      const time = Math.floor(Date.now() / 1000);
      const leaf = signEntry({ account, seq: at.size, prev: at.head, time, op }, admin);
      const response = await post(issuer, leaf);
      const answer = (await response.json()) as { size: number; head: string; seq: number };
      if (response.status === 201) {
        taken[answer.seq - start.size] = leaf;
        return answer.seq;
      }
      expect(response.status).toBe(409);
      at = answer;
    }
  };
  const places = await Promise.all(names.map(write));
  for (const leaf of taken) world.ledger.append(leaf);
  world.ledger.time = Math.floor(Date.now() / 1000);
  expect(places.toSorted((a, b) => a - b)).toEqual(names.map((_, index) => start.size + index));
  await expect.poll(async () => sizeAt(world.issuer)).toBe(start.size + names.length);
  await expect.poll(async () => sizeAt(second)).toBe(start.size + names.length);
});
