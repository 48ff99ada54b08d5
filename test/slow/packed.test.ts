import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { policySetBytes } from '@bulla/verifier/policy';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiWorld, audience, notesPolicy } from '../kit/api.ts';

const root = path.resolve(import.meta.dirname, '../..');
const folder = mkdtempSync(path.join(tmpdir(), 'bulla-packed-'));
const run = (command: string, args: readonly string[], cwd: string): string =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** Decides one request of the world in a process that has nothing but the installed package. */
const program = `
import { readFileSync } from 'node:fs';
import { createVerifier, memoryReplay } from '@bulla/verifier';
import { parsePolicySetDocument, policySetDigest } from '@bulla/verifier/policy';

const given = JSON.parse(readFileSync('world.json', 'utf8'));
const document = parsePolicySetDocument(Buffer.from(given.policySet, 'base64url'));
const records = new Map(given.records);
const verifier = createVerifier({
  account: given.account,
  audience: given.audience,
  publicOrigins: [given.audience],
  trust: {
    account: given.account,
    size: 1,
    root: '',
    read: (key) => records.get(key),
    age: () => 0,
    policySet: (digest) => (digest === policySetDigest(document) ? document : undefined),
    stopped: () => false,
  },
  replay: memoryReplay({ processes: 1, startedAt: given.now - 3600 }),
  ports: { now: () => given.now },
});
const request = { ...given.request, body: Buffer.alloc(0) };
const access = (folder) => ({
  action: 'read',
  resource: () => ({ type: 'Note', id: '1', ancestors: [{ type: 'Folder', id: folder }] }),
});
const { allowed } = await verifier.decide(request, access('open'));
const replayed = await verifier.decide(request, access('open')).catch((error) => error.code);
console.log(JSON.stringify({ allowed, replayed }));
`;

describe('the packed verifier in an empty folder', () => {
  beforeAll(() => {
    run('npx', ['tsc', '-b'], root);
    run('npm', ['pack', '--silent', '--pack-destination', folder, '-w', 'verifier'], root);
    const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? '';
    writeFileSync(path.join(folder, 'package.json'), '{ "private": true, "type": "module" }');
    run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', `./${tarball}`], folder);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('brings only a handful of packages', () => {
    const installed = readdirSync(path.join(folder, 'node_modules'), { recursive: true, encoding: 'utf8' })
      .filter((name) => /^(@[^/]+\/)?[^/@.][^/]*\/package\.json$/u.test(name))
      .map((name) => path.dirname(name))
      .toSorted();
    expect(installed).toEqual([
      '@bulla/verifier',
      '@cedar-policy/cedar-wasm',
      '@noble/curves',
      '@noble/hashes',
    ]);
  });

  test('verifies an envelope, and refuses it the second time', () => {
    const world = new ApiWorld();
    const given = {
      account: world.ledger.account,
      audience,
      now: world.now,
      records: [...world.ledger.state],
      policySet: policySetBytes(notesPolicy).toString('base64url'),
      request: world.request({ envelope: world.envelope() }),
    };
    writeFileSync(path.join(folder, 'world.json'), JSON.stringify(given));
    writeFileSync(path.join(folder, 'check.js'), program);
    const printed = JSON.parse(run(process.execPath, ['check.js'], folder)) as unknown;
    expect(printed).toEqual({ allowed: true, replayed: 'proof_replayed' });
  });

  test('opens every entry without a framework, but that of Hono', () => {
    const { exports } = JSON.parse(readFileSync(path.join(root, 'verifier/package.json'), 'utf8')) as {
      exports: object;
    };
    const entries = Object.keys(exports).map((entry) => entry.replace('.', '@bulla/verifier'));
    const script = `for (const entry of ${JSON.stringify(entries)}) {
      console.log(entry, await import(entry).then(() => 'open', (error) => error.code));
    }`;
    const opened = run(process.execPath, ['--input-type=module', '-e', script], folder).trim().split('\n');
    const hono = '@bulla/verifier/hono';
    expect(opened).toEqual(
      entries.map((entry) => `${entry} ${entry === hono ? 'ERR_MODULE_NOT_FOUND' : 'open'}`),
    );
  });

  test('hides its inner files', () => {
    const inner =
      "import('@bulla/verifier/dist/verify.js').then(() => 'open', (error) => error.code).then(console.log)";
    expect(run(process.execPath, ['--input-type=module', '-e', inner], folder).trim()).toBe(
      'ERR_PACKAGE_PATH_NOT_EXPORTED',
    );
  });
});
