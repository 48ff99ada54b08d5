import type { Signer } from '@bulla/verifier';
import { signBlock, signMintBlock } from '@bulla/verifier/envelope';
import { describe, expect, test } from 'vitest';
import { FederatedWorld } from '../kit/federation.ts';
import { newSigner } from '../kit/log.ts';

// Law 2, blocks by the mint: it may take away what it minted, and nothing else.

const eve = newSigner();
const any = { op: 'All' } as const;
const permit = { effect: 'permit', principal: any, action: any, resource: any, conditions: [] } as const;

describe('law 2: a block by the mint takes away', () => {
  const world = new FederatedWorld();
  const root = (): string => world.envelope(world.federated());
  const same = (change: object = {}) => ({
    next: world.job.publicKey.jwk,
    iat: world.now,
    depth: 2,
    ...change,
  });
  const outcomeOf = (envelope: string, prover: Signer = world.job): Promise<string> =>
    world.outcome(envelope, undefined, prover);

  test('so it may not name another holder', async () => {
    const envelope = signMintBlock(root(), same({ next: eve.publicKey.jwk }), world.mint);
    expect(await outcomeOf(envelope, eve)).toBe('envelope_widened');
    const logged = signMintBlock(world.envelope(), same({ next: eve.publicKey.jwk }), world.mint);
    expect(await outcomeOf(logged, eve)).toBe('envelope_widened');
    const own = signMintBlock(root(), same({ next: world.mint.publicKey.jwk }), world.mint);
    expect(await outcomeOf(own, world.mint)).toBe('envelope_widened');
  });

  test('nor go back to a holder before', async () => {
    const next = newSigner();
    const handed = signBlock(root(), same({ next: next.publicKey.jwk, depth: 3 }), world.job);
    expect(await outcomeOf(signMintBlock(handed, same(), world.mint))).toBe('envelope_widened');
  });

  test.each<[string, object, string]>([
    ['lengthen the life', { exp: world.now + 301 }, 'envelope_widened'],
    ['widen the audience', { aud: ['https://api.example', 'https://x.example'] }, 'envelope_widened'],
    ['raise the depth', { depth: 4 }, 'envelope_widened'],
    ['follow a sealed block', { depth: -1 }, 'envelope_claim_invalid'],
    ['permit', { narrow: [permit] }, 'narrow_not_forbid'],
  ])('nor %s', async (_name, change, code) => {
    expect(await outcomeOf(signMintBlock(root(), same(change), world.mint))).toBe(code);
  });

  test('and it is by the mint of the root, whatever its header says', async () => {
    const other = world.ledger.mint(['https://api.example']);
    expect(await outcomeOf(signMintBlock(root(), same(), other))).toBe('envelope_signature_invalid');
    const posing = { ...other, publicKey: world.mint.publicKey };
    expect(await outcomeOf(signMintBlock(root(), same(), posing))).toBe('envelope_signature_invalid');
    const holder = { ...world.job, publicKey: world.mint.publicKey };
    expect(await outcomeOf(signMintBlock(root(), same(), holder))).toBe('envelope_signature_invalid');
    const misnamed = { ...world.mint, publicKey: other.publicKey };
    expect(await outcomeOf(signMintBlock(root(), same(), misnamed))).toBe('envelope_signature_invalid');
    const asHolder = signBlock(root(), same(), world.mint);
    expect(await outcomeOf(asHolder)).toBe('envelope_signature_invalid');
    const named = signMintBlock(root(), same(), world.job);
    expect(await outcomeOf(named)).toBe('envelope_signature_invalid');
  });

  test('and it cannot be cut off by whoever holds what follows', async () => {
    const next = newSigner();
    const narrowed = signMintBlock(root(), same({ depth: 3, aud: ['https://api.example'] }), world.mint);
    const handed = signBlock(narrowed, same({ next: next.publicKey.jwk }), world.job);
    expect(await outcomeOf(handed, next)).toBe('allow');
    const [first = '', , last = ''] = handed.split('~');
    expect(await outcomeOf(`${first}~${last}`, next)).toBe('envelope_link_wrong');
  });
});
