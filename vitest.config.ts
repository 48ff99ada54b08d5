import { defineConfig } from 'vitest/config';

const source = { conditions: ['@bulla/source'] };
const layer = (name: string, include: string[]) => ({ extends: true as const, test: { name, include } });

/** The layers that `npm test` runs; `test/slow` (crash, soak, interop with installed servers) is started by .ci/run. */
export default defineConfig({
  resolve: source,
  ssr: { resolve: { ...source, externalConditions: ['@bulla/source'] } },
  test: {
    reporters: ['default', './test/last-line.ts'],
    allowOnly: false,
    expect: { requireAssertions: true },
    sequence: { shuffle: true },
    testTimeout: 30_000,
    setupFiles: ['./test/kit/leak-gate.ts'],
    coverage: { provider: 'v8', include: ['{verifier,agent,issuer,cli}/**/*.ts'], exclude: ['**/dist/**'] },
    projects: [
      'verifier',
      'agent',
      'issuer',
      'cli',
      'laws',
      'attacks',
      'properties',
      'interop',
      'e2e',
      'surface',
    ].map((name) => layer(name, [`test/${name}/**/*.test.ts`])),
  },
});
