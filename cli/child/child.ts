import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { pipeline } from 'node:stream/promises';
import { setTimeout as after } from 'node:timers/promises';
import { CliError } from '../errors.ts';
import type { Mask } from './mask.ts';

const forwarded = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGINT', 'SIGQUIT'] as const;
/** Sent by a terminal to every process in front of it: passed on, the child would get them twice. */
const fromTerminal: ReadonlySet<string> = new Set(['SIGINT', 'SIGQUIT']);
/** For output that is still under way when a child ends; what a grandchild writes later is dropped. */
const drainMilliseconds = 1000;

/** A command that was started. */
export interface Child {
  /** Settles when the command has ended: its exit code, or 128 and the number of the signal that ended it. */
  readonly ended: Promise<number>;
  /** Settles when its output is out. */
  readonly drained: Promise<void>;
}

/**
 * Starts a command without a shell: stdin is this process's, stdout and stderr pass through the mask, signals are passed on.
 *
 * @throws {CliError} `command_not_found`, `command_not_executable`.
 */
export async function startChild(
  [command = '', ...given]: readonly string[],
  env: Readonly<Record<string, string>>,
  mask: Mask,
): Promise<Child> {
  const child = spawn(command, given, { env: { ...env }, stdio: ['inherit', 'pipe', 'pipe'] });
  const release = forwardSignals(child);
  const output = Promise.allSettled([
    pipeline(child.stdout, mask.stream(), process.stdout, { end: false }),
    pipeline(child.stderr, mask.stream(), process.stderr, { end: false }),
  ]);
  const ended = new Promise<number>((resolve) => {
    child.once('exit', (code, signal) => {
      release();
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
  try {
    await new Promise((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
  } catch (error) {
    release();
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new CliError(
      missing ? 'command_not_found' : 'command_not_executable',
      `\`${command}\` cannot be started`,
    );
  }
  return { ended, drained: drain(child, ended, output) };
}

async function drain(child: ChildProcess, ended: Promise<number>, output: Promise<unknown>): Promise<void> {
  await ended;
  const enough = new AbortController();
  await Promise.race([
    output,
    after(drainMilliseconds, undefined, { signal: enough.signal }).catch(() => {}),
  ]);
  enough.abort();
  child.stdout?.destroy();
  child.stderr?.destroy();
  await output;
}

function forwardSignals(child: ChildProcess): () => void {
  const handlers = forwarded.map((signal) => {
    const handler = (): void => {
      if (!(process.stdin.isTTY && fromTerminal.has(signal))) child.kill(signal);
    };
    process.on(signal, handler);
    return [signal, handler] as const;
  });
  return () => {
    for (const [signal, handler] of handlers) process.off(signal, handler);
  };
}
