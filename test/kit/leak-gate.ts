import { afterAll } from 'vitest';
import { startWatching, takeLeaks } from './leaks.ts';

// A setup file of every test file (vitest.config.ts): a file in which a secret leaves the process fails.

startWatching();

afterAll(() => {
  const leaks = takeLeaks();
  if (leaks.length > 0) throw new Error(`secrets have left the process: ${[...new Set(leaks)].join('; ')}`);
});
