import type { Failure } from './errors.ts';
import type { Surroundings } from './surroundings.ts';

/** Anything `JSON.stringify` writes as an object. */
export type Result = Readonly<Record<string, unknown>>;

/** Where a command says what happened. With `--json` people's lines vanish and one document goes to stdout. */
export interface Output {
  readonly json: boolean;
  /** The result, once per command: data for programs, lines for people. */
  result(data: Result, lines: readonly string[]): void;
  /** What is going on meanwhile, for people only (stderr). */
  note(line: string): void;
  /** Always to stderr: something a person should know. */
  warn(line: string): void;
  failure(failure: Failure): void;
}

export function createOutput(json: boolean, { stdout, stderr }: Surroundings): Output {
  return {
    json,
    result: (data, lines) => {
      stdout(json ? `${JSON.stringify(data, null, 2)}\n` : lines.map((line) => `${line}\n`).join(''));
    },
    note: (line) => {
      if (!json) stderr(`${line}\n`);
    },
    warn: (line) => stderr(`warning: ${line}\n`),
    failure: ({ exit, code, message, reason, hint }) => {
      if (json) {
        stdout(`${JSON.stringify({ error: { code, message, reason, hint, exit } }, null, 2)}\n`);
      } else {
        const why = reason === undefined || message.endsWith(`: ${reason}`) ? code : `${code}: ${reason}`;
        stderr(`bulla: ${message} (${why})\n`);
        if (hint !== undefined) stderr(`  ${hint}\n`);
      }
    },
  };
}

/** `label  value` lines with the values in one column. Undefined values are left out. */
export function fields(rows: Readonly<Record<string, string | number | undefined>>): string[] {
  const shown = Object.entries(rows).filter(([, value]) => value !== undefined);
  const width = Math.max(0, ...shown.map(([label]) => label.length));
  return shown.map(([label, value]) => `  ${label.padEnd(width)}  ${value}`);
}

/** Aligned columns under upper-case headings; the last column may be as wide as it likes. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return ['none'];
  const all = [headings.map((heading) => heading.toUpperCase()), ...rows];
  const widths = headings.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** Unix seconds as `2026-01-31 12:00:00Z`. */
export function when(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime())
    ? String(seconds)
    : `${date.toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

/** Seconds as people say them: `3 d`, `26 h`, `45 s`. */
export function span(seconds: number): string {
  const whole = Math.round(seconds);
  if (Math.abs(whole) >= 172_800) return `${Math.round(whole / 86_400)} d`;
  if (Math.abs(whole) >= 7200) return `${Math.round(whole / 3600)} h`;
  return Math.abs(whole) >= 120 ? `${Math.round(whole / 60)} min` : `${whole} s`;
}
