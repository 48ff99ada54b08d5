import { Refusal } from '@bulla/verifier';
import { canonicalJson, encodeBase64url } from '@bulla/verifier/envelope';
import { type TreeNodes, treeRoot, type World } from '@bulla/verifier/log';
import { IssuerRefusal } from '../errors.ts';
import type { IssuerPorts } from '../ports.ts';
import type { AccountStore, StoredCheckpoint } from '../store/store.ts';

interface ReplayOptions {
  readonly store: AccountStore;
  readonly world: World;
  readonly nodes: TreeNodes;
  readonly ports: IssuerPorts;
}

/**
 * Fills an empty world from the log, then holds the projections against it: a state table that differs is rebuilt, a
 * checkpoint that the log cannot have had stops the issuer.
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
  for (
    let leaves = await store.entries(0, 256);
    leaves.length > 0;
    leaves = await store.entries(world.size, 256)
  ) {
    for (const leaf of leaves) appendStored(world, leaf);
  }
  const checkpoint = await store.checkpoint();
  if (checkpoint !== undefined) requireCovered(checkpoint, world, nodes);
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

function appendStored(world: World, leaf: string): void {
  try {
    const { refusal } = world.append(leaf);
    // The issuer appends nothing that breaks a rule: what is there now was not written by it.
    if (refusal !== undefined) throw refusal;
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause;
    throw new IssuerRefusal(
      'store_corrupt',
      `entry ${world.size} of the stored log is refused: ${cause.code}`,
      { cause },
    );
  }
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
