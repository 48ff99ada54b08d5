import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createAgent } from '@bulla/agent';
import { afterEach, expect, test } from 'vitest';
import { audience, newKey } from '../kit/issuer.ts';
import { type Live, startLive } from '../kit/live.ts';
import { caep, pushHeaders, pushStream, risc, Transmitter } from '../kit/transmitter.ts';

let open: (Live | Transmitter)[] = [];
afterEach(async () => {
  for (const each of open) await each.close();
  open = [];
});

test.each([`${caep}session-revoked`, `${risc}account-disabled`])(
  'after %s over HTTP the next call of an agent is refused by an API that follows the log',
  async (type) => {
    const transmitter = await Transmitter.start();
    const delegate = newKey();
    const agentKey = newKey();
    const live = await startLive({
      agentKey: agentKey.signer,
      account: ({ dir }) => {
        const file = join(dir, 'events.jwk');
        writeFileSync(file, JSON.stringify(delegate.jwk), { mode: 0o600 });
        return { eventStreams: [pushStream(transmitter, file)] };
      },
    });
    open = [live, transmitter];
    const { world, apiOrigin, issuer, follower } = live;
    world.ledger.grant({ operations: ['principal.suspend', 'principal.resume'] }, delegate.signer);
    await live.append();
    const agent = createAgent({
      issuer: world.issuerId,
      clientId: world.agent.id,
      key: agentKey.jwk,
      resource: audience,
      origins: [apiOrigin],
    });
    expect((await agent.fetch(`${apiOrigin}/notes/7`)).status).toBe(200);

    const size = world.ledger.leaves.length;
    const set = await transmitter.set(type, { format: 'scim', uri: `/Users/${world.alice.id}` });
    const answer = await fetch(`${issuer.url}${world.base}/events/idp`, {
      method: 'POST',
      headers: pushHeaders,
      body: set,
    });
    expect([answer.status, await answer.text()]).toEqual([202, '']);
    await follower.until((trust) => trust.size > size);
    const refused = await agent.fetch(`${apiOrigin}/notes/7`);
    expect(refused.status).toBe(401);
    expect(await refused.json()).toMatchObject({ code: 'subject_not_active' });
  },
);
