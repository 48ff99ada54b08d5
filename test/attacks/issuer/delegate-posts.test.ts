import type { PolicySetDocument } from '@bulla/verifier/policy';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { IssuerWorld } from '../../kit/issuer.ts';

// A read token and the narrowest lease are enough to post entries: what comes with them must not stop issuer or followers.

let world: IssuerWorld;
beforeEach(async () => {
  world = await IssuerWorld.create();
});
afterEach(async () => world.remove());

async function connector() {
  const { ledger } = world;
  const key = ledger.grant({ operations: ['capability.revoke'] });
  await world.appended(ledger.lastLeaf);
  return (time: number) =>
    ledger.sign({ op: { type: 'capability.revoke', jti: 'j', exp: ledger.time } }, key, [], { time });
}

const codeOf = async (response: Response): Promise<unknown> =>
  ((await response.json()) as { code: unknown }).code;

test('an entry that followers would halt on is refused', async () => {
  const sign = await connector();
  world.ahead += 300;
  const now = Math.floor(world.ports.now());
  expect(await codeOf(await world.postLeaf(sign(now - 100)))).toBe('entry_time_off');
  expect(await codeOf(await world.postLeaf(sign(now - 60)))).toBe('entry_time_off');
  expect((await world.postLeaf(sign(now - 20))).status).toBe(201);
});

test('an admin may take longer: followers take what admins dated earlier', async () => {
  const { ledger } = world;
  world.ahead += 300;
  const time = Math.floor(world.ports.now()) - 200;
  const leaf = ledger.sign({ op: { type: 'agent.suspend', agent: world.agent.id } }, ledger.admin, [], {
    time,
  });
  expect((await world.postLeaf(leaf)).status).toBe(201);
});

test('a policy set that nobody signed is not read', async () => {
  const sign = await connector();
  const commonTypes: Record<string, unknown> = { T0: { type: 'Long' } };
  for (let level = 1; level < 20; level += 1) {
    const type = { type: 'EntityOrCommon', name: `T${level - 1}` };
    commonTypes[`T${level}`] = {
      type: 'Record',
      attributes: { a: type, b: type, c: type, d: type, e: type },
    };
  }
  const entityTypes = { Thing: { shape: { type: 'EntityOrCommon', name: 'T19' } } };
  const schema = { '': { commonTypes, entityTypes, actions: {} } } as unknown as PolicySetDocument['schema'];
  const documents = [{ version: 1, policies: {}, schema }];
  const leaf = sign(Math.floor(world.ports.now()));
  expect(await codeOf(await world.post('/log/entries', { leaf, documents }))).toBe('document_unused');
});
