import type { WireRequest } from '@bulla/verifier';
import { memoryReplay } from '@bulla/verifier';
import { createProof } from '@bulla/verifier/envelope';
import { beforeEach, describe, expect, test } from 'vitest';
import { ApiWorld, audience, outcomeOf, readNote } from '../kit/api.ts';
import { newSigner } from '../kit/log.ts';
import { withField } from '../kit/wire.ts';

// Law 5: a proof works once, for one exact request. test/attacks/proof has a row for every trick; here is the promise,
// asked of the whole decision.

const access = readNote('1', 'open', 'write');
let world: ApiWorld;
let honest: WireRequest;
beforeEach(() => {
  world = new ApiWorld();
  honest = world.request({
    envelope: world.envelope(),
    method: 'POST',
    url: '/notes/1?draft=true&page=2',
    body: '{"text":"hello"}',
    headers: { 'content-type': 'application/json' },
  });
});

const outcome = (wire: WireRequest) => outcomeOf(world.decide(wire, access));
const fieldOf = (wire: WireRequest, name: string) => wire.headers.find(([field]) => field === name)?.[1];

test('law 5: the exact request works once', async () => {
  expect(await outcome(honest)).toBe('allow');
  expect(await outcome(honest)).toBe('proof_replayed');
});

describe('law 5: a proof that was seen on the wire is worth nothing for', () => {
  test.each<[string, () => WireRequest, string]>([
    ['another method', () => ({ ...honest, method: 'PUT' }), 'proof_method_mismatch'],
    ['another path', () => ({ ...honest, target: '/notes/2?draft=true&page=2' }), 'proof_target_mismatch'],
    ['another query', () => ({ ...honest, target: '/notes/1?draft=false&page=2' }), 'proof_query_mismatch'],
    [
      'the same query in another order',
      () => ({ ...honest, target: '/notes/1?page=2&draft=true' }),
      'proof_query_mismatch',
    ],
    ['no query', () => ({ ...honest, target: '/notes/1' }), 'proof_query_mismatch'],
    [
      'another content',
      () => ({ ...honest, body: Buffer.from('{"text":"hacked"}') }),
      'proof_content_mismatch',
    ],
    ['no content', () => ({ ...honest, body: Buffer.alloc(0) }), 'proof_content_mismatch'],
    ['another content type', () => withField(honest, 'content-type', 'text/plain'), 'proof_header_mismatch'],
    ['another host', () => withField(honest, 'host', 'other.example'), 'request_host_wrong'],
    [
      'another envelope of the same holder',
      () => withField(honest, 'authorization', `DPoP ${world.envelope()}`),
      'proof_envelope_mismatch',
    ],
  ])('%s', async (_, wire, code) => {
    expect(await outcome(wire())).toBe(code);
    expect(await outcome(honest)).toBe('allow');
  });
});

describe('law 5: a proof', () => {
  test('of another holder, of another time, or of no time', async () => {
    const envelope = world.envelope();
    const prove = (change: Partial<Parameters<typeof createProof>[0]>) => {
      const url = new URL('/notes/1', audience);
      const proof = createProof({
        method: 'GET',
        url,
        envelope,
        signer: world.agent.signer,
        now: world.now,
        ...change,
      });
      return outcome(withField(world.request({ envelope }), 'dpop', proof));
    };
    expect(await prove({})).toBe('allow');
    expect(await prove({ signer: newSigner() })).toBe('proof_key_mismatch');
    expect(await prove({ signer: world.alice.signer })).toBe('proof_key_mismatch');
    expect(await prove({ signer: world.mint })).toBe('proof_key_mismatch');
    expect(await prove({ now: world.now - 61 })).toBe('proof_time');
    expect(await prove({ now: world.now + 6 })).toBe('proof_time');
    expect(await prove({ url: new URL('/notes/1', 'https://other.example') })).toBe('proof_target_mismatch');
  });

  test('is spent also where the answer was no, or the route failed', async () => {
    expect(await outcomeOf(world.decide(honest, readNote('1', 'secret', 'write')))).toBe('deny');
    expect(await outcome(honest)).toBe('proof_replayed');
    const next = world.request({ envelope: world.envelope() });
    const failing = {
      ...access,
      resource: () => {
        throw new Error('down');
      },
    };
    expect(await outcomeOf(world.decide(next, failing))).toBe('internal_error');
    expect(await outcome(next)).toBe('proof_replayed');
  });

  test('is not spent by a forger: what does not verify is not remembered', async () => {
    const spoiled = `${fieldOf(honest, 'dpop')?.slice(0, -4) ?? ''}AAAA`;
    expect(await outcome(withField(honest, 'dpop', spoiled))).toMatch(
      /^proof_(?:signature_invalid|malformed)$/u,
    );
    expect(await outcome(honest)).toBe('allow');
  });

  test('works once among many at the same moment', async () => {
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => outcome(honest)));
    expect(outcomes.filter((each) => each === 'allow')).toHaveLength(1);
    expect(outcomes.filter((each) => each === 'proof_replayed')).toHaveLength(19);
  });

  test('that was used does not work again after a restart, nor after the clock was set back', async () => {
    expect(await outcome(honest)).toBe('allow');
    const restarted = world.verifierWith({
      replay: memoryReplay({ processes: 1, startedAt: world.now + 1 }),
    });
    expect(await outcomeOf(restarted.decide(honest, access))).toBe('proof_nonce_required');
    world.now += 120;
    expect(await outcome(world.request({ envelope: world.envelope() }))).toBe('allow');
    world.now -= 120;
    expect(await outcome(honest)).toBe('proof_time');
  });
});
