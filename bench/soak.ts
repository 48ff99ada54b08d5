// A million decisions in one process, the clock injected: `node --expose-gc bench/dist/soak.js [decisions]`.
// Exit 1 where the heap after garbage collection grows by 16 MiB or more from a fifth of them on.
import { Refusal } from '@bulla/verifier';
import { accessTo, policySet } from './policies.ts';
import { World } from './world.ts';

const mostGrowthMiB = 16;
/** Decisions for each second of the injected clock. */
const perSecond = 500;
const steps = 20;

const total = Number(process.argv[2] ?? 1_000_000);
const collectGarbage = globalThis.gc;
if (collectGarbage === undefined || !Number.isSafeInteger(total) || total < steps) {
  process.stderr.write('usage: node --expose-gc bench/dist/soak.js [decisions]\n');
  process.exit(64);
}
process.exitCode = await soak(total, collectGarbage);

async function soak(decisions: number, collect: () => void): Promise<number> {
  const world = new World({ policy: policySet({ policies: 10, entities: 1 }), curve: 'P-256' });
  const verifier = world.verifier();
  const fill = decisions / 5;
  const counts = { allow: 0, deny: 0, refuse: 0 };
  let envelope = world.envelope();
  let baseline = 0;
  let largest = 0;
  for (let done = 1; done <= decisions; done += 1) {
    world.now += 1 / perSecond;
    // A tenth new at first, so that every cache is as full as it gets before the baseline; then one in 250.
    if (done % (done <= fill ? 10 : 250) === 0) envelope = world.envelope();
    const request = world.request(envelope);
    // One question in four is new to Cedar, and one request in 50 is replayed.
    const access = accessTo(1, undefined, String(done - (done % 4)));
    counts[await outcomeOf(verifier.decide(request, access))] += 1;
    if (done % 50 === 0) counts[await outcomeOf(verifier.decide(request, access))] += 1;
    if (done % Math.floor(decisions / steps) !== 0) continue;
    collect();
    const { heapUsed, rss } = process.memoryUsage();
    if (done <= fill) baseline = heapUsed;
    else largest = Math.max(largest, heapUsed);
    process.stderr.write(`soak: ${String(done)} decisions, heap ${mib(heapUsed)}, rss ${mib(rss)}\n`);
  }
  const growth = (largest - baseline) / 2 ** 20;
  const good = growth < mostGrowthMiB && counts.deny === 0 && counts.refuse === Math.floor(decisions / 50);
  process.stdout.write(
    `${JSON.stringify({ decisions, ...counts, growthMiB: Number(growth.toFixed(2)), most: mostGrowthMiB, good })}\n`,
  );
  return good ? 0 : 1;
}

async function outcomeOf(
  decision: Promise<{ readonly allowed: boolean }>,
): Promise<'allow' | 'deny' | 'refuse'> {
  try {
    return (await decision).allowed ? 'allow' : 'deny';
  } catch (error) {
    if (error instanceof Refusal && error.code === 'proof_replayed') return 'refuse';
    throw error;
  }
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
