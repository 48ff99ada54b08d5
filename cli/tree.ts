import { BullaCommand } from './command.ts';
import { createProgram } from './program.ts';

/** One command as docs/cli.md and the tests see it. */
export interface CommandEntry {
  /** `bulla admin person add`. */
  readonly path: string;
  readonly usage: string;
  readonly description: string;
  readonly example: string;
  readonly arguments: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly {
    readonly flags: string;
    readonly description: string;
    readonly required: boolean;
    readonly fallback?: string;
  }[];
  /** True where it has commands of its own and does nothing itself. */
  readonly group: boolean;
}

/** Every command, in the order of the help. */
export function describeCommands(): readonly CommandEntry[] {
  const silent = (): void => undefined;
  return walk(
    createProgram(async () => undefined, { stdout: silent, stderr: silent }),
    '',
  );
}

function walk(command: BullaCommand, before: string): CommandEntry[] {
  const path = `${before} ${command.name()}`.trim();
  const entry: CommandEntry = {
    path,
    usage: `${path} ${command.usage()}`.trim(),
    description: command.description(),
    example: command.exampleLine,
    arguments: command.registeredArguments.map((argument) => ({
      name: argument.name(),
      description: argument.description,
    })),
    options: command.options.map(({ flags, description, mandatory, defaultValue }) => ({
      flags,
      description,
      required: mandatory,
      ...(typeof defaultValue === 'string' && { fallback: defaultValue }),
    })),
    group: command.commands.length > 0,
  };
  const inner = command.commands.filter((each) => each instanceof BullaCommand);
  return [entry, ...inner.flatMap((each) => walk(each, path))];
}
