import { signBlock, signJws } from '@bulla/verifier/envelope';
import { expect, test } from 'vitest';
import { ExchangeWorld } from '../../kit/exchange.ts';
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

test('whoever was handed an envelope does not spend the rate of its agent', async () => {
  const world = await ExchangeWorld.create({ account: { tokensPerClientPerMinute: 4 } });
  const { agent, issuer } = world;
  const { access_token: envelope } = (await (await issuer.token()).json()) as { access_token: string };
  const handed = signBlock(
    envelope,
    { iat: world.now, depth: 3, next: world.job.publicKey.jwk },
    agent.signer,
  );
  const codes: unknown[] = [];
  for (let index = 0; index < 4; index += 1) {
    codes.push((await world.exchange(handed, { type: 'access_token' })).code);
  }
  expect(codes).toContain('rate_limited');
  expect((await issuer.token()).status).toBe(200);
  await world.close();
});

test('a stolen access token that belongs to another key does not spend its client rate', async () => {
  const world = await ExchangeWorld.create({ account: { tokensPerClientPerMinute: 4 } });
  await world.trust({
    name: 'idp',
    profile: 'oidc',
    audience: 'https://issuer.example',
    claims: { azp: 'reports' },
  });
  await world.vouch('read');
  const token = world.machine();
  expect((await world.exchange(token, { type: 'access_token' })).status).toBe(200);
  for (let index = 0; index < 6; index += 1) {
    const stolen = await world.exchange(token, { type: 'access_token', signer: newSigner() });
    expect(stolen.code).toBe('subject_token_taken');
  }
  expect((await world.exchange(token, { type: 'access_token' })).status).toBe(200);
  await world.close();
});
