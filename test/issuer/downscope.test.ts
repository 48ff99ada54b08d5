import { inspect, signBlock, signRoot } from '@bulla/verifier/envelope';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ExchangeChange, ExchangeWorld } from '../kit/exchange.ts';
import { audience, newKey } from '../kit/issuer.ts';

let world: ExchangeWorld;
let envelope: string;
const access = { type: 'access_token' } as const;
const stranger = newKey().signer;

beforeEach(async () => {
  world = await ExchangeWorld.create();
  const response = await world.issuer.token();
  ({ access_token: envelope } = (await response.json()) as { access_token: string });
});
afterEach(async () => world.close());

const own = (): ExchangeChange => ({ ...access, signer: world.agent.signer });
const readOnly = JSON.stringify([{ type: 'bulla', actions: ['read'] }]);

describe('an envelope that its holder exchanges', () => {
  test('comes back with one block more, by the mint, for the same holder', async () => {
    const form = { authorization_details: [readOnly] };
    const answer = await world.exchange(envelope, { ...own(), form });
    expect(answer).toMatchObject({
      status: 200,
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      token_type: 'DPoP',
      authorization_details: [{ type: 'bulla', actions: ['read'] }],
    });
    const longer = answer.access_token ?? '';
    expect(longer.startsWith(`${envelope}~`)).toBe(true);
    const before = inspect(envelope);
    const after = inspect(longer);
    expect(after.root).toEqual(before.root);
    expect(after.blocks).toMatchObject([{ holder: world.agent.signer.publicKey.thumbprint }]);
    expect(after.effective.depth).toBe(before.effective.depth - 1);
    expect(await world.decide(envelope, 'write', world.agent.signer)).toBe('allow');
    expect(await world.decide(longer, 'read', world.agent.signer)).toBe('allow');
    expect(await world.decide(longer, 'write', world.agent.signer)).toBe('deny');
  });

  test('never lives longer than before, nor gets what was taken back', async () => {
    const first = await world.exchange(envelope, { ...own(), form: { scope: ['read'] } });
    world.issuer.ahead = 200;
    const second = await world.exchange(first.access_token ?? '', own());
    const { effective, root } = inspect(second.access_token ?? '');
    expect(effective.exp).toBe(root.exp);
    expect(second.expires_in).toBeLessThanOrEqual(100);
    expect(await world.decide(second.access_token ?? '', 'write', world.agent.signer)).toBe('deny');
  });

  test('may be one that was handed on, by whoever holds it now', async () => {
    const now = world.now;
    const handed = signBlock(
      envelope,
      { iat: now, depth: 3, exp: now + 60, next: world.job.publicKey.jwk },
      world.agent.signer,
    );
    const answer = await world.exchange(handed, access);
    expect(answer.expires_in).toBeLessThanOrEqual(60);
    expect(await world.decide(answer.access_token ?? '', 'read')).toBe('allow');
    expect((await world.exchange(handed, own())).code).toBe('proof_refused');
  });

  test('may be a federated one', async () => {
    await world.trust();
    const { access_token: federated = '' } = await world.exchange(world.github());
    const { access_token: longer = '' } = await world.exchange(federated, {
      ...access,
      form: { scope: ['read'] },
    });
    expect(await world.decide(longer, 'read')).toBe('allow');
    expect(await world.decide(longer, 'write')).toBe('deny');
  });
});

describe('an envelope is not exchanged', () => {
  const sealed = (): string =>
    signBlock(
      envelope,
      { iat: world.now, depth: 0, next: world.agent.signer.publicKey.jwk },
      world.agent.signer,
    );
  const rows: readonly (readonly [string, () => [string, ExchangeChange], string, string])[] = [
    ['for somebody who does not hold it', () => [envelope, access], 'proof_refused', 'invalid_dpop_proof'],
    ['without proof', () => [envelope, { ...own(), proof: '' }], 'proof_refused', 'invalid_dpop_proof'],
    ['when it is sealed', () => [sealed(), own()], 'subject_token_refused', 'invalid_request'],
    [
      'as a JWT of somebody else',
      () => [envelope, { ...own(), type: 'jwt' }],
      'subject_token_refused',
      'invalid_request',
    ],
    [
      'for another resource',
      () => [envelope, { ...own(), form: { resource: ['https://other.example'] } }],
      'target_refused',
      'invalid_target',
    ],
    [
      'for another client',
      () => [envelope, { ...own(), form: { client_id: [world.issuer.alice.id] } }],
      'subject_token_refused',
      'invalid_request',
    ],
    [
      'with its last block torn',
      () => [`${sealed().slice(0, -9)}AAAAAAAAA`, own()],
      'envelope_signature_invalid',
      'invalid_request',
    ],
    [
      'with a block by somebody else',
      () => [
        signBlock(envelope, { iat: world.now, depth: 3, next: stranger.publicKey.jwk }, stranger),
        { ...access, signer: stranger },
      ],
      'envelope_signature_invalid',
      'invalid_request',
    ],
    [
      'when the root is by no mint',
      () => [signRoot(inspect(envelope).root, stranger), own()],
      'mint_not_trusted',
      'invalid_request',
    ],
    ['when it is no envelope but looks like one', () => ['a~b', own()], 'jws_malformed', 'invalid_request'],
    [
      'for an action that does not exist',
      () => [envelope, { ...own(), form: { scope: ['fly'] } }],
      'scope_refused',
      'invalid_scope',
    ],
  ];
  test.each(rows)('%s', async (_, run, code, error) => {
    const [token, change] = run();
    const answer = await world.exchange(token, change);
    expect({ code: answer.code, error: answer.error }).toEqual({ code, error });
    expect(answer.access_token).toBeUndefined();
  });

  test('when it has expired, when its capability was revoked, when its agent was suspended', async () => {
    const { root } = inspect(envelope);
    await world.admin({ type: 'capability.revoke', jti: root.jti, exp: root.exp });
    expect((await world.exchange(envelope, own())).code).toBe('envelope_revoked');
    await world.admin({ type: 'agent.suspend', agent: world.agent.id });
    expect((await world.exchange(envelope, own())).code).toBe('agent_not_active');
    world.issuer.ahead = 301;
    expect((await world.exchange(envelope, own())).code).toBe('envelope_expired');
  });

  test('when another mint key signed it', async () => {
    const { ledger, mint } = world.issuer;
    const next = newKey().signer;
    ledger.time = Math.max(ledger.time, world.now);
    ledger.grant({ operations: ['capability.mint'], audiences: [audience] }, next);
    await world.issuer.appended(ledger.lastLeaf);
    const { iat } = inspect(envelope).root;
    const foreign = signRoot({ ...inspect(envelope).root, iat }, next);
    expect((await world.exchange(foreign, own())).code).toBe('subject_token_refused');
    expect(inspect(envelope).mint).toBe(mint.signer.publicKey.thumbprint);
  });
});
