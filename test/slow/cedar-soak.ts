import { setFlagsFromString } from 'node:v8';
import { createEngine } from '@bulla/verifier/policy';
import { plan, policy, question, setOf } from '../kit/policy.ts';

/**
 * A million decisions beside ordinary garbage, in a process of its own because the failure it looks for ends the
 * process. Prints heap sizes as JSON. With `BULLA_INLINE=1` it puts V8's default back, to show the failure.
 */
const engine = createEngine();
if (process.env['BULLA_INLINE'] === '1') setFlagsFromString('--turbo-inline-js-wasm-calls');
const set = engine.load(setOf({ any: policy('permit') }));
// Another file each time, or the answer would be remembered and Cedar not asked.
const asked = (count: number) => question(set, { resource: { ...plan, id: String(count) } });

let kept: object[] = [];
const heap: number[] = [];
for (let count = 1; count <= 1_000_000; count += 1) {
  if (!engine.decide(set, asked(count)).allowed) throw new Error('a decision was not allow');
  kept.push({ count, text: `decision ${String(count)}` });
  if (kept.length === 5000) kept = [];
  if (count % 200_000 === 0) {
    globalThis.gc?.();
    heap.push(process.memoryUsage().heapUsed);
  }
}
process.stdout.write(JSON.stringify(heap));
