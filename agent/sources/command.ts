import { execFile } from 'node:child_process';
import { AgentError } from '../errors.ts';
import type { CredentialSource } from '../source.ts';
import { requireBound, requireCompact } from './compact.ts';

/** How a command is started. */
export interface CommandOptions {
  /** Give up after this long, seconds. Default 10. */
  readonly timeoutSeconds?: number;
  /** Environment of the command. Default: that of this process. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

const maxOutputBytes = 262_144;
const compact = /[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}/u;

/**
 * A SPIFFE JWT-SVID that a command prints, such as `['spire-agent', 'api', 'fetch', 'jwt', '-audience', '{binding}']`. `{binding}`
 * in an argument becomes the audience that binds it. Started without a shell; the first compact JWT on its stdout is taken,
 * whatever stands around it; what it says on stderr is dropped.
 *
 * @throws {AgentError} `config_invalid` for an empty command, and one in which no argument holds `{binding}`.
 */
export function spiffeCommand(command: readonly string[], options: CommandOptions = {}): CredentialSource {
  const [program, ...given] = command;
  if (program === undefined || program === '') throw new AgentError('config_invalid', 'the command is empty');
  if (!given.some((argument) => argument.includes('{binding}'))) {
    throw new AgentError('config_invalid', 'no argument of the command holds `{binding}`');
  }
  return {
    subjectToken: async (binding) => {
      const output = await outputOf(
        program,
        given.map((argument) => argument.replaceAll('{binding}', binding)),
        options,
      );
      return { token: requireBound(requireCompact(compact.exec(output)?.[0]), binding), type: 'jwt' };
    },
  };
}

function outputOf(
  program: string,
  given: readonly string[],
  { timeoutSeconds = 10, env = process.env }: CommandOptions,
): Promise<string> {
  const limits = {
    timeout: timeoutSeconds * 1000,
    maxBuffer: maxOutputBytes,
    killSignal: 'SIGKILL',
  } as const;
  return new Promise((resolve, reject) => {
    const child = execFile(program, given, { ...limits, env: { ...env } }, (error, stdout) => {
      // Neither message nor output is quoted: they may hold the token.
      if (error === null) resolve(stdout);
      else reject(new AgentError('source_unavailable', `the command \`${program}\` failed or took too long`));
    });
    child.stdin?.end();
  });
}
