import { Refusal, type WireRequest } from '@bulla/verifier';
import { signBlock, signRoot } from '@bulla/verifier/envelope';
import { beforeEach, describe, expect, test } from 'vitest';
import { ApiWorld, readNote } from '../../kit/api.ts';
import { newSigner } from '../../kit/log.ts';
import { withField } from '../../kit/wire.ts';

// Receipts and refusals are kept and shown: they tell what was asked and why it fell as it did, and never hold what
// would let somebody do it again, nor a claim that nobody vouched for.

const thief = newSigner();
const marker = 'claim-written-by-mallory';
let world: ApiWorld;
beforeEach(() => {
  world = new ApiWorld();
});

const valueOf = (wire: WireRequest, name: string) =>
  wire.headers.find(([field]) => field === name)?.[1] ?? '';

/** Every string of at least twelve characters that stands in the envelope or the proof. */
function pieces(wire: WireRequest): string[] {
  const sent = `${valueOf(wire, 'authorization')} ${valueOf(wire, 'dpop')}`;
  return sent.split(/[ .~]/u).filter((piece) => piece.length >= 12);
}

/** The receipt, and the refusal with its causes as far down as they go. */
async function told(wire: WireRequest): Promise<string> {
  const texts: string[] = [];
  try {
    await world.decide(wire, readNote());
  } catch (error) {
    expect(error).toBeInstanceOf(Refusal);
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) texts.push(cause.message);
  }
  return `${texts.join('\n')}\n${JSON.stringify(world.receipts.at(-1))}`;
}

const unknownClaim: object = { [marker]: 1 };

const requests: Readonly<Record<string, () => WireRequest>> = {
  'that is allowed': () => world.request({ envelope: world.envelope() }),
  'whose mint is nobody': () => world.request({ envelope: signRoot(world.claims({ iss: marker }), thief) }),
  'whose claim is malformed': () => world.request({ envelope: world.envelope({ key: marker as 'logged' }) }),
  'with an unknown claim': () => world.request({ envelope: world.envelope(unknownClaim) }),
  'whose header is malformed': () =>
    world.request({ envelope: `${Buffer.from(`{"${marker}":`).toString('base64url')}.e30.e30` }),
  'for another account': () => world.request({ envelope: world.envelope({ account: marker }) }),
  'for another audience': () => world.request({ envelope: world.envelope({ aud: [marker] }) }),
  'under another policy': () => world.request({ envelope: world.envelope({ policy: marker }) }),
  'whose block is forged': () => {
    const block = { next: thief.publicKey.jwk, iat: world.now, depth: 1 };
    return world.request({ envelope: signBlock(world.envelope(), block, thief), signer: thief });
  },
  'whose narrow is no policy': () =>
    world.request({ envelope: world.envelope({ narrow: [{ effect: 'forbid', [marker]: marker }] }) }),
  'whose proof is by another key': () => world.request({ envelope: world.envelope(), signer: thief }),
  'whose proof is malformed': () =>
    withField(world.request({ envelope: world.envelope() }), 'dpop', 'x.y.z-not-a-proof-at-all'),
  'whose envelope is twice there': () => {
    const wire = world.request({ envelope: world.envelope() });
    return { ...wire, headers: [...wire.headers, ['authorization', valueOf(wire, 'authorization')]] };
  },
  'whose query holds a secret': () =>
    world.request({ envelope: world.envelope(), url: `/notes/1?key=${marker}` }),
};

describe('a request', () => {
  test.each(Object.keys(requests))('%s: nothing of envelope or proof is told', async (name) => {
    const wire = requests[name]?.() as WireRequest;
    const text = await told(wire);
    for (const piece of pieces(wire)) expect(text.includes(piece)).toBe(false);
    expect(text).not.toContain(world.agent.signer.publicKey.jwk.x);
    if (name !== 'under another policy') expect(text).not.toContain(marker);
  });
});

test('a receipt of a refusal before the signatures were verified repeats no claim', async () => {
  const forged = signRoot(world.claims({ jti: marker, sub: marker, policy: marker }), thief);
  await told(world.request({ envelope: forged }));
  expect(world.receipts.at(-1)).toMatchObject({ outcome: 'refuse', code: 'mint_not_trusted' });
  expect(world.receipts.at(-1)).not.toHaveProperty('envelope');
  expect(world.receipts.at(-1)).not.toHaveProperty('proof');
  expect(JSON.stringify(world.receipts)).not.toContain(marker);
});

test('every decision, allow or deny or error, makes exactly one receipt', async () => {
  for (const build of Object.values(requests)) await told(build());
  expect(world.receipts).toHaveLength(Object.keys(requests).length);
});
