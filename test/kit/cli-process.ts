import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));

/** The command line as a process of its own, from source. */
export interface CliProcess {
  readonly child: ChildProcess;
  readonly output: { stdout: string; stderr: string };
  readonly ended: Promise<number>;
  /** Resolves once stdout holds `text`. @throws {Error} where the process ends before. */
  printed(text: string): Promise<string>;
}

export function startCli(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
  stdin: 'ignore' | 'pipe' = 'ignore',
): CliProcess {
  const child = spawn(
    process.execPath,
    [`--import=${import.meta.resolve('tsx')}`, '--conditions=@bulla/source', main, ...argv],
    { env: { PATH: process.env['PATH'], ...env }, stdio: [stdin, 'pipe', 'pipe'] },
  );
  const output = { stdout: '', stderr: '' };
  child.stdout?.on('data', (chunk: Buffer) => {
    output.stdout += chunk.toString();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    output.stderr += chunk.toString();
  });
  const ended = once(child, 'close').then(([code]) => (code as number | null) ?? -1);
  return {
    child,
    output,
    ended,
    printed: async (text) => {
      while (!output.stdout.includes(text)) {
        if (child.exitCode !== null) throw new Error(`ended without it: ${output.stdout}${output.stderr}`);
        await Promise.race([once(child.stdout ?? child, 'data'), ended]);
      }
      return output.stdout;
    },
  };
}

export async function runCli(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly exit: number; readonly stdout: string; readonly stderr: string }> {
  const { output, ended } = startCli(argv, env);
  const exit = await ended;
  return { exit, ...output };
}
