import { Command } from 'commander';
import { CliError } from './errors.ts';
import type { Session } from './session.ts';

/** Arguments and options of one invocation, read by name. */
export class Given {
  readonly #arguments: readonly unknown[];
  readonly #options: Readonly<Record<string, unknown>>;

  constructor(positional: readonly unknown[], options: Readonly<Record<string, unknown>>) {
    this.#arguments = positional;
    this.#options = options;
  }

  /** The positional argument at `index`; an empty one counts as missing. @throws {CliError} `argument_invalid`. */
  argument(index: number): string {
    const value = this.#arguments[index];
    if (typeof value !== 'string' || value === '')
      throw new CliError('argument_invalid', 'an argument is empty');
    return value;
  }

  /** All values of a variadic argument. */
  rest(index: number): readonly string[] {
    const value = this.#arguments[index];
    return Array.isArray(value) ? (value as readonly string[]) : [];
  }

  optionalArgument(index: number): string | undefined {
    const value = this.#arguments[index];
    return typeof value === 'string' && value !== '' ? value : undefined;
  }

  text(name: string): string | undefined {
    const value = this.#options[name];
    return typeof value === 'string' ? value : undefined;
  }

  required(name: string): string {
    const value = this.text(name);
    if (value !== undefined && value !== '') return value;
    throw new CliError('argument_invalid', `\`--${dashed(name)}\` is missing`);
  }

  flag(name: string): boolean {
    return this.#options[name] === true;
  }

  /** Values of an option that may be given several times, or once with commas. */
  list(name: string): readonly string[] {
    const value = this.#options[name];
    if (!Array.isArray(value)) return [];
    return (value as readonly string[]).flatMap((item) => item.split(',')).filter((item) => item !== '');
  }

  /** As given, commas kept. */
  each(name: string): readonly string[] {
    const value = this.#options[name];
    return Array.isArray(value) ? (value as readonly string[]) : [];
  }

  /** @throws {CliError} `argument_invalid`. */
  integer(name: string): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    if (!/^\d{1,15}$/u.test(value))
      throw new CliError('argument_invalid', `\`--${dashed(name)}\` is not a whole number`);
    return Number(value);
  }

  /** `90s`, `15m`, `24h`, `7d` or bare seconds, as seconds. @throws {CliError} `argument_invalid`. */
  duration(name: string): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const parts = /^(\d{1,9})([smhd]?)$/u.exec(value);
    if (parts === null) {
      throw new CliError('argument_invalid', `\`--${dashed(name)}\` is not a time like 90s, 15m, 24h or 7d`);
    }
    return Number(parts[1]) * (units[parts[2] ?? ''] ?? 1);
  }
}

const units: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600, d: 86_400 };

function dashed(name: string): string {
  return name.replaceAll(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`);
}

const shield = '\0';

/** One thumbprint in 64 begins with a dash and would be taken for an option: this hides it, and {@link BullaCommand.run} undoes it. */
export function shieldThumbprints(argv: readonly string[]): string[] {
  return argv.map((argument) => (/^-[A-Za-z0-9_-]{42}$/u.test(argument) ? `${shield}${argument}` : argument));
}

function unshielded(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unshielded);
  return typeof value === 'string' && value.startsWith(shield) ? value.slice(shield.length) : value;
}

/** What a command does. Returns an exit code where it is not 0. */
export type Action = (session: Session, given: Given) => Promise<number | undefined> | Promise<void>;

/** A commander command that carries an example and runs with a {@link Session}. */
export class BullaCommand extends Command {
  #example = '';
  #open: (
    options: Readonly<Record<string, unknown>>,
    work: (session: Session) => Promise<void>,
  ) => Promise<void>;

  constructor(name: string, open: BullaCommand['openSession']) {
    super(name);
    this.#open = open;
  }

  get openSession(): (
    options: Readonly<Record<string, unknown>>,
    work: (session: Session) => Promise<void>,
  ) => Promise<void> {
    return this.#open;
  }

  override createCommand(name?: string): BullaCommand {
    return new BullaCommand(name ?? '', this.#open);
  }

  /** One command line that works, shown under `--help` and in docs/cli.md. */
  example(line: string): this {
    this.#example = line;
    return this.addHelpText('after', `\nExample:\n  $ ${line}`);
  }

  get exampleLine(): string {
    return this.#example;
  }

  /** An option that may be given several times. */
  many(flags: string, description: string): this {
    return this.option(flags, description, (value: string, before: string[] | undefined) => [
      ...(before ?? []),
      value,
    ]);
  }

  run(action: Action): this {
    return this.action(async (...given: readonly unknown[]) => {
      const options = Object.fromEntries(
        Object.entries(this.optsWithGlobals<Record<string, unknown>>()).map(([name, value]) => [
          name,
          unshielded(value),
        ]),
      );
      const positional = given.slice(0, -2).map(unshielded);
      await this.#open(options, async (session) => {
        const exit = await action(session, new Given(positional, options));
        if (typeof exit === 'number') session.exit = exit;
      });
    });
  }
}
