import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const root = process.env['BULLA_VECTORS'] ?? path.resolve(import.meta.dirname, '../../../../shared/vectors');

/** Published vectors of others; absent on most machines, and then the tests that read them are skipped. */
const transparency: string = path.join(root, 'transparency');
export const absent: boolean = !existsSync(transparency);

export function jsonFiles(folder: string): { name: string; value: unknown }[] {
  if (absent) return [];
  return readdirSync(path.join(transparency, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.json'))
    .map((name) => ({
      name,
      value: JSON.parse(readFileSync(path.join(transparency, folder, name), 'utf8')) as unknown,
    }));
}
