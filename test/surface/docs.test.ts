import { readFileSync } from 'node:fs';
import { generateDocs } from '@bulla/docs';
import { expect, test } from 'vitest';

test.each([...generateDocs()])('docs/%s is what `npm run docs` writes', (name, content) => {
  expect(readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8')).toBe(content);
});
