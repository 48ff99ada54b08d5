import { agentCodes } from '@bulla/agent';
import { describeConfig, issuerCodes } from '@bulla/issuer';
import { type Code, codes, nextStep } from '@bulla/verifier';
import { cliCodes, exitCodes } from 'bulla';
import { guardCodes } from 'bulla/guard';
import { cliPage } from './cli-page.ts';

interface Row {
  readonly status?: number;
  readonly oauth?: string;
  readonly next?: string;
  readonly retry?: boolean;
  readonly exit?: number;
  readonly meaning: string;
}

/** Every generated file of this folder: name to content. `npm run docs` writes them; a test compares. */
export function generateDocs(): ReadonlyMap<string, string> {
  return new Map([
    ['cli.md', cliPage()],
    ['codes.md', codesPage()],
    ['config.md', configPage()],
  ]);
}

function codesPage(): string {
  return `# Refusal codes

Generated from the tables in the code by \`npm run docs\`. A code, once released, keeps its name and its meaning.
\`status\` is the HTTP status of the answer, \`error\` the OAuth error that goes with it, \`next\` what the caller can do about it
([http.md](spec/http.md) section 4).

## Verifier

${table(verifierRows())}

## Agent

Thrown by the agent library itself; \`retry\`: the same call may succeed later.

${table(agentCodes)}

## Issuer

Beside the verifier's codes, which it passes on as they are. At the token endpoint \`error\` is what the client sees.

${table(issuerCodes)}

## Guard

Beside the verifier's codes. \`status\` is what Envoy passes on; nginx answers 401 or 403, AuthZEN names the code in its decision.

${table(guardCodes)}

## Command line

Beside the codes of the packages above, which it passes on as they are. \`exit\` is how the process ends; [cli.md](cli.md) says what
each number means.

${table(cliRows())}
`;
}

function verifierRows(): Readonly<Record<string, Row>> {
  const rows = Object.entries(codes).map(([code, row]) => {
    const next = nextStep(code as Code);
    return [code, next === undefined ? row : { ...row, next }] as const;
  });
  return Object.fromEntries(rows);
}

function cliRows(): Readonly<Record<string, Row>> {
  const rows = Object.entries(cliCodes).map(([code, { exit, meaning }]) => {
    const row = { exit: exitCodes[exit].exit, meaning };
    return [code, row] as const;
  });
  return Object.fromEntries(rows);
}

function configPage(): string {
  const rows = describeConfig().map(({ field, variable, fallback, meaning }) => {
    const names = variable === null ? `\`${field}\`` : `\`${field}\`<br>\`${variable}\``;
    return `| ${names} | ${fallback === undefined ? 'required' : `\`${fallback}\``} | ${meaning} |`;
  });
  return `# Configuration of the issuer

Generated from the schema in \`issuer/config.ts\` by \`npm run docs\`. A JSON file, the environment, or both; the environment
wins. Environment values other than \`BULLA_PUBLIC_URL\`, \`BULLA_DATABASE\` and \`BULLA_HOST\` are JSON. An unknown field is refused; a
missing one is named, and the process exits with 78. A relative path is relative to the folder in which the issuer is started.

| field | default | meaning |
| --- | --- | --- |
${rows.join('\n')}
`;
}

function table(rows: Readonly<Record<string, Row>>): string {
  const entries = Object.entries(rows);
  const columns = (['status', 'oauth', 'next', 'retry', 'exit'] as const).filter((name) =>
    entries.some(([, row]) => row[name] !== undefined),
  );
  const titles = { status: 'status', oauth: 'error', next: 'next', retry: 'retry', exit: 'exit' };
  const cell = (value: string | number | boolean | undefined): string => {
    if (value === undefined || value === false) return '';
    return value === true ? 'yes' : String(value);
  };
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    line(['code', ...columns.map((name) => titles[name]), 'meaning']),
    line(['---', ...columns.map(() => '---'), '---']),
    ...entries.map(([code, row]) =>
      line([`\`${code}\``, ...columns.map((name) => cell(row[name])), row.meaning]),
    ),
  ].join('\n');
}
