import { AgentError, createAgent } from '@bulla/agent';
import { afterEach, expect, test } from 'vitest';
import { audience, newKey } from '../kit/issuer.ts';
import { type Live, startLive } from '../kit/live.ts';

let live: Live | undefined;
afterEach(async () => {
  await live?.close();
  live = undefined;
});

test.each([false, true])(
  'the agent library exchanges, calls, is denied by policy, and is cut off on suspension (nonce demanded: %s)',
  async (requireDpopNonce) => {
    const key = newKey();
    live = await startLive({ requireDpopNonce, agentKey: key.signer });
    const { world, apiOrigin } = live;
    const options = {
      issuer: world.issuerId,
      clientId: world.agent.id,
      key: key.jwk,
      resource: audience,
      origins: [apiOrigin],
    };
    const agent = createAgent(options);
    const read = await agent.fetch(`${apiOrigin}/notes/7`);
    expect(await read.json()).toEqual({ note: '7' });
    expect((await agent.fetch(`${apiOrigin}/notes/7`, { method: 'DELETE' })).status).toBe(403);

    const writer = createAgent({ ...options, authorizationDetails: [{ type: 'bulla', actions: ['write'] }] });
    expect((await writer.fetch(`${apiOrigin}/notes/7`)).status).toBe(403);

    world.ledger.do({ type: 'agent.suspend', agent: world.agent.id });
    await live.append();
    expect((await agent.fetch(`${apiOrigin}/notes/7`)).ok).toBe(false);
    const refused = await createAgent(options)
      .fetch(`${apiOrigin}/notes/7`)
      .catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(AgentError);
    expect(refused).toMatchObject({ code: 'exchange_refused' });
  },
);
