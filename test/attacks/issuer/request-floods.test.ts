import type { Signer } from '@bulla/verifier';
import { type Operation, signRequest } from '@bulla/verifier/log';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { IssuerWorld, newKey } from '../../kit/issuer.ts';

let world: IssuerWorld;
beforeEach(async () => {
  world = await IssuerWorld.create();
});
afterEach(() => world.remove());

async function ask(op: Operation, subject: `agent/${string}`, signer: Signer): Promise<number> {
  const { account } = world.ledger;
  const subjectVersion = world.hosted.log.read(subject)?.version ?? 0;
  const notAfter = Math.floor(world.ports.now()) + 60;
  const request = signRequest({ account, op, subject, subjectVersion, notAfter }, signer);
  return (await world.post('/log/requests', { request })).status;
}

it('one person who asks without end does not use up the lease by which everybody asks', async () => {
  const { ledger } = world;
  const from = ledger.leaves.length;
  const bob = ledger.person({ signer: newKey().signer });
  const agent = ledger.agent(bob);
  for (const leaf of ledger.leaves.slice(from)) await world.appended(leaf);
  const before = world.hosted.log.world.size;
  const limit = { type: 'agent.limit', agent: world.agent.id, limits: [] } as const;
  const flood = (): Promise<number> => ask(limit, `agent/${world.agent.id}`, world.alice.signer);
  const answers: number[] = [];
  for (let asked = 0; asked < 90; asked += 1) answers.push(await flood());
  expect(answers.slice(0, 80).every((status) => status === 201)).toBe(true);
  expect(answers.slice(80)).toEqual(Array.from({ length: 10 }, () => 429));
  expect(world.hosted.log.world.size).toBe(before + 80);
  const others = { type: 'agent.suspend', agent: agent.id } as const;
  expect(await ask(others, `agent/${agent.id}`, bob.signer)).toBe(201);
  world.ahead += 60;
  expect([await flood(), await flood(), await flood()]).toEqual([201, 201, 429]);
});
