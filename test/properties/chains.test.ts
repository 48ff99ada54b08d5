import { type Access, createVerifier, memoryReplay, type Signer } from '@bulla/verifier';
import {
  canonicalJson,
  inspect,
  type Json,
  narrowTo,
  parseAllowance,
  signBlock,
  signMintBlock,
} from '@bulla/verifier/envelope';
import { createEngine, type PolicySetDocument, policySetDigest } from '@bulla/verifier/policy';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { ApiWorld, audience, outcomeOf } from '../kit/api.ts';
import { asked, named, policyOf, sets } from '../kit/arbitraries.ts';
import { assemble, edited, edits, piecesOf } from '../kit/forgery.ts';
import { newSigner, type Party } from '../kit/log.ts';
import { schema as kitSchema, policy } from '../kit/policy.ts';

// Law 1 for chains: for random policy sets, requests and narrowings, what a child allows its parent allows, and nobody who
// holds some of the keys makes an envelope that allows more than those they were handed.

type Schema = PolicySetDocument['schema'];

/** The kit's schema, and the path for each action that applies to something. */
function withPath(schema: Schema): Schema {
  const { actions, ...rest } = schema[''] ?? { entityTypes: {}, actions: {} };
  const request = { type: 'Record', attributes: { path: { type: 'String' } }, required: false };
  const entries = Object.entries(actions).map(([id, action]) => {
    const context = action.appliesTo?.context as { attributes: object } | undefined;
    if (context === undefined) return [id, action] as const;
    const attributes = { ...context.attributes, request };
    return [
      id,
      { ...action, appliesTo: { ...action.appliesTo, context: { ...context, attributes } } },
    ] as const;
  });
  return { '': { ...rest, actions: Object.fromEntries(entries) } };
}

const schema = withPath(kitSchema);
const setOf = (policies: PolicySetDocument['policies']): PolicySetDocument => ({
  version: 1,
  policies,
  schema,
});
const engine = createEngine();
const anything = engine.load(setOf({ any: policy('permit') }));
const isValid = (forbid: unknown): boolean => {
  try {
    return engine.validateNarrow(anything, 'block', [forbid]).policies.length === 1;
  } catch {
    return false;
  }
};

const world = new ApiWorld({ policy: setOf({ any: policy('permit') }) });
for (const name of ['banned', 'blue']) world.ledger.group(name);
const pairs: readonly (readonly [Party, Party])[] = [
  [world.alice, world.agent],
  ...[['staff', 'blue'], ['blue', 'banned'], []].map((groups) => {
    const person = world.ledger.person({ groups, attributes: { team: 'blue' } });
    return [person, world.ledger.agent(person)] as const;
  }),
];
const verifier = createVerifier({
  account: world.ledger.account,
  audience,
  publicOrigins: [audience],
  trust: world.trust,
  replay: memoryReplay({ processes: 1, startedAt: world.now - 3600 }),
  maxEnvelopeBytes: 12_288,
  ports: { now: () => world.now },
});

function publish(policies: PolicySetDocument['policies']): void {
  const document = setOf(policies);
  if (policySetDigest(document) !== world.ledger.read('slot/main')?.digest) world.publish(document);
}

const paths = ['/files', '/files/plan', '/files-old', '/'];
interface Request {
  readonly access: (subject: string) => Access;
  readonly path: string;
}
const requests: fc.Arbitrary<Request> = fc
  .record({ asking: asked, path: fc.constantFrom(...paths) })
  .map(({ asking, path }) => ({
    path,
    access: (subject) => {
      const { resource } = asking;
      const owner = resource.attributes?.['owner'] as { type: string; id: string } | undefined;
      const own = owner?.id === 'alice' ? { owner: { type: 'User', id: subject } } : {};
      return {
        action: asking.action,
        resource: () => ({ ...resource, attributes: { ...resource.attributes, ...own } }),
        context: () => asking.context,
      };
    },
  }));

/** What the builder makes of what may be asked of it. */
const built: fc.Arbitrary<Json> = fc
  .record(
    {
      actions: fc.subarray(['files.read', 'files.write', 'writing', 'all'], { minLength: 1 }),
      resources: fc.constantFrom('public', 'secret').map((id) => [{ type: 'Folder', id }]),
      limits: fc.constantFrom({ amount: 1 }, { amount: 2 ** 52 }),
      pathPrefix: fc.constantFrom('/', '/files', '/files/', '/other'),
    },
    { requiredKeys: [] },
  )
  .filter((allowance) => Object.keys(allowance).length > 0)
  .map((allowance) => narrowTo([parseAllowance(allowance)])[0] as Json);
const written = policyOf(fc.constant('forbid'))
  .filter(isValid)
  .map((forbid) => structuredClone(forbid) as unknown as Json);
const narrows = fc.array(fc.oneof(built, written), { maxLength: 2 });

interface Step {
  readonly narrow: readonly Json[];
  readonly by: 'holder' | 'mint';
  /** Seconds that are left; undefined leaves the life as it is. */
  readonly life: number | undefined;
}
const stepsOf = (narrow: fc.Arbitrary<readonly Json[]>, minLength: number): fc.Arbitrary<readonly Step[]> =>
  fc.array(
    fc.record({
      narrow,
      by: fc.constantFrom('holder', 'holder', 'mint'),
      life: fc.constantFrom(undefined, undefined, 20),
    }),
    { minLength, maxLength: 5 },
  );

const steps = stepsOf(narrows, 1);
const nothing: Json = JSON.parse(canonicalJson(policy('forbid'))) as Json;
/** Now and then a narrowing, often one that leaves nothing: worth cutting out. */
const sparse = fc.oneof(
  { weight: 6, arbitrary: fc.constant([]) },
  { weight: 2, arbitrary: fc.constant([nothing]) },
  { weight: 1, arbitrary: narrows },
);

interface Chain {
  readonly envelope: string;
  readonly holder: Signer;
}
const holders = Array.from({ length: 6 }, () => newSigner());

/** Every prefix, the root first. A block of the mint keeps the holder. */
function prefixes(
  [person, agent]: readonly [Party, Party],
  blocks: readonly Step[],
  narrow: readonly Json[] = [],
): Chain[] {
  const epoch = {
    principal: world.ledger.read(`principal/${person.id}`)?.epoch ?? 0,
    agent: world.ledger.read(`agent/${agent.id}`)?.epoch ?? 0,
  };
  const cnf = { jkt: agent.signer.publicKey.thumbprint };
  const root = world.envelope({ sub: person.id, client_id: agent.id, epoch, cnf, narrow, depth: 16 });
  const chains: Chain[] = [{ envelope: root, holder: agent.signer }];
  for (const [index, step] of blocks.entries()) {
    const before = chains.at(-1) as Chain;
    const byMint = step.by === 'mint';
    const next = byMint ? before.holder : (holders[index] as Signer);
    const exp = step.life === undefined ? {} : { exp: world.now + step.life };
    const block = {
      iat: world.now,
      depth: 15 - index,
      narrow: step.narrow,
      next: next.publicKey.jwk,
      ...exp,
    };
    const sign = byMint ? signMintBlock : signBlock;
    const envelope = sign(before.envelope, block, byMint ? world.mint : before.holder);
    chains.push({ envelope, holder: next });
  }
  return chains;
}

function outcome({ envelope, holder }: Chain, { path, access }: Request, subject: string): Promise<string> {
  const wire = world.request({ envelope, signer: holder, url: path });
  return outcomeOf(verifier.decide(wire, access(subject)));
}

test('what a child allows, its parent allows: random sets, requests and narrowings', {
  timeout: 120_000,
}, async () => {
  const seen = { child: 0, parentOnly: 0, mint: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(
      sets,
      steps,
      requests,
      fc.constantFrom(...pairs),
      async (policies, blocks, request, pair) => {
        // A permit of everything among them: what is denied is then denied by a `forbid`, in a set or in a block.
        publish(named([policy('permit'), ...policies]));
        const outcomes: string[] = [];
        for (const chain of prefixes(pair, blocks)) outcomes.push(await outcome(chain, request, pair[0].id));
        const allows = outcomes.map((each) => each === 'allow');
        // No block is left out: what the last allows, each block alone at the root allows too.
        if (allows.at(-1) === true) {
          for (const { narrow } of blocks) {
            const [alone] = prefixes(pair, [], narrow);
            expect(await outcome(alone as Chain, request, pair[0].id)).toBe('allow');
          }
        }
        expect(allows.lastIndexOf(true)).toBe(allows.filter(Boolean).length - 1);
        if (allows.at(-1) === true) seen.child += 1;
        if (allows[0] === true && allows.at(-1) === false) seen.parentOnly += 1;
        if (allows.at(-1) === true && blocks.some(({ by }) => by === 'mint')) seen.mint += 1;
        if (!outcomes.every((each) => each === 'allow' || each === 'deny')) seen.refused += 1;
      },
    ),
    { numRuns: 300 },
  );
  // Enough of both kinds for the answer above to mean something; what erred is the smaller part.
  expect(seen.child, JSON.stringify(seen)).toBeGreaterThan(20);
  expect(seen.parentOnly, JSON.stringify(seen)).toBeGreaterThan(40);
  expect(seen.mint, JSON.stringify(seen)).toBeGreaterThan(5);
  expect(seen.refused, JSON.stringify(seen)).toBeLessThan(200);
});

/** Whom an envelope names last, where it has the form of one at all. */
function lastHolder(envelope: string): string | undefined {
  try {
    return inspect(envelope).blocks.at(-1)?.holder;
  } catch {
    return undefined;
  }
}

test('blocks reordered, spliced, cut, doubled, signed again or mixed of two envelopes allow no more than what was handed over', {
  timeout: 120_000,
}, async () => {
  publish({ any: policy('permit') });
  const pair = pairs[0] as readonly [Party, Party];
  const seen = { allowed: 0, tempted: 0 };
  await fc.assert(
    fc.asyncProperty(
      stepsOf(sparse, 3),
      stepsOf(sparse, 3),
      sparse,
      fc.array(edits, { maxLength: 2 }),
      fc.nat(2),
      requests,
      async (first, second, narrow, changes, from, request) => {
        // Mallory holds every key from one holder on, in both chains. She may cut back to any envelope that names her.
        const hers = holders.slice(from);
        const chains = [prefixes(pair, first), prefixes(pair, second, narrow)] as const;
        const handed = chains.flat().filter(({ holder }) => hers.includes(holder));
        const mine = chains[0].findLast(({ holder }) => hers.includes(holder)) ?? chains[0].at(-1);
        let pieces = piecesOf(mine?.envelope ?? '');
        for (const change of changes)
          pieces = edited(pieces, piecesOf(chains[1].at(-1)?.envelope ?? ''), change);
        const forged = assemble(pieces, hers[0] as Signer, world.now);
        const holder = hers.find(({ publicKey }) => publicKey.thumbprint === lastHolder(forged));
        const allowed =
          (await outcome(
            { envelope: forged, holder: holder ?? (hers[0] as Signer) },
            request,
            pair[0].id,
          )) === 'allow';
        let entitled = false;
        for (const chain of handed) entitled ||= (await outcome(chain, request, pair[0].id)) === 'allow';
        if (allowed) {
          seen.allowed += 1;
          expect(entitled).toBe(true);
        } else if (!entitled) seen.tempted += 1;
      },
    ),
    { numRuns: 700 },
  );
  expect(seen.allowed, JSON.stringify(seen)).toBeGreaterThan(40);
  expect(seen.tempted, JSON.stringify(seen)).toBeGreaterThan(120);
});

test('cut back to any beginning, an envelope is refused to the last holder', async () => {
  publish({ any: policy('permit') });
  const pair = pairs[0] as readonly [Party, Party];
  let cuts = 0;
  await fc.assert(
    fc.asyncProperty(stepsOf(fc.constant([]), 1), requests, async (blocks, request) => {
      const chains = prefixes(pair, blocks);
      const { holder } = chains.at(-1) as Chain;
      for (const chain of chains.filter((each) => each.holder !== holder)) {
        cuts += 1;
        expect(await outcome({ ...chain, holder }, request, pair[0].id)).toBe('proof_key_mismatch');
      }
    }),
    { numRuns: 60 },
  );
  expect(cuts).toBeGreaterThan(60);
});
