import { type Access, createVerifier, memoryReplay, type Signer, type Verifier } from '@bulla/verifier';
import { canonicalJson, type Json, type JsonObject, signBlock } from '@bulla/verifier/envelope';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { ApiWorld, audience, outcomeOf, readNote } from '../kit/api.ts';
import { newSigner, type Party } from '../kit/log.ts';
import { signRaw, unpack } from '../kit/wire.ts';

// Law 1: only admins widen. Whatever holder, sub-holder, API or issuer add, a deny never becomes an allow.

const world = new ApiWorld();
const outsider = world.ledger.person();
const outsidersAgent = world.ledger.agent(outsider);
const insiders: readonly [Party, Party] = [world.alice, world.agent];
const outsiders: readonly [Party, Party] = [outsider, outsidersAgent];
const holders = Array.from({ length: 4 }, () => newSigner());

const verifier: Verifier = createVerifier({
  account: world.ledger.account,
  audience,
  publicOrigins: [audience],
  trust: world.trust,
  replay: memoryReplay({ processes: 1, startedAt: world.now - 3600 }),
  ports: { now: () => world.now },
});

const all = { op: 'All' };
const actionIs = (id: string): Json => ({ op: '==', entity: { type: 'Action', id } });
const inFolder = (id: string): Json => ({
  in: { left: { Var: 'resource' }, right: { Value: { __entity: { type: 'Folder', id } } } },
});

/** Policies as a holder writes them: limits that bite, limits that never do, and things that are no limits at all. */
const policy: fc.Arbitrary<Json> = fc.oneof(
  fc.record({
    effect: fc.constant('forbid'),
    principal: fc.constant(all),
    action: fc.constantFrom<Json>(all, actionIs('read'), actionIs('write')),
    resource: fc.constant(all),
    conditions: fc.array(
      fc.record({
        kind: fc.constantFrom('when', 'unless'),
        body: fc.constantFrom<Json>({ Value: true }, { Value: false }, inFolder('open'), inFolder('secret')),
      }),
      { maxLength: 2 },
    ),
  }) as fc.Arbitrary<Json>,
  {
    weight: 1,
    arbitrary: fc.constantFrom<Json>(
      { effect: 'permit', principal: all, action: all, resource: all, conditions: [] },
      { effect: 'forbid', principal: all, action: actionIs('raed'), resource: all, conditions: [] },
      { effect: 'forbid', toJSON: { effect: 'permit' } },
      {},
    ),
  },
);
const limits = fc.array(policy, { maxLength: 3 });
const honestLimits = limits.filter((list) =>
  list.every(
    (each) => canonicalJson(each).includes('"effect":"forbid"') && !/raed|toJSON/u.test(canonicalJson(each)),
  ),
);
const access = fc.record({
  action: fc.constantFrom('read', 'write'),
  folder: fc.constantFrom('open', 'secret'),
});

interface Chain {
  readonly envelope: string;
  /** Who may prove it. */
  readonly holder: Signer;
}

/** A root for the pair and one block for each list of limits. Every prefix, the root first. */
function prefixes([person, agent]: readonly [Party, Party], narrows: readonly (readonly Json[])[]): Chain[] {
  const epoch = {
    principal: world.ledger.read(`principal/${person.id}`)?.epoch ?? 0,
    agent: world.ledger.read(`agent/${agent.id}`)?.epoch ?? 0,
  };
  const cnf = { jkt: agent.signer.publicKey.thumbprint };
  const envelope = world.envelope({ sub: person.id, client_id: agent.id, epoch, cnf, depth: 8 });
  const chains: Chain[] = [{ envelope, holder: agent.signer }];
  for (const [index, narrow] of narrows.entries()) {
    const before = chains.at(-1) as Chain;
    const next = holders[index % holders.length] as Signer;
    const block = { next: next.publicKey.jwk, iat: world.now, depth: 7 - index, narrow };
    chains.push({ envelope: signBlock(before.envelope, block, before.holder), holder: next });
  }
  return chains;
}

function outcome({ envelope, holder }: Chain, asked: Access, forbids: readonly Json[] = []): Promise<string> {
  const route = forbids.length === 0 ? {} : { forbids: forbids as never };
  return outcomeOf(verifier.decide(world.request({ envelope, signer: holder }), asked, route));
}

test('law 1: an allow of a longer chain is an allow of every shorter one', async () => {
  let allowed = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(honestLimits, { maxLength: 3 }), access, async (narrows, asked) => {
      const what = readNote('1', asked.folder, asked.action);
      const outcomes: string[] = [];
      for (const chain of prefixes(insiders, narrows)) outcomes.push(await outcome(chain, what));
      for (const each of outcomes) expect(['allow', 'deny']).toContain(each);
      if (outcomes.at(-1) === 'allow') allowed += 1;
      expect(outcomes.lastIndexOf('allow')).toBe(outcomes.filter((each) => each === 'allow').length - 1);
    }),
    { numRuns: 150 },
  );
  expect(allowed).toBeGreaterThan(10);
});

test('law 1: what the admins deny, no limits of anybody make an allow', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(limits, { maxLength: 3 }),
      limits,
      access,
      fc.constantFrom(insiders, outsiders),
      async (narrows, forbids, asked, pair) => {
        fc.pre(asked.folder === 'secret' || pair === outsiders);
        for (const chain of prefixes(pair, narrows)) {
          expect(await outcome(chain, readNote('1', asked.folder, asked.action), forbids)).not.toBe('allow');
        }
      },
    ),
    { numRuns: 150 },
  );
});

type Edit = (blocks: readonly string[], at: number, key: Signer) => readonly string[];
function rewritten(block = '', change: JsonObject, key: Signer): string {
  try {
    const { header, claims } = unpack(block);
    return signRaw(canonicalJson(header), canonicalJson({ ...claims, ...change }), key);
  } catch {
    // An edit before this one broke the text.
    return block;
  }
}
const edits: readonly Edit[] = [
  (blocks, at) => blocks.toSpliced(at, 1),
  (blocks, at) => [...blocks, blocks[at] as string],
  (blocks, at) => blocks.toSpliced(0, 0, blocks[at] as string),
  (blocks, at) => blocks.slice(0, at),
  (blocks) => blocks.toReversed(),
  (blocks, at, key) => blocks.with(at, rewritten(blocks[at], { narrow: [] }, key)),
  (blocks, at, key) => blocks.with(at, rewritten(blocks[at], { exp: world.now + 9000 }, key)),
  (blocks, at, key) =>
    blocks.with(at, rewritten(blocks[at], { cnf: { jwk: { ...key.publicKey.jwk } } }, key)),
  (blocks, at) =>
    blocks.with(
      at,
      (blocks[at] ?? '').replace(/[A-Z]/u, (letter) => letter.toLowerCase()),
    ),
];

test('law 1: a denied chain, cut, spliced, reordered or signed again by whoever holds a part, is not allowed', async () => {
  const denyAll: Json = { effect: 'forbid', principal: all, action: all, resource: all, conditions: [] };
  await fc.assert(
    fc.asyncProperty(
      fc.array(honestLimits, { minLength: 1, maxLength: 3 }),
      fc.nat(2),
      fc.array(fc.tuple(fc.constantFrom(...edits), fc.nat(4)), { minLength: 1, maxLength: 2 }),
      fc.nat(3),
      async (narrows, denied, changes, who) => {
        // The agent denies itself everything, in a block that Mallory comes after: she has every key but the agent's.
        const chains = prefixes(insiders, [[denyAll], ...narrows]);
        const { envelope } = chains.at(-1) as Chain;
        let blocks: readonly string[] = envelope.split('~');
        for (const [edit, at] of changes) {
          if (blocks.length > 0) blocks = edit(blocks, at % blocks.length, holders[denied % 4] as Signer);
        }
        const forged = { envelope: blocks.join('~'), holder: holders[who] as Signer };
        expect(await outcome(forged, readNote())).not.toBe('allow');
      },
    ),
    { numRuns: 400 },
  );
});
