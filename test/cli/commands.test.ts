import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cliCodes, describeCommands, exitCodes } from 'bulla';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Desk } from './desk.ts';

const commands = describeCommands();
let desk: Desk;
beforeEach(() => {
  desk = new Desk();
});
afterEach(async () => {
  await desk.close();
});

describe.each(commands.map((command) => [command.path, command] as const))('%s', (_, command) => {
  test('says what it does, shows an example, and helps', async () => {
    expect(command.description).toMatch(/^[A-Z].{10,}\.$/u);
    expect(command.example.startsWith(command.path)).toBe(true);
    const { exit, stdout } = await desk.run([...command.path.split(' ').slice(1), '--help']);
    expect(exit).toBe(0);
    expect(stdout).toContain(`Usage: ${command.path}`);
    expect(stdout).toContain(`$ ${command.example}`);
  });
  test('describes each argument and option', () => {
    const parts = [...command.arguments, ...command.options];
    expect(parts.filter(({ description }) => description.length < 3)).toEqual([]);
  });
  test('shows an example that is a command with its own options', () => {
    const shown = commands.findLast(({ path }) => `${command.example} `.startsWith(`${path} `));
    const root = commands[0]?.options ?? [];
    const known = [...(shown?.options ?? []), ...root].flatMap(
      ({ flags }) => flags.match(/--[a-z0-9-]+/gu) ?? [],
    );
    expect(shown?.group).toBe(false);
    for (const flag of command.example.match(/(?<=\s)--[a-z-]+/gu) ?? []) expect(known).toContain(flag);
  });
});

test('a group without a command shows its help and ends as wrong usage', async () => {
  expect(await desk.run(['admin'])).toMatchObject({
    exit: 2,
    stderr: expect.stringContaining('Usage: bulla admin'),
  });
});

test('a reader that goes away early is no fault', async () => {
  const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
  const argv = [
    process.execPath,
    `--import=${import.meta.resolve('tsx')}`,
    '--conditions=@bulla/source',
    main,
  ];
  const script = '{ "$@" --help; echo "ended with $?" >&2; } | true';
  const { stderr } = await promisify(execFile)('sh', ['-c', script, 'sh', ...argv]);
  expect(stderr).toBe('ended with 0\n');
});

test('a step outside a job is told so', async () => {
  const { exit, stderr } = await desk.run(['ci', 'step', '--', 'true']);
  expect(exit).toBe(78);
  expect(stderr).toContain('this runs inside no job and no other helper');
});

test('the table of exit codes is in the help', async () => {
  const { stdout } = await desk.run(['--help']);
  for (const { exit, meaning } of Object.values(exitCodes)) expect(stdout).toContain(`${exit}  ${meaning}`);
});

test('every code of the command line names an exit code and is used', () => {
  const names = new Set(Object.keys(exitCodes));
  const folder = new URL('../../cli/', import.meta.url);
  const source = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !/^(?:dist|node_modules)\//u.test(file))
    .map((file) => readFileSync(new URL(file, folder), 'utf8'))
    .join('\n');
  for (const [code, { exit }] of Object.entries(cliCodes)) {
    expect(names).toContain(exit);
    expect(source.split(`'${code}'`).length, code).toBeGreaterThan(1);
  }
});

describe.each(commands.filter(({ group }) => !group).map(({ path }) => path))('%s', (path) => {
  test('refuses an unknown option with 2, and with --json as one document', async () => {
    const argv = [...path.split(' ').slice(1), '--jsonn'];
    expect((await desk.run(argv)).exit).toBe(2);
    expect(await desk.failure(argv)).toBe('2 argument_invalid');
  });
});

test('an option that is nearly one gets a suggestion', async () => {
  const { exit, stderr } = await desk.run(['log', 'verify', '--jsonn']);
  expect(exit).toBe(2);
  expect(stderr).toContain('Did you mean --json?');
});

describe('wrong usage ends with 2', () => {
  test.each([
    ['an unknown command', ['frobnicate']],
    ['an unknown option', ['suspend', 'agt_000000', '--frobnicate']],
    ['a missing argument', ['suspend']],
    ['a missing option', ['admin', 'agent', 'add', '--key', 'x']],
    ['too many arguments', ['suspend', 'a', 'b']],
    ['a time that is none', ['admin', 'lease', 'grant', '--key', 'x', '--for', 'long']],
    ['a lease beyond its cap', ['admin', 'lease', 'grant', '--key', 'x', '--for', '8d']],
    [
      'an operation that cannot be lent',
      ['admin', 'lease', 'grant', '--key', 'x', '--allow', 'policy.publish'],
    ],
    ['attributes that are no object', ['admin', 'person', 'add', '--attributes', '[]']],
    ['a URL that is none', ['call', 'nowhere', '--agent', 'a', '--key', 'k']],
    ['an issuer URL with a path', ['init', '--issuer-url', 'http://127.0.0.1/a']],
    ['a stop without a target', ['stop', 'agt_000000']],
    ['a token as argument', ['token', 'inspect', 'eyJhbGciOiJFZERTQSJ9']],
    ['nothing to revoke', ['revoke']],
    ['a key name with a path in it', ['admin', 'key', 'new', '..']],
  ])('%s', async (_, argv) => {
    expect(await desk.failure(argv)).toBe('2 argument_invalid');
  });
});

describe('without a home', () => {
  test.each(['log show', 'admin person list', 'policy show', 'pin'])('%s ends with 78', async (line) => {
    expect(await desk.failure(line.split(' '))).toBe('78 home_missing');
  });
  test('serve says how to begin', async () => {
    const { exit, stderr } = await desk.run(['serve', '--config', desk.path('none.json')]);
    expect(exit).toBe(78);
    expect(stderr).toContain('config_missing');
    expect(stderr).toContain('bulla init');
  });
  test('an unknown account is named', async () => {
    desk.write('home/home.json', JSON.stringify({ version: 1, current: null, accounts: [] }));
    expect(await desk.failure(['--account', 'acct_x', 'log', 'show'])).toBe('78 account_unknown');
  });
  test.each(['{', '[]', '{"version":2}', '{"version":1,"current":null,"accounts":[{}]}'])(
    'a home with %s is refused',
    async (text) => {
      desk.write('home/home.json', text);
      expect(await desk.failure(['log', 'show'])).toBe('78 home_invalid');
    },
  );
});
