import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ConfigError,
  createIssuer,
  describeConfig,
  IssuerRefusal,
  initAccount,
  loadConfig,
  parseConfig,
  systemIssuerPorts,
} from '@bulla/issuer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newKey } from '../kit/issuer.ts';
import { createLedger, type Ledger } from '../kit/log.ts';

const messageOf = async (run: () => unknown): Promise<string> => {
  try {
    await run();
  } catch (error) {
    if (error instanceof ConfigError) {
      expect(error.exitCode).toBe(78);
      return error.message;
    }
    throw error;
  }
  return 'accepted';
};

const silent = { ...systemIssuerPorts, log: () => undefined };
const dir = mkdtempSync(join(tmpdir(), 'bulla-config-'));
const log = newKey();
const mint = newKey();
let ledger: Ledger;
const valid = () => ({
  publicUrl: 'https://issuer.example',
  database: join(dir, 'issuer.db'),
  accounts: [
    { account: ledger.account, logKeyFile: join(dir, 'log.jwk'), mintKeyFile: join(dir, 'mint.jwk') },
  ],
});

beforeAll(async () => {
  ledger = createLedger({ logKey: log.signer });
  writeFileSync(join(dir, 'log.jwk'), JSON.stringify(log.jwk), { mode: 0o600 });
  writeFileSync(join(dir, 'mint.jwk'), JSON.stringify(mint.jwk), { mode: 0o600 });
  await initAccount(join(dir, 'issuer.db'), ledger.leaves[0] ?? '');
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('configuration', () => {
  test('a missing field names itself and its variable', async () => {
    const { publicUrl: _, ...rest } = valid();
    expect(await messageOf(() => parseConfig(rest))).toBe(
      '`publicUrl` is missing (also settable as BULLA_PUBLIC_URL)',
    );
  });
  test('a missing field of an account names its path', async () => {
    const account = { ...valid().accounts[0], mintKeyFile: undefined };
    expect(await messageOf(() => parseConfig({ ...valid(), accounts: [account] }))).toBe(
      '`accounts.0.mintKeyFile` is missing',
    );
  });
  test('an unknown field is refused', async () => {
    expect(await messageOf(() => parseConfig({ ...valid(), prot: 1 }))).toBe('unknown field: `prot`');
  });
  test.each([
    ['port', 70_000],
    ['checkpointSeconds', 0],
    ['publicUrl', 'https://issuer.example/path'],
    ['publicUrl', 'ftp://issuer.example'],
    ['publicUrl', 'http://issuer.example'],
    ['accounts', []],
  ])('`%s` out of range is refused by name', async (field, value) => {
    expect(await messageOf(() => parseConfig({ ...valid(), [field]: value }))).toContain(
      `\`${field}\` is not acceptable`,
    );
  });
  test('an account listed twice is refused', async () => {
    const config = valid();
    expect(
      await messageOf(() => parseConfig({ ...config, accounts: [...config.accounts, ...config.accounts] })),
    ).toBe('`accounts`: an account is listed twice');
  });
  test('file and environment are merged, the environment wins', () => {
    const file = join(dir, 'issuer.json');
    writeFileSync(file, JSON.stringify({ ...valid(), port: 1 }));
    const config = loadConfig(file, { BULLA_PORT: '2', BULLA_HOST: '::1', BULLA_UNRELATED: 'x' });
    expect([config.port, config.host, config.checkpointSeconds]).toEqual([2, '::1', 2]);
  });
  test('everything can come from the environment', () => {
    const { publicUrl, database, accounts } = valid();
    const config = loadConfig(undefined, {
      BULLA_PUBLIC_URL: publicUrl,
      BULLA_DATABASE: database,
      BULLA_ACCOUNTS: JSON.stringify(accounts),
    });
    expect(config.accounts[0]?.account).toBe(ledger.account);
  });
  test('a file that is not JSON is refused without quoting it', async () => {
    const file = join(dir, 'broken.json');
    writeFileSync(file, '{"mintKey": "private-words');
    const message = await messageOf(() => loadConfig(file, {}));
    expect(message).toBe(`configuration file \`${file}\` is not a JSON object`);
  });
  test('every field is described, with its default', () => {
    const fields = describeConfig();
    expect(fields.every(({ meaning }) => meaning.length > 20)).toBe(true);
    expect(fields.find(({ field }) => field === 'checkpointSeconds')).toMatchObject({
      variable: 'BULLA_CHECKPOINT_SECONDS',
      fallback: '2',
    });
    expect(fields.find(({ field }) => field === 'database')).not.toHaveProperty('fallback');
  });
});

describe('starting', () => {
  const start = async (config: unknown) =>
    messageOf(async () => (await createIssuer(parseConfig(config), silent)).close());

  test('with an account that was never initialised is refused', async () => {
    const other = createLedger();
    const config = { ...valid(), accounts: [{ ...valid().accounts[0], account: other.account }] };
    expect(await start(config)).toContain('is not in the database');
  });
  test.each([0o644, 0o640, 0o606])('with a key file of mode %o is refused', async (mode) => {
    const file = join(dir, `open-${mode}.jwk`);
    writeFileSync(file, JSON.stringify(mint.jwk));
    chmodSync(file, mode);
    const config = { ...valid(), accounts: [{ ...valid().accounts[0], mintKeyFile: file }] };
    expect(await start(config)).toBe(
      `\`mintKeyFile\`: \`${file}\` is open to group or others; set mode 0600`,
    );
  });
  test('with a key file that holds something else is refused without quoting it', async () => {
    const file = join(dir, 'not-a-key.jwk');
    writeFileSync(file, 'private-words', { mode: 0o600 });
    const config = { ...valid(), accounts: [{ ...valid().accounts[0], logKeyFile: file }] };
    expect(await start(config)).toBe(
      `\`logKeyFile\`: \`${file}\` does not hold a private Ed25519 or P-256 JWK`,
    );
  });
  test('with another log key than the log names is refused', async () => {
    const config = { ...valid(), accounts: [{ ...valid().accounts[0], logKeyFile: join(dir, 'mint.jwk') }] };
    expect(await start(config)).toBe('`logKeyFile` does not hold the log key of the account');
  });
  test('init refuses an account that exists', async () => {
    await expect(initAccount(join(dir, 'issuer.db'), ledger.leaves[0] ?? '')).rejects.toMatchObject({
      code: 'account_exists',
    });
    await expect(initAccount(join(dir, 'issuer.db'), ledger.leaves[0] ?? '')).rejects.toBeInstanceOf(
      IssuerRefusal,
    );
  });
});
