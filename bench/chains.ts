import { narrowTo, signBlock } from '@bulla/verifier/envelope';
import { createBiscuitChain } from './biscuit.ts';
import { allowed } from './decisions.ts';
import { accessTo, askedAction, policySet } from './policies.ts';
import type { Call, Scenario } from './rounds.ts';
import { createUcantoChain } from './ucanto.ts';
import { World } from './world.ts';

/** Blocks after the root. */
const chainLengths: readonly number[] = [0, 1, 3, 8];
/** Eight blocks with a limit each are larger than the default. */
const mostEnvelopeBytes = 12_288;
/** Of a row whose calls take milliseconds. */
const slowCalls = 20;
/** Few: each call leaves kilobytes behind in the memory of biscuit-wasm, and past some 64 MiB V8 collects without end. */
const biscuitCalls = 6;

/** Of ours also `cold.new`: the limits in the envelope, too, were never seen. */
type Seen = 'cold' | 'cold.new' | 'warm';

export const chainRow = (who: '' | 'biscuit.' | 'ucanto.', seen: Seen, blocks: number): string =>
  `chain.${who}${seen}.b${String(blocks)}`;

/** Chains of one length, ours beside theirs; each block holds the same one limit: action and folder. */
export async function chainScenarios(): Promise<readonly Scenario[]> {
  const scenarios: Scenario[] = [];
  for (const blocks of chainLengths) {
    const biscuit = await createBiscuitChain(blocks);
    const ucanto = await createUcantoChain(blocks);
    if (blocks > 0) scenarios.push(ours('cold.new', blocks));
    for (const seen of ['cold', 'warm'] as const) {
      scenarios.push(
        ours(seen, blocks),
        {
          name: chainRow('biscuit.', seen, blocks),
          against: [],
          calls: biscuitCalls,
          prepare: biscuit[seen],
        },
        { name: chainRow('ucanto.', seen, blocks), against: [], calls: slowCalls, prepare: ucanto[seen] },
      );
    }
  }
  return scenarios;
}

/** The whole decision: 10 policies, 1 entity. */
function ours(seen: Seen, blocks: number): Scenario {
  const world = new World({ policy: policySet({ policies: 10, entities: 1 }) });
  const verifier = world.verifier(mostEnvelopeBytes);
  let issued = 0;
  let kept: string | undefined;
  const mint = (folder: string): string => {
    let envelope = world.envelope();
    for (let block = 1; block <= blocks; block += 1) envelope = limited(world, envelope, folder, 15 - block);
    return envelope;
  };
  const beside = seen === 'warm' ? 'warm' : 'cold';
  return {
    name: chainRow('', seen, blocks),
    against: [chainRow('biscuit.', beside, blocks), chainRow('ucanto.', beside, blocks)],
    calls: seen === 'cold.new' ? slowCalls : 100,
    prepare: async (calls) => {
      const call = (envelope: string, folder: string): Call =>
        allowed(verifier, world.request(envelope), accessTo(1, folder));
      if (seen === 'warm' && kept === undefined) {
        kept = mint('0');
        await call(kept, '0')();
      }
      return Array.from({ length: calls }, () => {
        if (kept !== undefined) return call(kept, '0');
        if (seen === 'cold.new') issued += 1;
        return call(mint(String(issued)), String(issued));
      });
    },
  };
}

function limited(world: World, envelope: string, folder: string, depth: number): string {
  const narrow = narrowTo([
    { type: 'bulla', actions: [askedAction], resources: [{ type: 'Folder', id: folder }] },
  ]);
  const next = world.agent.publicKey.jwk;
  return signBlock(envelope, { next, iat: Math.floor(world.now), depth, narrow }, world.agent);
}
