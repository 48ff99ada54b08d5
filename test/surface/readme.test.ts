import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');
const read = (name: string): string => readFileSync(path.join(root, name), 'utf8');
const capture = (text: string, pattern: RegExp): string => pattern.exec(text)?.[1] ?? '';

test('the code of the README is the core of examples/api.ts, which is compiled and run', () => {
  const snippet = capture(read('README.md'), /```ts\n(.*?)```/su);
  expect(snippet).not.toBe('');
  expect(snippet).toBe(capture(read('examples/api.ts'), /\/\/ readme:start\n(.*?)\/\/ readme:end\n/su));
});
