import { chmodSync, existsSync, statSync } from 'node:fs';
import { generatePrivateJwk } from '@bulla/verifier';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Desk } from './desk.ts';

let desk: Desk;
beforeEach(() => {
  desk = new Desk();
});
afterEach(async () => {
  await desk.close();
});

const env = { BULLA_PASSPHRASE: 'correct horse battery staple' };
const keyFile = 'home/keys/ci.json';
const make = async (): Promise<Record<string, unknown>> => {
  desk.env = env;
  return desk.json('admin', 'key', 'new', 'ci');
};
const open = (passphrase: string): Promise<string> =>
  desk.failure(['admin', 'key', 'export', 'ci', '--to', desk.path('out.jwk')], {
    env: { BULLA_PASSPHRASE: passphrase },
  });

interface KeyFile {
  readonly kdf: object;
  readonly cipher: object;
}

describe('a key in the home', () => {
  test('is readable by its owner only, and holds nothing secret in the clear', async () => {
    const { thumbprint } = await make();
    expect(statSync(desk.path(keyFile)).mode & 0o777).toBe(0o600);
    expect(statSync(desk.path('home/keys')).mode & 0o777).toBe(0o700);
    const document = JSON.parse(desk.read(keyFile)) as Record<string, unknown>;
    expect(document).toMatchObject({
      version: 1,
      protection: 'passphrase',
      thumbprint,
      kdf: { name: 'scrypt', N: 131_072 },
    });
    expect(desk.read(keyFile)).not.toContain('"d"');
    expect(document).not.toHaveProperty('privateKey');
  });
  test('is opened by its passphrase alone', async () => {
    await make();
    expect(await open('wrong')).toBe('6 passphrase_wrong');
    expect(existsSync(desk.path('out.jwk'))).toBe(false);
    expect(await open(env.BULLA_PASSPHRASE)).toBe('0');
    expect(statSync(desk.path('out.jwk')).mode & 0o777).toBe(0o600);
  });
  test('is opened by a passphrase in a file', async () => {
    await make();
    desk.env = {};
    const file = desk.write('passphrase', `${env.BULLA_PASSPHRASE}\n`);
    const argv = ['--passphrase-file', file, 'admin', 'key', 'export', 'ci', '--to', desk.path('out.jwk')];
    expect((await desk.run(argv)).exit).toBe(0);
  });
  test('has two ciphertexts for one passphrase', async () => {
    await make();
    await desk.json('admin', 'key', 'new', 'other');
    const salts = [keyFile, 'home/keys/other.json'].map(
      (file) => (JSON.parse(desk.read(file)) as { kdf: { salt: string } }).kdf.salt,
    );
    expect(salts[0]).not.toBe(salts[1]);
  });
  test.each<[string, string, (document: KeyFile) => unknown]>([
    [
      'another public key',
      '6 passphrase_wrong',
      (document) => ({ ...document, publicKey: { kty: 'OKP', crv: 'Ed25519', x: 'AAAA' } }),
    ],
    ['another thumbprint', '6 passphrase_wrong', (document) => ({ ...document, thumbprint: 'A'.repeat(43) })],
    ['no protection', '6 key_damaged', (document) => ({ ...document, protection: 'none' })],
    ['another version', '6 key_damaged', (document) => ({ ...document, version: 2 })],
    [
      'a cost that would take the machine',
      '6 key_damaged',
      (document) => ({ ...document, kdf: { ...document.kdf, N: 2 ** 30 } }),
    ],
    [
      'a cost that would take its memory',
      '6 key_damaged',
      (document) => ({ ...document, kdf: { ...document.kdf, N: 2 ** 20, r: 32 } }),
    ],
    [
      'a short tag',
      '6 key_damaged',
      (document) => ({ ...document, cipher: { ...document.cipher, tag: 'AAAA' } }),
    ],
    ['an altered ciphertext', '6 passphrase_wrong', (document) => ({ ...document, ciphertext: 'AAAA' })],
  ])('is refused with %s', async (_, expected, change) => {
    await make();
    desk.write(keyFile, JSON.stringify(change(JSON.parse(desk.read(keyFile)) as KeyFile)));
    expect(await open(env.BULLA_PASSPHRASE)).toBe(expected);
  });
  test('is refused when others may read it', async () => {
    await make();
    chmodSync(desk.path(keyFile), 0o640);
    expect(await open(env.BULLA_PASSPHRASE)).toBe('78 home_exposed');
  });
  test('is never replaced', async () => {
    await make();
    expect(await desk.failure(['admin', 'key', 'new', 'ci'])).toBe('3 key_exists');
  });
  test('that is not there is named', async () => {
    expect(await desk.failure(['admin', 'key', 'export', 'ci', '--to', desk.path('x')])).toBe(
      '6 key_missing',
    );
  });
  test('is written in the clear only when told', async () => {
    expect(await desk.failure(['admin', 'key', 'new', 'ci'])).toBe('6 passphrase_missing');
    expect(existsSync(desk.path(keyFile))).toBe(false);
    await desk.json('--insecure-plaintext-key', 'admin', 'key', 'new', 'ci');
    expect(JSON.parse(desk.read(keyFile))).toMatchObject({ protection: 'none' });
    expect(await desk.json('admin', 'key', 'list')).toMatchObject({
      keys: [{ name: 'ci', protection: 'none' }],
    });
  });
  test('in the clear with another key under its thumbprint is refused', async () => {
    await desk.json('--insecure-plaintext-key', 'admin', 'key', 'new', 'ci');
    const document = JSON.parse(desk.read(keyFile)) as object;
    desk.write(keyFile, JSON.stringify({ ...document, privateKey: generatePrivateJwk() }));
    expect(await open('')).toBe('6 key_damaged');
  });
});

describe('at a terminal', () => {
  test('a new passphrase is asked twice', async () => {
    expect((await desk.run(['admin', 'key', 'new', 'ci'], { typed: ['one', 'one'] })).exit).toBe(0);
    expect(
      (await desk.run(['admin', 'key', 'export', 'ci', '--to', desk.path('x')], { typed: ['one'] })).exit,
    ).toBe(0);
  });
  test.each([
    ['that differ', ['one', 'two']],
    ['that are empty', ['', '']],
  ])('two passphrases %s are refused', async (_, typed) => {
    expect(await desk.failure(['admin', 'key', 'new', 'ci'], { typed })).toBe('6 passphrase_wrong');
    expect(existsSync(desk.path(keyFile))).toBe(false);
  });
});

test('a key goes out and comes in again, and no output holds it', async () => {
  await make();
  const out = desk.path('out.jwk');
  await desk.json('admin', 'key', 'export', 'ci', '--to', out);
  expect(await desk.failure(['admin', 'key', 'export', 'ci', '--to', out])).toBe('2 argument_invalid');
  const { d } = JSON.parse(desk.read('out.jwk')) as { d: string };
  const ran = await desk.run(['admin', 'key', 'import', 'copy', out]);
  expect(ran.exit).toBe(0);
  expect(ran.stdout + ran.stderr).not.toContain(d);
  const { keys } = (await desk.json('admin', 'key', 'list')) as { keys: { thumbprint: string }[] };
  expect(new Set(keys.map(({ thumbprint }) => thumbprint)).size).toBe(1);
});
