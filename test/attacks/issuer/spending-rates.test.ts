import { signJws } from '@bulla/verifier/envelope';
import { expect, test } from 'vitest';
import { IssuerWorld } from '../../kit/issuer.ts';
import { newSigner } from '../../kit/log.ts';

test('a captured assertion without the key does not spend its client rate', async () => {
  const world = await IssuerWorld.create({ account: { tokensPerClientPerMinute: 4 } });
  const { agent } = world;
  const assertion = signJws('JWT', {}, world.assertionClaims(agent.id), agent.signer);
  for (let index = 0; index < 4; index += 1) {
    expect((await world.token({ assertion, proof: '' })).status).toBe(400);
    expect((await world.token({ assertion, proofSigner: newSigner() })).status).toBe(400);
  }
  expect((await world.token()).status).toBe(200);
  await world.remove();
});
