import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Verifier } from '@bulla/verifier';
import { guard } from '@bulla/verifier/hono';
import { type PolicySetDocument, policySetDigest } from '@bulla/verifier/policy';
import { Hono } from 'hono';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from '../kit/cli-process.ts';
import { type Live, startLive } from '../kit/live.ts';
import { type LoopbackGithub, loopbackGithub } from '../kit/loopback-github.ts';
import { policy } from '../kit/policy.ts';

const example = path.resolve(import.meta.dirname, '../../examples/ci');
const folder = mkdtempSync(path.join(tmpdir(), 'bulla-ci-'));
const commit = '0123456789abcdef0123456789abcdef01234567';
const actions = ['deploy', 'status'] as const;
const deployments: PolicySetDocument = {
  version: 1,
  policies: { anyone: policy('permit') },
  schema: {
    '': {
      entityTypes: { User: { memberOfTypes: ['Group'] }, Group: {}, Environment: {} },
      actions: Object.fromEntries(
        actions.map((id) => [
          id,
          { appliesTo: { principalTypes: ['User'], resourceTypes: ['Environment'] } },
        ]),
      ),
    },
  },
};
let live: Live;
let github: LoopbackGithub;

function releasesApi(verifier: Verifier): Hono {
  const production = () => ({ type: 'Environment', id: 'production' });
  const app = new Hono();
  app.use(
    guard(verifier, {
      'POST /v1/releases/:commit': { action: 'deploy', resource: production },
      'GET /v1/releases': { action: 'status', resource: production },
    }),
  );
  app.post('/v1/releases/:commit', (c) => c.text(`released ${c.req.param('commit')}\n`));
  app.get('/v1/releases', (c) => c.text('one release\n'));
  return app;
}

/** A program on the path of the job. */
function onPath(name: string, script: string): void {
  const file = path.join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
}

const node = (program: string): string => `exec ${process.execPath} -e '${program}' -- "$@"`;

beforeAll(async () => {
  github = await loopbackGithub();
  live = await startLive({
    ownAudience: true,
    api: releasesApi,
    account: () => ({ federations: [{ name: 'deploys', dangerouslyAllowPrivateAddresses: true }] }),
  });
  const { ledger, agent } = live.world;
  ledger.policy('main', policySetDigest(deployments));
  await live.post(ledger.lastLeaf, [deployments]);
  ledger.do({
    type: 'federation.trust',
    name: 'deploys',
    issuer: github.issuer,
    profile: 'github',
    keys: [github.outside.thumbprint],
    claims: { repository: 'octo-org/octo-repo' },
    agent: agent.id,
  });
  await live.append();
}, 60_000);

afterAll(async () => {
  await live.close();
  await github.close();
  rmSync(folder, { recursive: true });
});

/** The files of the example, with this issuer and API in place of those they name. */
function here(name: string): string {
  const text = readFileSync(path.join(example, name), 'utf8')
    .replace(/https:\/\/issuer\.example\/a\/acct_A+/u, live.world.issuerId)
    .replace('https://deploy.example/', `${live.apiOrigin}/`)
    .replace('deploy.example', new URL(live.apiOrigin).host);
  const file = path.join(folder, name);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

test('the script of the example releases in one step, and cannot in the other', async () => {
  const source = `--import=${import.meta.resolve('tsx')} --conditions=@bulla/source`;
  onPath('bulla', `exec ${process.execPath} ${source} ${path.resolve('cli/main.ts')} "$@"`);
  // Where curl and a package with that script would be: programs that know nothing of envelopes either.
  onPath(
    'curl',
    node(
      'fetch(process.argv.at(-1), { method: "POST" }).then(async (r) => console.log(r.status, (await r.text()).trim()))',
    ),
  );
  onPath(
    'npm',
    node(
      'const url = `${process.env.DEPLOY_URL}/releases`; (async () => { const seen = await fetch(url); console.log(seen.status, (await seen.text()).trim()); const tried = await fetch(`${url}/again`, { method: "POST" }); console.log(tried.status, (await tried.json()).code); })()',
    ),
  );
  const { exit, stdout, stderr } = await runCli(
    [
      'ci',
      '--config',
      here('bulla.json'),
      '--env-file',
      here('deploy.env'),
      '--',
      'sh',
      path.join(example, 'deploy.sh'),
    ],
    {
      ...github.env,
      PATH: `${folder}:${process.env['PATH'] ?? ''}`,
      GITHUB_ACTIONS: 'true',
      GITHUB_SHA: commit,
    },
  );
  expect([exit, stderr]).toEqual([0, '']);
  const shown = stdout.split('\n').filter((line) => !line.startsWith('::add-mask::'));
  expect(shown).toEqual([`200 released ${commit}`, '200 one release', '403 policy_denied', '']);
});
