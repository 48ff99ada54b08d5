import { createVerifier, memoryReplay, type Signer, type Verifier } from '@bulla/verifier';
import { type Json, signBlock } from '@bulla/verifier/envelope';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { ApiWorld, audience, outcomeOf, readNote } from '../kit/api.ts';
import { newSigner } from '../kit/log.ts';

/** Every signature that is verified anywhere, proofs included, and every public key that is imported. */
const counted = vi.hoisted(() => ({ verifications: 0, imports: 0 }));
vi.mock('node:crypto', async (importOriginal) => {
  const original = await importOriginal<typeof import('node:crypto')>();
  const verify = (...given: Parameters<typeof original.verify>): unknown => {
    counted.verifications += 1;
    return original.verify(...given);
  };
  const createPublicKey = (...given: Parameters<typeof original.createPublicKey>): unknown => {
    counted.imports += 1;
    return original.createPublicKey(...given);
  };
  return { ...original, verify, createPublicKey };
});

const maxEnvelopeBytes = 12_288;
let world: ApiWorld;
let verifier: Verifier;
beforeEach(() => {
  world = new ApiWorld();
  verifier = verifierOf({ maxEnvelopeBytes });
});

function verifierOf(change: { readonly maxEnvelopeBytes?: number }): Verifier {
  return createVerifier({
    account: world.ledger.account,
    audience,
    publicOrigins: [audience],
    trust: world.trust,
    replay: memoryReplay({ processes: 1, startedAt: world.now - 3600 }),
    ports: { now: () => world.now },
    ...change,
  });
}

interface Link {
  readonly envelope: string;
  readonly holder: Signer;
}

const closed: Json = {
  effect: 'forbid',
  principal: { op: 'All' },
  action: { op: '==', entity: { type: 'Action', id: 'write' } },
  resource: { op: 'All' },
  conditions: [],
};

function hand({ envelope, holder }: Link, depth: number): Link {
  const next = newSigner();
  const block = { iat: world.now, depth, narrow: [closed] };
  return { envelope: signBlock(envelope, { ...block, next: next.publicKey.jwk }, holder), holder: next };
}

/** A root and so many blocks, each handing on to a new key. Every prefix, the root first. */
function chain(blocks: number): Link[] {
  const links: Link[] = [{ envelope: world.envelope({ depth: 16 }), holder: world.agent.signer }];
  for (let depth = 15; depth > 15 - blocks; depth -= 1) links.push(hand(links.at(-1) as Link, depth));
  return links;
}

const outcome = ({ envelope, holder }: Link, by = verifier): Promise<string> =>
  outcomeOf(by.decide(world.request({ envelope, signer: holder }), readNote()));

/** Signatures verified for an allow, without that of the proof. */
async function cost(link: Link): Promise<number> {
  const before = counted.verifications;
  expect(await outcome(link)).toBe('allow');
  return counted.verifications - before - 1;
}

describe('the number of signatures verified', () => {
  test('is one for each block, and none once the envelope is known', async () => {
    const whole = chain(8).at(-1) as Link;
    expect(await cost(whole)).toBe(9);
    expect(await cost(whole)).toBe(0);
  });

  test('is one for a block on an envelope that is known', async () => {
    const links = chain(3);
    expect(await cost(links[0] as Link)).toBe(1);
    for (const link of links.slice(1)) expect(await cost(link)).toBe(1);
  });

  test('is one for each further child of a parent that was only seen as part of another', async () => {
    const links = chain(3);
    expect(await cost(links[3] as Link)).toBe(4);
    const sibling = hand(links[2] as Link, 10);
    expect(await cost(sibling)).toBe(1);
    expect(await cost(links[1] as Link)).toBe(0);
  });

  test('is that of the whole for what only looks alike: nothing of a known parent is lent to it', async () => {
    const [root, first] = chain(1) as [Link, Link];
    await cost(first);
    const mallory = newSigner();
    const block = { iat: world.now, depth: 3, next: mallory.publicKey.jwk };
    const grafted = signBlock(root.envelope, block, mallory);
    expect(await outcome({ envelope: grafted, holder: mallory })).toBe('envelope_signature_invalid');
    const other = signBlock(first.envelope, block, mallory);
    expect(await outcome({ envelope: other, holder: mallory })).toBe('envelope_signature_invalid');
    const forged = world.envelope({}, mallory);
    expect(await outcome({ envelope: forged, holder: world.agent.signer })).toBe('mint_not_trusted');
  });
});

test('a key is checked once, however many envelopes name it', async () => {
  const links = chain(3);
  const sibling = hand(links[2] as Link, 10);
  const wires = [links[3] as Link, links[2] as Link, sibling].map(({ envelope, holder }) =>
    world.request({ envelope, signer: holder }),
  );
  const imports: number[] = [];
  for (const wire of wires) {
    const before = counted.imports;
    expect(await outcomeOf(verifier.decide(wire, readNote()))).toBe('allow');
    imports.push(counted.imports - before);
  }
  // Mint and first holder come from the log.
  expect(imports).toEqual([2 + 3, 0, 1]);
});

test('no key that a block names is checked before the root is known to be by the mint', async () => {
  const mallory = newSigner();
  let link: Link = { envelope: world.envelope({ depth: 16 }, mallory), holder: world.agent.signer };
  for (let depth = 15; depth > 5; depth -= 1) link = hand(link, depth);
  const root = link.envelope.split('~', 1)[0] ?? '';
  const signed = world.envelope({ depth: 16 });
  const broken = link.envelope.replace(root, signed.slice(0, -8) + 'AAAAAAAA');
  for (const [envelope, code] of [
    [link.envelope, 'mint_not_trusted'],
    [broken, 'envelope_signature_invalid'],
  ] as const) {
    const wire = world.request({ envelope, signer: link.holder });
    const before = counted.imports;
    expect(await outcomeOf(verifier.decide(wire, readNote()))).toBe(code);
    // That of the mint, where the log has it.
    expect(counted.imports - before).toBeLessThanOrEqual(1);
  }
});

describe('an envelope of 16 blocks', () => {
  test('is taken where the API takes envelopes of its size, and refused elsewhere', async () => {
    const links = chain(16);
    const longest = links.at(-1) as Link;
    expect(longest.envelope.length).toBeGreaterThan(7168);
    expect(await cost(longest)).toBe(17);
    expect(await outcome(longest, verifierOf({}))).toBe('envelope_too_large');
    const further = signBlock(
      longest.envelope,
      { iat: world.now, depth: 0, next: longest.holder.publicKey.jwk },
      longest.holder,
    );
    expect(await outcome({ ...longest, envelope: further })).toBe('envelope_malformed');
  });

  test('is not followed by a byte more than the API takes', async () => {
    const { envelope, holder } = chain(2).at(-1) as Link;
    const exact = verifierOf({ maxEnvelopeBytes: envelope.length });
    const short = verifierOf({ maxEnvelopeBytes: envelope.length - 1 });
    expect(await outcome({ envelope, holder }, exact)).toBe('allow');
    expect(await outcome({ envelope, holder }, short)).toBe('envelope_too_large');
  });

  test.each([0, -1, 1.5, Number.NaN, 12_289, Infinity, '7168'])('and never of %s bytes', (size) => {
    expect(() => verifierOf({ maxEnvelopeBytes: size as number })).toThrow(TypeError);
  });
});
