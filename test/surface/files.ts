import { readdirSync } from 'node:fs';
import path from 'node:path';

export const root: string = path.resolve(import.meta.dirname, '../..');

/** What is written by tools or belongs to others (`.gitignore` lists the same). */
const notOurs = new Set(['node_modules', 'dist', 'coverage', 'temp']);

/** Our files with one of these endings, relative to {@link root}, with `/`; hidden folders left out. Works in a folder that is no repository. */
export function ownFiles(...endings: readonly string[]): string[] {
  const found: string[] = [];
  const walk = (folder: string): void => {
    for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
      const name = path.posix.join(folder, entry.name);
      if (entry.isDirectory() && !entry.name.startsWith('.') && !notOurs.has(entry.name)) walk(name);
      if (entry.isFile() && endings.some((ending) => name.endsWith(ending))) found.push(name);
    }
  };
  walk('');
  return found.sort();
}
