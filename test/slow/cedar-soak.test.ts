import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const program = fileURLToPath(new URL('cedar-soak.ts', import.meta.url));

test('a million decisions beside garbage neither end the process nor fill its memory', () => {
  const run = spawnSync(
    process.execPath,
    ['--expose-gc', '--import=tsx', '--conditions=@bulla/source', program],
    { encoding: 'utf8', timeout: 300_000 },
  );
  expect({ signal: run.signal, status: run.status, stderr: run.stderr }).toEqual({
    signal: null,
    status: 0,
    stderr: '',
  });
  const heap = JSON.parse(run.stdout) as number[];
  expect(heap).toHaveLength(5);
  expect(Math.max(...heap) - (heap[0] ?? 0)).toBeLessThan(16 * 1024 * 1024);
});
