import { type RunningIssuer, serveIssuer } from '@bulla/issuer';
import { createFollower, type Follower } from '@bulla/verifier/log';
import { policySetDigest } from '@bulla/verifier/policy';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { notesPolicy } from '../kit/api.ts';
import { IssuerWorld, readToken } from '../kit/issuer.ts';

let world: IssuerWorld;
let running: RunningIssuer;
let follower: Follower;
beforeEach(async () => {
  world = await IssuerWorld.create();
  await world.issuer.close();
  running = await serveIssuer(world.config, world.ports);
});
afterEach(async () => {
  await follower.close();
  await running.close();
  await world.start();
  await world.remove();
});

test.each(['stream', 'poll'] as const)(
  'a follower over %s sees what the issuer appended',
  async (transport) => {
    follower = createFollower({
      account: world.ledger.account,
      url: running.url,
      readToken,
      transport,
      pollSeconds: 0.05,
    });
    follower.start();
    await follower.ready;
    const { trust } = follower;
    expect(trust.size).toBe(world.ledger.leaves.length);
    await follower.until(() => trust.policySet(policySetDigest(notesPolicy)) !== undefined);
    expect(trust.read(`agent/${world.agent.id}`)?.status).toBe('active');

    world.ledger.do({ type: 'agent.suspend', agent: world.agent.id });
    const posted = await fetch(`${running.url}${world.base}/log/entries`, {
      method: 'POST',
      headers: { authorization: `Bearer ${readToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ leaf: world.ledger.lastLeaf }),
    });
    expect(posted.status).toBe(201);
    await follower.until(() => trust.read(`agent/${world.agent.id}`)?.status === 'suspended');
    expect(follower.halted).toBeUndefined();
  },
);
