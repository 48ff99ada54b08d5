import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { serve } from '@hono/node-server';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freePort } from '../kit/live.ts';
import { testDomain } from '../kit/log.ts';
import { type ScimWorld, startScim } from '../kit/scim.ts';

const run = promisify(execFile);
const environment = join(import.meta.dirname, '../../node_modules/.cache/scim2-tester');
const python = join(environment, 'bin/python');

interface Check {
  readonly status: string;
  readonly title: string;
  readonly resourceType: string | null;
  readonly reason: string | null;
}

let scim: ScimWorld;
let server: ReturnType<typeof serve>;
beforeEach(async () => {
  if (!existsSync(join(environment, 'installed'))) {
    await run('python3', ['-m', 'venv', environment]);
    const packages = ['scim2-tester==0.5.2', 'scim2-client[httpx2]==0.13.2', 'scim2-models==0.12.3'];
    await run(python, ['-m', 'pip', 'install', '--quiet', ...packages]);
    await run('touch', [join(environment, 'installed')]);
  }
  const port = await freePort();
  scim = await startScim({
    publicUrl: `http://127.0.0.1:${port}`,
    connection: { defaultDomain: testDomain },
    connectionLease: { maxEntriesPerHour: 100_000 },
  });
  server = serve({ fetch: scim.world.issuer.app.fetch, hostname: '127.0.0.1', port });
});
afterEach(async () => {
  server.close();
  await scim.remove();
});

test('scim2-tester finds no error', async () => {
  const { stdout } = await run(python, [join(import.meta.dirname, 'check_scim.py')], {
    env: { ...process.env, SCIM_URL: scim.base, SCIM_TOKEN: scim.token },
    maxBuffer: 64 * 1_048_576,
  });
  const checks = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Check);
  const kinds = ['User', 'Group', 'Agent'];
  const tried = new Set(checks.map(({ resourceType }) => resourceType));
  expect(kinds.filter((kind) => !tried.has(kind))).toEqual([]);
  expect(checks.length).toBeGreaterThan(50);
  expect(checks.filter(({ status }) => status === 'ERROR' || status === 'CRITICAL')).toEqual([]);
});
