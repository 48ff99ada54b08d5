import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createAgent } from '@bulla/agent';
import { createSigner } from '@bulla/verifier';
import * as client from 'openid-client';
import { afterEach, expect, test } from 'vitest';
import { audience, newKey } from '../kit/issuer.ts';
import { rememberWord } from '../kit/leaks.ts';
import { type Live, startLive } from '../kit/live.ts';
import { apiOperations, sha256 } from '../kit/users-api.ts';

let live: Live;
afterEach(async () => live.close());

test('a partner’s program suspends a person over HTTP, and the next call of their agent is refused', async () => {
  const [delegate, agentKey, secret] = [newKey(), newKey(), 'secret-of-a-partner-over-http'];
  rememberWord(secret, 'a secret of a partner');
  live = await startLive({
    agentKey: createSigner(agentKey.jwk),
    account: ({ dir }) => {
      const delegateKeyFile = join(dir, 'users-api.jwk');
      writeFileSync(delegateKeyFile, JSON.stringify(delegate.jwk), { mode: 0o600 });
      const scopes = ['users:read', 'users:suspend', 'users:reactivate'] as const;
      const partner = { id: 'partner', secrets: [{ sha256: sha256(secret) }], scopes, perMinute: 600 };
      return {
        usersApi: { delegateKeyFile, clients: [partner], accessTokenSeconds: 600, auditDays: 400 },
      };
    },
  });
  const { world, apiOrigin, follower } = live;
  world.ledger.grant({ operations: apiOperations }, delegate.signer);
  await live.append();
  const agent = createAgent({
    issuer: world.issuerId,
    clientId: world.agent.id,
    key: agentKey.jwk,
    resource: audience,
    origins: [apiOrigin],
  });
  expect((await agent.fetch(`${apiOrigin}/notes/7`)).status).toBe(200);

  const found = await client.discovery(
    new URL(`${world.issuerId}/api`),
    'partner',
    undefined,
    client.ClientSecretPost(secret),
    { algorithm: 'oauth2', execute: [client.allowInsecureRequests] },
  );
  const { access_token: token } = await client.clientCredentialsGrant(found, { scope: 'users:suspend' });
  rememberWord(token, 'an access token of the Users API');
  const size = world.ledger.leaves.length;
  const suspend = `${world.issuerId}/api/v1/users/${world.alice.id}/suspend`;
  const headers = { authorization: `Bearer ${token}`, 'idempotency-key': 'leaver-1' };
  const answers = await Promise.all([1, 2].map(async () => fetch(suspend, { method: 'POST', headers })));
  expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  expect(await answers[0]?.json()).toEqual(await answers[1]?.json());
  await follower.until((trust) => trust.size > size);
  const refused = await agent.fetch(`${apiOrigin}/notes/7`);
  expect(refused.status).toBe(401);
  expect(await refused.json()).toMatchObject({ code: 'subject_not_active' });
});
