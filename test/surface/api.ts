import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Extractor, ExtractorConfig, type ExtractorMessage } from '@microsoft/api-extractor';

/*
 * Writes one report of the public surface per entry point of the libraries; with `--check` compares and fails on a
 * difference. Either way it fails where a name that is exported has no doc comment. Reads their `dist`: build first.
 */

const check = process.argv.includes('--check');
const folder = import.meta.dirname;
const complaints: string[] = [];
function complain(name: string, message: ExtractorMessage): void {
  message.handled = true;
  if (message.messageId.startsWith('TS')) complaints.push(`${name}: ${message.text}`);
}

function reportAll(library: 'verifier' | 'agent'): void {
  const project = path.resolve(folder, '../..', library);
  const { exports } = JSON.parse(readFileSync(path.join(project, 'package.json'), 'utf8')) as {
    readonly exports: Readonly<Record<string, { readonly types: string }>>;
  };
  for (const [entry, { types }] of Object.entries(exports)) {
    report(project, entry === '.' ? library : `${library}.${entry.slice(2)}`, types);
  }
}

function report(project: string, name: string, types: string): void {
  const main = path.join(project, types);
  const config = ExtractorConfig.prepare({
    configObjectFullPath: undefined,
    packageJsonFullPath: path.join(project, 'package.json'),
    configObject: {
      projectFolder: project,
      mainEntryPointFilePath: main,
      compiler: {
        overrideTsconfig: {
          compilerOptions: {
            target: 'es2022',
            lib: ['es2023'],
            module: 'nodenext',
            types: ['node'],
            strict: true,
            skipLibCheck: true,
          },
          files: [main],
        },
      },
      apiReport: {
        enabled: true,
        reportFileName: `${name}.api.md`,
        reportFolder: folder,
        reportTempFolder: path.join(folder, 'temp'),
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      newlineKind: 'lf',
      messages: {
        extractorMessageReporting: {
          default: { logLevel: 'none' as never },
        },
      },
    },
  });
  const { apiReportChanged } = Extractor.invoke(config, {
    localBuild: !check,
    messageCallback: (message) => complain(name, message),
  });
  if (check && apiReportChanged) complaints.push(`${name}.api.md is not what \`npm run api\` writes`);
  const written = readFileSync(path.join(folder, 'temp', `${name}.api.md`), 'utf8');
  // Members of interfaces may speak for themselves: the report marks them otherwise.
  for (const [, exported = ''] of written.matchAll(
    /^\/\/ @public \(undocumented\)\nexport (?:[a-z]+ )+(\w+)/gmu,
  )) {
    complaints.push(`${name}: \`${exported}\` has no doc comment`);
  }
  process.stdout.write(`${name}.api.md\n`);
}

reportAll('verifier');
reportAll('agent');
for (const complaint of new Set(complaints)) process.stderr.write(`${complaint}\n`);
process.exitCode = complaints.length > 0 ? 1 : 0;
