import { Refusal } from '@bulla/verifier';
import { canonicalJson, encodeBase64url } from '@bulla/verifier/envelope';
import { type TreeNodes, treeRoot, type World } from '@bulla/verifier/log';
import { IssuerRefusal } from '../errors.ts';
import type { IssuerPorts } from '../ports.ts';
import type { AccountStore, StoredCheckpoint } from '../store/store.ts';

const leavesPerPage = 256;

interface ReplayOptions {
  readonly store: AccountStore;
  readonly world: World;
  readonly nodes: TreeNodes;
  readonly ports: IssuerPorts;
}

/** A stored leaf that breaks a rule. */
interface RefusedLeaf {
  readonly seq: number;
  readonly code: string;
}

/**
 * Fills an empty world from the log, then holds the projections against it: a state table that differs is rebuilt, a
 * checkpoint that the log cannot have had stops the issuer. A leaf that breaks a rule is kept, with an alarm, where a
 * checkpoint covers it: readers have it, and skip it. Where none does, somebody else wrote to the store.
 *
 * @returns the stored checkpoint.
 * @throws {IssuerRefusal} `store_corrupt`, `store_rolled_back`.
 */
export async function replay({
  store,
  world,
  nodes,
  ports,
}: ReplayOptions): Promise<StoredCheckpoint | undefined> {
  const startedAt = ports.now();
  const refused: RefusedLeaf[] = [];
  for (
    let leaves = await store.entries(0, leavesPerPage);
    leaves.length > 0;
    leaves = await store.entries(world.size, leavesPerPage)
  ) {
    for (const leaf of leaves) appendStored(world, leaf, (entry) => refused.push(entry));
  }
  const checkpoint = await store.checkpoint();
  if (checkpoint !== undefined) requireCovered(checkpoint, world, nodes);
  for (const { seq, code } of refused) {
    if (seq >= (checkpoint?.size ?? 0)) throw brokenRule(seq, code);
    ports.log({ level: 'warn', event: 'entry.skipped', account: world.account, seq, code });
  }
  const rebuilt = await compareState(store, world);
  ports.log({
    level: rebuilt ? 'warn' : 'info',
    event: rebuilt ? 'projection.rebuilt' : 'log.replayed',
    account: world.account,
    size: world.size,
    seconds: Math.round((ports.now() - startedAt) * 1000) / 1000,
  });
  return checkpoint;
}

/** Appends a leaf that is in the store already. @throws {IssuerRefusal} `store_corrupt`; the world is then as before. */
export function appendStored(world: World, leaf: string, onRefused?: (entry: RefusedLeaf) => void): void {
  try {
    const draft = world.draft();
    const { refusal, seq } = draft.append(leaf);
    if (draft.unknown !== undefined) throw draft.unknown;
    if (refusal !== undefined) {
      if (onRefused === undefined) throw refusal;
      onRefused({ seq, code: refusal.code });
    }
    draft.commit();
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause;
    throw brokenRule(world.size, cause.code, cause);
  }
}

function brokenRule(seq: number, code: string, cause?: Refusal): IssuerRefusal {
  return new IssuerRefusal('store_corrupt', `entry ${seq} of the stored log is refused: ${code}`, { cause });
}

function requireCovered(checkpoint: StoredCheckpoint, world: World, nodes: TreeNodes): void {
  if (checkpoint.size > world.size) {
    throw new IssuerRefusal(
      'store_rolled_back',
      'store holds fewer entries than a checkpoint that was served',
    );
  }
  if (encodeBase64url(treeRoot(nodes.read, checkpoint.size)) !== checkpoint.root) {
    throw new IssuerRefusal('store_corrupt', 'stored checkpoint has another root than the log');
  }
}

async function compareState(store: AccountStore, world: World): Promise<boolean> {
  const derived = new Map([...world.records()].map(([key, record]) => [key, canonicalJson(record)]));
  const stored = await store.state();
  const equal =
    stored.size === derived.size && [...derived].every(([key, record]) => stored.get(key) === record);
  if (!equal) await store.replaceState(derived);
  return !equal;
}
