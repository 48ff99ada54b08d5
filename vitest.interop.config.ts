import { defineConfig } from 'vitest/config';

const source = { conditions: ['@bulla/source'] };

/**
 * Clients, servers and suites by others. `test/interop` is part of `npm test` too; `test/conformance` needs Python and PyPI,
 * which a fresh machine need not have, so it is started here and by .ci/run.
 */
export default defineConfig({
  resolve: source,
  ssr: { resolve: { ...source, externalConditions: ['@bulla/source'] } },
  test: {
    name: 'interop',
    include: ['test/interop/**/*.test.ts', 'test/conformance/**/*.test.ts'],
    reporters: ['default', './test/last-line.ts'],
    allowOnly: false,
    expect: { requireAssertions: true },
    setupFiles: ['./test/kit/leak-gate.ts'],
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
