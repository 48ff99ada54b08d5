import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const root = new URL('../../', import.meta.url);
const text = readFileSync(new URL('docs/threat-model.md', root), 'utf8').replaceAll(/\n\s*/gu, ' ');

/** `file` "title", "title", … as the threat model writes them. */
const named = [...text.matchAll(/`([a-z0-9/-]+\/[a-z0-9-]+)` ("[^"]+"(?:, "[^"]+")*)/gu)].flatMap(
  ([, file = '', titles = '']) =>
    [...titles.matchAll(/"([^"]+)"/gu)].map(([, title = '']) => [file, title] as const),
);

test('the threat model names its tests', () => {
  expect(named.length).toBeGreaterThan(60);
});

test.each(named)('%s has a test “%s”', (file, title) => {
  const source = new URL(`test/${file}.test.ts`, root);
  expect(existsSync(source)).toBe(true);
  expect(readFileSync(source, 'utf8').replaceAll("\\'", "'")).toContain(title);
});
