import { defineConfig } from 'vitest/config';

const source = { conditions: ['@bulla/source'] };

/** The layer that takes minutes: crashes, soaks. Started by .ci/run and by `npm run test:slow`; one file at a time. */
export default defineConfig({
  resolve: source,
  ssr: { resolve: { ...source, externalConditions: ['@bulla/source'] } },
  test: {
    name: 'slow',
    include: ['test/slow/**/*.test.ts'],
    reporters: ['default', './test/last-line.ts'],
    allowOnly: false,
    expect: { requireAssertions: true },
    setupFiles: ['./test/kit/leak-gate.ts'],
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 60_000,
  },
});
