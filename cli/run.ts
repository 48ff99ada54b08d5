import { CommanderError } from 'commander';
import { Given, shieldThumbprints } from './command.ts';
import { describeFailure, exitCodes } from './errors.ts';
import { createOutput } from './output.ts';
import { createProgram } from './program.ts';
import { Session } from './session.ts';
import type { Surroundings } from './surroundings.ts';

/**
 * Runs one command line (without `node` and script). Never throws; prints what went wrong.
 *
 * @returns the exit code, one of the table in docs/cli.md.
 */
export async function run(argv: readonly string[], surroundings: Surroundings): Promise<number> {
  // Behind `--` stand the words of a command that is started.
  const end = argv.indexOf('--');
  const json = argv.slice(0, end < 0 ? argv.length : end).includes('--json');
  const { stdout, stderr, env } = surroundings;
  let exit = 0;
  const program = createProgram(
    async (options, work) => {
      const session = new Session(surroundings, new Given([], options));
      await work(session);
      exit = session.exit;
    },
    { stdout, stderr: json ? () => undefined : stderr },
  );
  try {
    await program.parseAsync(shieldThumbprints(argv), { from: 'user' });
    return exit;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      if (json) {
        const message = error.message.replace(/^error: /u, '');
        createOutput(true, surroundings).failure({
          code: 'argument_invalid',
          message,
          exit: exitCodes.usage.exit,
        });
      }
      return exitCodes.usage.exit;
    }
    const failure = describeFailure(error);
    createOutput(json, surroundings).failure(failure);
    if (env['BULLA_DEBUG'] !== undefined && error instanceof Error) stderr(`${error.stack}\n`);
    return failure.exit;
  }
}
