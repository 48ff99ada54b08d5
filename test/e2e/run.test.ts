import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { generateKey } from '@bulla/agent';
import { createSigner, generatePrivateJwk } from '@bulla/verifier';
import { bindingOf, signJws } from '@bulla/verifier/envelope';
import type { Operation } from '@bulla/verifier/log';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli, startCli } from '../kit/cli-process.ts';
import { type Idp, startIdp } from '../kit/idp.ts';
import { type Live, startLive } from '../kit/live.ts';
import { type LoopbackGithub, loopbackGithub } from '../kit/loopback-github.ts';

// A real issuer, a real guarded API, a real IdP (oidc-provider), the command line as a process. GitHub is a loopback endpoint
// of its form, and the key that signs JWT-SVIDs is made here.
const agent = path.resolve(import.meta.dirname, '../../examples/plain-agent.js');
const idpResource = 'https://issuer.example';
const domain = 'spiffe://corp.example';
const folder = mkdtempSync(path.join(tmpdir(), 'bulla-run-'));
const meshKey = generatePrivateJwk('P-256');
const mesh = createSigner(meshKey);
const holder = generateKey();
let live: Live;
let github: LoopbackGithub;
let idp: Idp;
let host: string;

beforeAll(async () => {
  [github, idp] = await Promise.all([loopbackGithub(), startIdp()]);
  const meshKeys = write(
    'mesh.json',
    JSON.stringify({ keys: [{ ...mesh.publicKey.jwk, kid: 'k1', use: 'jwt-svid', alg: 'ES256' }] }),
  );
  live = await startLive({
    ownAudience: true,
    account: () => ({
      federations: [
        { name: 'build', dangerouslyAllowPrivateAddresses: true },
        { name: 'idp', dangerouslyAllowPrivateAddresses: true },
        { name: 'mesh', jwksFile: meshKeys, dangerouslyAllowPrivateAddresses: false },
      ],
    }),
  });
  host = new URL(live.apiOrigin).host;
  const { agent: of } = live.world;
  await admin({
    type: 'federation.trust',
    name: 'build',
    issuer: github.issuer,
    profile: 'github',
    keys: [github.outside.thumbprint],
    claims: { repository: 'octo-org/octo-repo' },
    agent: of.id,
  });
  await admin({
    type: 'federation.trust',
    name: 'mesh',
    issuer: domain,
    profile: 'spiffe',
    keys: [mesh.publicKey.thumbprint],
    claims: { sub: `${domain}/reports` },
    agent: of.id,
  });
  await admin({
    type: 'federation.trust',
    name: 'idp',
    issuer: idp.issuer,
    profile: 'oidc',
    keys: [idp.thumbprint],
    audience: idpResource,
    claims: { azp: 'reports-agent', owner: 'alice@corp.example' },
    agent: of.id,
  });
  await admin({ type: 'agent.vouch', agent: of.id, actions: ['read'] });
}, 60_000);
afterAll(async () => {
  await live.close();
  await Promise.all([github.close(), idp.close()]);
  rmSync(folder, { recursive: true });
});

async function admin(op: Operation): Promise<void> {
  live.world.ledger.time = Math.max(live.world.ledger.time, Math.floor(Date.now() / 1000));
  live.world.ledger.do(op);
  await live.append();
}

function write(name: string, content: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, content, { mode: 0o600 });
  return file;
}

/** `--issuer`, `--audience` and an env file with the reference. */
const common = (): string[] => [
  '--issuer',
  live.world.issuerId,
  '--audience',
  `${live.apiOrigin}/`,
  '--env-file',
  write('.env', `API_URL=bulla://${host}\n`),
];
const fromGithub = (): string[] => [...common(), '--source', 'github'];
const program = (code: string): string[] => ['--', process.execPath, '-e', code];

/** A program that signs a JWT-SVID for the audience it is told, as `spire-agent` asks its server to. */
const svidProgram = `
    import { createPrivateKey, sign } from 'node:crypto';
    const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const input = [
      { alg: 'ES256', typ: 'JWT', kid: 'k1' },
      { sub: '${domain}/reports', aud: [process.argv[2]], exp: Math.floor(Date.now() / 1000) + 300 },
    ].map(encode).join('.');
    const key = createPrivateKey({ key: ${JSON.stringify(meshKey)}, format: 'jwk' });
    const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
    console.log('token(${domain}/reports):\\n\\t' + input + '.' + signature.toString('base64url'));
`;

describe('an agent with no code of ours calls the guarded API', () => {
  const clientSecret = (): string => idp.secretOf('reports-agent');
  const svid = (): string =>
    signJws(
      'JWT',
      { kid: 'k1' },
      {
        sub: `${domain}/reports`,
        aud: [bindingOf(live.world.ledger.account, holder.thumbprint)],
        exp: Math.floor(Date.now() / 1000) + 300,
      },
      mesh,
    );

  test.each([
    ['a token of the form of GitHub Actions’', () => ['--source', 'github'], () => github.env],
    [
      'a token of Auth0’s shape from oidc-provider, its secret in a variable',
      () => [
        '--source',
        'oidc',
        '--token-endpoint',
        idp.tokenEndpoint,
        '--client-id',
        'reports-agent',
        '--client-secret-env',
        'IDP_SECRET',
        '--idp-resource',
        idpResource,
        '--idp-scope',
        'read',
      ],
      () => ({ IDP_SECRET: clientSecret() }),
    ],
    [
      'a JWT-SVID in a file, bound to a holder key that stays',
      () => [
        '--source',
        'spiffe-file',
        '--token-file',
        write('svid', svid()),
        '--key',
        write('holder.jwk', JSON.stringify(holder.privateJwk)),
      ],
      () => ({}),
    ],
    [
      'a JWT-SVID of a command, bound to a key in memory',
      () => [
        '--source',
        'spiffe-command',
        '--spiffe-command',
        `${process.execPath} ${write('svid.mjs', svidProgram)} {binding}`,
      ],
      () => ({}),
    ],
  ])('with %s', async (_, source, env) => {
    const calls = `${process.execPath} ${agent} /notes/7 && ${process.execPath} ${agent} /notes/7 DELETE`;
    const { exit, stdout, stderr } = await runCli(
      ['run', ...common(), ...source(), '--', 'sh', '-c', calls],
      env(),
    );
    const [read, denied] = stdout.split('\n');
    expect([exit, read, stderr]).toEqual([1, '200 {"note":"7"}', '']);
    expect(denied).toMatch(/^403 \{.*"code":"\w+"/u);
  });
});

describe('the command', () => {
  test('gets neither the credential nor a key, and what it prints of the handle is hidden', async () => {
    const code = `
      console.log(JSON.stringify(process.env), process.argv.join(' '));
      console.error(process.env.API_URL);
      const token = process.env.BULLA_HELPER.split('/').pop();
      console.log(Buffer.from('user:' + token).toString('base64'), encodeURIComponent(process.env.API_URL));
      process.stdout.write(token.slice(0, 20));
      setImmediate(() => process.stdout.write(token.slice(20)));
    `;
    const env = { ...github.env, DEPLOY_SECRET: 'a-secret-of-the-deploy', OTHER: 'seen' };
    const { exit, stdout, stderr } = await runCli(
      ['run', ...fromGithub(), '--secret-env', 'DEPLOY_SECRET', ...program(code)],
      env,
    );
    expect(exit).toBe(0);
    const given = JSON.parse(stdout.slice(0, stdout.indexOf('} ') + 1)) as Record<string, string>;
    expect(given).toMatchObject({
      API_URL: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/\*\*\*\/127\.0\.0\.1:\d+$/u),
      OTHER: 'seen',
    });
    expect(Object.keys(given).filter((name) => /^ACTIONS_|^DEPLOY_|PASSPHRASE/u.test(name))).toEqual([]);
    expect(stderr).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\*\*\*\//u);
    const rest = stdout.slice(stdout.indexOf('} '));
    expect(rest).not.toMatch(/[A-Za-z0-9_-]{40}/u);
    expect(rest.endsWith('***')).toBe(true);
  });

  test('has a secret of several lines hidden line by line, and however it is percent-encoded', async () => {
    const lines = ['-----BEGIN KEY-----', 'first+line/of=the key', 'second+line/of=the key'];
    const [, first = ''] = lines;
    const form = new URLSearchParams([['', first]]).toString().slice(1);
    const shown = [...lines.map((line) => `  ${line}\r`), form, form.toLowerCase()];
    const code = `for (const line of ${JSON.stringify(shown)}) console.log(line)`;
    const { stdout } = await runCli(
      ['run', ...fromGithub(), '--secret-env', 'DEPLOY_KEY', ...program(code)],
      { ...github.env, DEPLOY_KEY: `${lines.join('\n')}\n` },
    );
    expect(stdout).toBe('  ***\r\n  ***\r\n  ***\r\n***\n***\n');
  });

  test('may print bytes of any kind, and a secret letter by letter', async () => {
    const code = `
      const { setTimeout: after } = require('node:timers/promises');
      const token = process.env.BULLA_HELPER.split('/').pop();
      (async () => {
        process.stdout.write(Buffer.from([0xff, 0x00, 0xc3, 0x28]));
        for (const letter of token + token.slice(0, 5)) {
          process.stdout.write(letter);
          await after(1);
        }
      })();
    `;
    const running = startCli(['run', ...fromGithub(), ...program(code)], github.env);
    const chunks: Buffer[] = [];
    running.child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
    expect(await running.ended).toBe(0);
    const bytes = Buffer.concat(chunks).toString('latin1');
    expect(bytes).toMatch(/^\xff\0\xc3\(\*\*\*[\w-]{5}$/u);
  });

  test('may be given a Unix socket instead of a port', async () => {
    const code = `
      const { BULLA_SOCKET: socketPath, API_URL } = process.env;
      const mode = (require('node:fs').statSync(require('node:path').dirname(socketPath)).mode & 0o777).toString(8);
      require('node:http').get(API_URL + '/notes/7', { socketPath }, (response) => {
        console.log(mode, response.statusCode, socketPath);
      });
    `;
    const { stdout } = await runCli(['run', ...fromGithub(), '--socket', ...program(code)], github.env);
    const [mode, status, socket = ''] = stdout.trim().split(' ');
    expect([mode, status]).toEqual(['700', '200']);
    expect(existsSync(path.dirname(socket))).toBe(false);
  });

  test('has its stdin, its exit code and its signals', async () => {
    const copying = startCli(
      ['run', ...fromGithub(), ...program('process.stdin.pipe(process.stdout); process.exitCode = 41;')],
      github.env,
      'pipe',
    );
    copying.child.stdin?.end('what it reads');
    expect(await copying.ended).toBe(41);
    expect(copying.output.stdout).toBe('what it reads');
    const waiting = startCli(
      [
        'run',
        ...fromGithub(),
        ...program(
          "process.on('SIGTERM', () => { console.log('told'); process.exit(7); }); setInterval(() => {}, 1000); console.log('up');",
        ),
      ],
      github.env,
    );
    await waiting.printed('up');
    waiting.child.kill('SIGTERM');
    expect(await waiting.ended).toBe(7);
    expect(waiting.output.stdout).toBe('up\ntold\n');
  });

  test('leaves nothing behind that has a handle which works', async () => {
    const outliving = `
      const { spawn } = require('node:child_process');
      spawn(process.execPath, ['-e', \`
        process.on('SIGHUP', () => {});
        process.stdin.once('end', async () => {
          require('node:fs').writeFileSync(process.argv[1], await fetch(process.env.API_URL + '/notes/7').then(
            (response) => String(response.status), (error) => error.cause.code));
        }).resume();
      \`, '${path.join(folder, 'outlived')}'], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] }).unref();
      fetch(process.env.API_URL + '/notes/7').then((response) => { console.log(response.status); process.exit(0); });
    `;
    const { stdout } = await runCli(['run', ...fromGithub(), ...program(outliving)], github.env);
    expect(stdout).toBe('200\n');
    await expect
      .poll(() => readIfThere(path.join(folder, 'outlived')), { timeout: 20_000 })
      .toBe('ECONNREFUSED');
  });

  test.each([
    ['a reference to another host', 'OTHER_URL=bulla://other.example/x', 'reference_unknown'],
    ['a reference inside something else', 'OTHER_URL="x,bulla://other.example"', 'reference_invalid'],
    ['a user part', 'OTHER_URL=bulla://api@other.example', 'reference_invalid'],
  ])('is not started with %s', async (_, line, code) => {
    const file = write('.env-wrong', `${line}\nNEIGHBOUR=not-to-be-quoted\n`);
    const { exit, stdout, stderr } = await runCli(
      ['run', ...fromGithub(), '--env-file', file, ...program("console.log('started')")],
      github.env,
    );
    expect([exit, stdout]).toEqual([78, '']);
    expect(stderr).toContain(code);
    expect(stderr).toContain('`OTHER_URL`');
    expect(stderr).not.toContain('not-to-be-quoted');
  });

  test('is not started where the issuer says no', async () => {
    github.claims = { repository: 'octo-org/another' };
    const { exit, stdout, stderr } = await runCli(
      ['run', ...fromGithub(), ...program("console.log('started')")],
      github.env,
    );
    github.claims = {};
    expect([exit, stdout]).toEqual([3, '']);
    expect(stderr).toMatch(
      /^bulla: the issuer refused the exchange: \w+ \(exchange_refused\)\n {2}`bulla admin federation /u,
    );
  });

  test('that is not there ends with 127', async () => {
    const { exit } = await runCli(['run', ...fromGithub(), '--', '/nonexistent/program'], github.env);
    expect(exit).toBe(127);
  });
});

describe('bulla ci', () => {
  test('hands a step less than the job has, and no way back', async () => {
    const cli = `${process.execPath} --import=${import.meta.resolve('tsx')} --conditions=@bulla/source ${path.resolve('cli/main.ts')}`;
    const call = `${process.execPath} ${agent} /notes/7`;
    // The step inherits the job's handle in API_URL, which becomes one of its own.
    const script = write(
      'job.sh',
      `${call}
export OUTER=$BULLA_HELPER
${cli} ci step --only-action read -- sh -c '${call}; test -z "$OUTER" || echo outer: $OUTER'
${cli} ci step --only-action write -- ${call}
${cli} ci step --only-action write -- ${cli} run --only-action read -- ${call}
`,
    );
    const asked = github.requests.length;
    const { stdout, stderr } = await runCli(['ci', ...common(), '--', 'sh', script], {
      ...github.env,
      GITHUB_ACTIONS: 'true',
    });
    expect(stderr).toBe('');
    expect(github.requests.length - asked).toBe(1);
    const lines = stdout.trim().split('\n');
    const shown = lines.filter((line) => !line.startsWith('::add-mask::'));
    expect(lines.length - shown.length).toBeGreaterThan(0);
    expect(shown).toEqual([
      '200 {"note":"7"}',
      '200 {"note":"7"}',
      expect.stringMatching(/^outer: http:..127\.0\.0\.1:\d+\/\*\*\*$/u),
      expect.stringMatching(/^403 /u),
      expect.stringMatching(/^403 /u),
    ]);
  });
});

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
