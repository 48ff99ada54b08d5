import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ownFiles, root } from './files.ts';

const files = ownFiles('.ts', '.js');
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

/** What each package may import of ours. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  verifier: [],
  agent: ['@bulla/verifier'],
  issuer: ['@bulla/verifier'],
  cli: ['@bulla/verifier', '@bulla/agent', '@bulla/issuer'],
};

function importsOf(file: string): string[] {
  const pattern = /(?:\bfrom|\bimport|\brequire(?:\.resolve)?\()\s*\(?'([^']+)'/gu;
  return [...read(file).matchAll(pattern)].map(([, name = '']) => name);
}

const packageOf = (name: string): string =>
  name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/');

test.each(Object.entries(mayImport))(
  '%s imports only %j of ours, and nothing out of its folder',
  (folder, ours) => {
    const own = files.filter((file) => file.startsWith(`${folder}/`));
    expect(own).not.toEqual([]);
    const wrong = own.flatMap((file) =>
      importsOf(file)
        .filter((name) => {
          if (name.startsWith('.')) return !path.join(path.dirname(file), name).startsWith(`${folder}/`);
          const from = packageOf(name);
          return (from.startsWith('@bulla/') || from === 'bulla') && !ours.includes(from);
        })
        .map((name) => `${file}: ${name}`),
    );
    expect(wrong).toEqual([]);
  },
);

test('the verifier needs Cedar, noble and node, and Hono in its Hono adapter alone', () => {
  const needed = files
    .filter((file) => file.startsWith('verifier/'))
    .flatMap((file) => importsOf(file).map((name) => [file, packageOf(name)] as const))
    .filter(([, name]) => !name.startsWith('.') && !name.startsWith('node:'));
  const names = new Set(needed.map(([, name]) => name));
  expect([...names].sort()).toEqual(['@cedar-policy/cedar-wasm', '@noble/curves', 'hono']);
  const withHono = new Set(needed.filter(([, name]) => name === 'hono').map(([file]) => file));
  expect([...withHono]).toEqual(['verifier/adapters/hono.ts']);
});

test('no file is over 400 lines, but the table of codes', () => {
  const long = files.filter((file) => read(file).split('\n').length > 401);
  expect(long.filter((file) => file !== 'verifier/errors.ts')).toEqual([]);
});

test('no file or folder is named for what it is not', () => {
  const vague = files.filter((file) => /(?:^|\/)(?:utils?|helpers?|common|misc)(?:\.|\/)/u.test(file));
  // The helper of `bulla run` is one: docs/spec/helper.md.
  expect(vague.filter((file) => !file.startsWith('agent/helper/'))).toEqual([]);
});
