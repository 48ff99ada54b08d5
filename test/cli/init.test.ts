import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Desk, freePort, spawnCli } from './desk.ts';

let desk: Desk;
let init: string[];
beforeEach(async () => {
  desk = new Desk();
  desk.url = `http://127.0.0.1:${await freePort()}`;
  init = ['init', '--data', desk.data, '--issuer-url', desk.url];
});
afterEach(async () => {
  await desk.close();
});

const passphrase = 'correct horse battery staple';
const everything = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => path.join(folder, name));

describe('init', () => {
  test('makes an account whose admin key has a passphrase, and whose files are the owner’s alone', async () => {
    desk.env = { BULLA_PASSPHRASE: passphrase };
    const made = await desk.json(...init);
    expect(made).toMatchObject({
      account: desk.account().account,
      issuer: `${desk.url}/a/${desk.account().account}`,
      adminKey: 'admin',
    });
    expect(JSON.parse(desk.read('home/keys/admin.json'))).toMatchObject({ protection: 'passphrase' });
    const open = [...everything(desk.home), ...everything(desk.data)].filter((file) => {
      const stat = statSync(file);
      const secret = stat.isDirectory() || !/issuer\.db|\/log\//u.test(file);
      return secret && (stat.mode & 0o077) !== 0;
    });
    expect(open).toEqual([]);
    for (const folder of [desk.home, desk.data]) expect(statSync(folder).mode & 0o777).toBe(0o700);
    await desk.serve();
    expect(await desk.json('suspend', 'prn_000000').catch((error: unknown) => String(error))).toContain(
      'subject_unknown',
    );
    desk.env = { BULLA_PASSPHRASE: 'another passphrase' };
    expect(await desk.failure(['admin', 'group', 'add', 'staff'])).toBe('6 passphrase_wrong');
  });
  test('makes nothing where no passphrase can be had', async () => {
    expect(await desk.failure(init)).toBe('6 passphrase_missing');
    expect(readdirSync(desk.folder)).toEqual([]);
  });
  test('replaces no issuer', async () => {
    const plain = ['--insecure-plaintext-key', ...init];
    await desk.json(...plain);
    const before = [desk.read('issuer/issuer.json'), desk.read('home/home.json')];
    expect(await desk.failure(plain)).toBe('3 init_exists');
    expect([desk.read('issuer/issuer.json'), desk.read('home/home.json')]).toEqual(before);
  });
  test('overwrites no keys of an issuer that was never finished', async () => {
    const file = desk.write('issuer/log.jwk', 'kept');
    expect(await desk.failure(['--insecure-plaintext-key', ...init])).toBe('3 init_exists');
    expect(desk.read(path.relative(desk.folder, file))).toBe('kept');
  });
  test('adds an account to a home that has one, under the same admin key', async () => {
    await desk.json('--insecure-plaintext-key', ...init);
    const first = desk.account().account;
    const key = desk.read('home/keys/admin.json');
    await desk.json('init', '--data', desk.path('second'), '--issuer-url', desk.url);
    expect(desk.read('home/keys/admin.json')).toBe(key);
    const { accounts } = await desk.json('admin', 'account', 'list');
    expect(accounts).toMatchObject([{ account: first, current: false }, { current: true }]);
  });
  test('adds an account to an issuer that has one, with keys of its own, and both are served', async () => {
    await desk.json('--insecure-plaintext-key', ...init);
    const first = desk.account().account;
    const { account: second } = await desk.json('init', '--data', desk.data, '--another');
    const { accounts } = JSON.parse(desk.read('issuer/issuer.json')) as {
      accounts: { account: string; mintKeyFile: string }[];
    };
    expect(accounts.map(({ account }) => account)).toEqual([first, second]);
    expect(new Set(accounts.map(({ mintKeyFile }) => mintKeyFile)).size).toBe(2);
    await desk.serve();
    await desk.json('admin', 'group', 'add', 'staff');
    expect(JSON.stringify(await desk.json('admin', 'group', 'list'))).toContain('staff');
    expect(JSON.stringify(await desk.json('admin', 'group', 'list', '--account', first))).not.toContain(
      'staff',
    );
  });
  test('adds no account to an issuer that is not there', async () => {
    expect(await desk.failure(['--insecure-plaintext-key', ...init, '--another'])).toBe('3 init_missing');
  });
  test('says what comes next', async () => {
    const { exit, stdout } = await desk.run(['--insecure-plaintext-key', ...init]);
    expect(exit).toBe(0);
    expect(stdout).toContain('next: bulla serve');
  });
});

describe('as a process', () => {
  const env = (): Record<string, string> => ({ BULLA_HOME: desk.home });
  test('serve without a configuration ends with 78 and says what to do', async () => {
    const { exit, stdout, stderr } = await spawnCli(['serve'], { cwd: desk.folder, env: env() });
    expect(exit).toBe(78);
    expect(stdout).toBe('');
    expect(stderr).toContain('there is no issuer configuration at `.bulla/issuer.json` (config_missing)');
    expect(stderr).toContain('make an account and an issuer with `bulla init`');
    expect(stderr).toContain('in a checkout: `npx bulla init`');
  });
  test('serve runs until it is told to stop', async () => {
    await desk.json('--insecure-plaintext-key', ...init);
    let asked = false;
    const argv = ['serve', '--config', path.join(desk.data, 'issuer.json')];
    const { exit, stdout } = await spawnCli(argv, {
      cwd: desk.folder,
      env: env(),
      onStdout: (text, pid) => {
        if (asked || !text.includes('issuer listens on')) return;
        asked = true;
        process.kill(pid, 'SIGTERM');
      },
    });
    expect(exit).toBe(0);
    expect(stdout).toContain(desk.url);
  });
  test('an unknown option ends with 2 and a suggestion', async () => {
    const { exit, stdout, stderr } = await spawnCli(['admin', 'person', 'add', '--gruop', 'staff'], {
      cwd: desk.folder,
      env: env(),
    });
    expect(exit).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain("unknown option '--gruop'");
    expect(stderr).toContain('Did you mean --group?');
  });
});
