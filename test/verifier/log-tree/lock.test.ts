import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { formatLock, type Lock, parseLock, raiseLock, readLock } from '@bulla/verifier/log';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { codeOf } from '../../kit/codes.ts';

const root = (byte: number): string => Buffer.alloc(32, byte).toString('base64url');
const lock: Lock = { account: 'acct_one', size: 5, root: root(1), time: 1000 };

let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'bulla-lock-'));
  file = path.join(directory, 'bulla.lock');
});
afterEach(() => rmSync(directory, { recursive: true }));

test('what was written is read, and nothing is left beside it', async () => {
  await raiseLock(file, lock);
  expect(readLock(file)).toEqual(lock);
  await raiseLock(file, { ...lock, time: 1001 });
  await raiseLock(file, { ...lock, size: 6, root: root(2), time: 1001 });
  expect(readLock(file)).toEqual({ ...lock, size: 6, root: root(2), time: 1001 });
  expect(readdirSync(directory)).toEqual(['bulla.lock']);
});

test.each<[string, Partial<Lock>, string]>([
  ['a smaller size', { size: 4, time: 1001 }, 'lock_lowered'],
  ['an earlier time', { size: 6, time: 999 }, 'lock_lowered'],
  ['another root at the same size', { root: root(2) }, 'lock_mismatch'],
  ['another account', { account: 'acct_two', size: 6 }, 'lock_mismatch'],
])('%s is refused, and the file is as before', async (_name, change, code) => {
  await raiseLock(file, lock);
  await expect(raiseLock(file, { ...lock, ...change })).rejects.toMatchObject({ code });
  expect(readLock(file)).toEqual(lock);
});

test('lowering takes the option that says so', async () => {
  await raiseLock(file, lock);
  await raiseLock(file, { ...lock, size: 1 }, { dangerouslyLowerPin: true });
  expect(readLock(file).size).toBe(1);
});

test('a file that is not a lock is neither read nor replaced', async () => {
  writeFileSync(file, 'hello');
  expect(codeOf(() => readLock(file))).toBe('lock_invalid');
  await expect(raiseLock(file, lock)).rejects.toMatchObject({ code: 'lock_invalid' });
  expect(codeOf(() => readLock(path.join(directory, 'none')))).toBe('lock_missing');
});

test.each([
  { ...lock, size: 0 },
  { ...lock, size: '5' },
  { ...lock, root: 'AA' },
  { ...lock, root: `${root(1)}=` },
  { ...lock, time: -1 },
  { ...lock, more: 1 },
  { size: 5, root: root(1), time: 1000 },
  [],
])('%j is not a lock', (value) => {
  expect(codeOf(() => parseLock(Buffer.from(JSON.stringify(value))))).toBe('lock_invalid');
  expect(parseLock(Buffer.from(formatLock(lock)))).toEqual(lock);
});
