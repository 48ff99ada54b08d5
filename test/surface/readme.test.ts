import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ownFiles, root } from './files.ts';

const read = (name: string): string => readFileSync(path.join(root, name), 'utf8');
const capture = (text: string, pattern: RegExp): string => pattern.exec(text)?.[1] ?? '';

test('the code of the README is the core of examples/api.ts, which is compiled and run', () => {
  const snippet = capture(read('README.md'), /```ts\n(.*?)```/su);
  expect(snippet).not.toBe('');
  expect(snippet).toBe(capture(read('examples/api.ts'), /\/\/ readme:start\n(.*?)\/\/ readme:end\n/su));
});

const pages = ownFiles('.md').filter((page) => !page.startsWith('test/surface/'));

const linksOf = (page: string): string[] =>
  [
    ...read(page)
      .replaceAll(/```.*?```|`[^`\n]*`/gsu, '')
      .matchAll(/\]\(([^)\s]+)\)/gu),
  ].map(([, link = '']) => link);

/** As GitHub makes them of headings. */
const anchorsOf = (page: string): string[] =>
  [...read(page).matchAll(/^#+ (.+)$/gmu)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );

test.each(pages)('every relative link of %s resolves', (page) => {
  const broken = linksOf(page).filter((link) => {
    if (/^[a-z]+:/u.test(link)) return false;
    const [file = '', anchor] = link.split('#');
    const target = file === '' ? page : path.join(path.dirname(page), file);
    if (!existsSync(path.join(root, target))) return true;
    return anchor !== undefined && target.endsWith('.md') && !anchorsOf(target).includes(anchor);
  });
  expect(broken).toEqual([]);
});
