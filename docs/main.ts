import { writeFileSync } from 'node:fs';
import { generateDocs } from './generate.ts';

for (const [name, content] of generateDocs()) {
  writeFileSync(new URL(name, import.meta.url), content);
  process.stdout.write(`docs/${name}\n`);
}
