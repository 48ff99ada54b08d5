import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');
const folder = mkdtempSync(path.join(tmpdir(), 'bulla-examples-'));
const env: Record<string, string | undefined> = { ...process.env, BULLA_EXAMPLES: folder };

interface Program {
  readonly child: ChildProcess;
  readonly output: () => string;
  /** Resolves with everything printed so far once that contains `text`. */
  readonly printed: (text: string) => Promise<string>;
  readonly ended: Promise<void>;
}

function start(name: string): Program {
  const script = path.join('examples', name);
  const child = spawn(process.execPath, ['--import=tsx', '--conditions=@bulla/source', script], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stderr.on('data', (data: Buffer) => {
    output += data.toString();
  });
  child.stdout.on('data', (data: Buffer) => {
    output += data.toString();
  });
  const ended = once(child, 'close').then(() => undefined);
  const printed = async (text: string): Promise<string> => {
    while (!output.includes(text)) {
      if (child.exitCode !== null) throw new Error(`${name} ended without \`${text}\`:\n${output}`);
      await Promise.race([once(child.stdout, 'data'), ended]);
    }
    return output;
  };
  return { child, output: () => output, printed, ended };
}

/** @returns what the program printed. */
async function run(name: string): Promise<string[]> {
  const program = start(name);
  await program.ended;
  expect(program.child.exitCode, program.output()).toBe(0);
  return program.output().trimEnd().split('\n');
}

async function stop(program: Program | undefined): Promise<void> {
  program?.child.kill('SIGTERM');
  await program?.ended;
}

async function freeOrigin(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
}

const programs = readdirSync(path.join(root, 'examples')).filter((name) => name.endsWith('.ts'));

test.each(programs)('%s is under 60 lines', (name) => {
  expect(
    readFileSync(path.join(root, 'examples', name), 'utf8')
      .trimEnd()
      .split('\n').length,
  ).toBeLessThan(60);
});

test('README.md lists every program', () => {
  const readme = readFileSync(path.join(root, 'examples/README.md'), 'utf8');
  for (const name of programs) expect(readme).toContain(`[${name}](${name})`);
});

describe('with an account, an issuer and an agent', () => {
  let admin: Program;
  beforeAll(async () => {
    [env['ISSUER'], env['API']] = await Promise.all([freeOrigin(), freeOrigin()]);
    admin = start('admin.ts');
    await admin.printed(`issuer on ${env['ISSUER']}\n`);
  }, 30_000);
  afterAll(async () => {
    await stop(admin);
    rmSync(folder, { recursive: true });
  });

  describe('and the Hono API', () => {
    let api: Program;
    beforeAll(async () => {
      api = start('api.ts');
      await api.printed(`api on ${env['API']}\n`);
    }, 30_000);
    afterAll(() => stop(api));

    test('agent.ts reads an order of its team, and no more', async () => {
      expect(await run('agent.ts')).toEqual([
        expect.stringMatching(/^order of the own team: 200 \{"id":"1","readBy":"prn_/u),
        expect.stringMatching(/^order of another team: 403 .*"policy":"own-team"/u),
        expect.stringMatching(/^order of 900: 403 .*"policy":"agent-amount"/u),
      ]);
      const receipts = await api.printed('"agent-amount"');
      expect(receipts).toMatch(/"outcome":"allow".*"action":"order.read"/u);
    });

    test('narrow.ts hands on less than it holds', async () => {
      expect(await run('narrow.ts')).toEqual(['order of 90: 201', 'order of 400: 403', 'order read: 403']);
    });

    test('orchestrator.ts lets its sub-agent do one thing', async () => {
      expect(await run('orchestrator.ts')).toEqual([
        expect.stringMatching(/^forbid.* unless .*Action::"order\.create".*context\.amount <= 100/u),
        'held by 2 keys',
        'order of 90: 201 {"team":"blue","amount":90}',
        expect.stringMatching(/^order of 400: 403 .*"layer":"narrow"/u),
        expect.stringMatching(/^order read: 403 .*"layer":"narrow"/u),
      ]);
    });
  });

  test.each(['fetch-api.ts', 'express-api.ts'])('%s decides as the Hono API does', async (name) => {
    const api = start(name);
    try {
      await api.printed(`api on ${env['API']}\n`);
      const [own, other] = await run('agent.ts');
      expect(own).toMatch(/: 200 /u);
      expect(other).toMatch(/: 403 /u);
      expect(await api.printed('deny GET /orders/2')).toContain('allow GET /orders/1\n');
    } finally {
      await stop(api);
    }
  });

  test('mcp-server.ts decides each tool call of mcp-agent.ts', async () => {
    const api = start('mcp-server.ts');
    try {
      await api.printed(`api on ${env['API']}\n`);
      expect(await run('mcp-agent.ts')).toEqual([
        expect.stringMatching(/^read_order done: .*order 1, read by prn_/u),
        expect.stringMatching(/^read_order denied: .*own-team/u),
        expect.stringMatching(/^create_order denied: .*agent-amount/u),
      ]);
      expect(await api.printed('deny order.create\n')).toContain('allow order.read\n');
    } finally {
      await stop(api);
    }
  });

  test('whose-key.ts believes the proof of an answer, under the checkpoint that it followed', async () => {
    expect(await run('whose-key.ts')).toEqual([
      expect.stringMatching(/^agent\/agt_[0-9a-f]{32} of prn_[0-9a-f]{32}, in force$/u),
      'nobody of nobody, not in force',
    ]);
  });

  test('verify-offline.ts decides from the disk alone', async () => {
    expect(await run('verify-offline.ts')).toEqual([
      'allowed: true, by own-team-read',
      'sent again: proof_replayed',
    ]);
  });
});
