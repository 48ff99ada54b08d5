import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { type Ports, systemPorts } from '@bulla/verifier';
import { readSecretFromTerminal } from './terminal.ts';

/** What the command line takes from its process; a test brings its own. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly ports: Ports;
  /** Results: one JSON document, or lines for people. */
  readonly stdout: (text: string) => void;
  /** Everything else. */
  readonly stderr: (text: string) => void;
  readonly readStdin: () => Promise<string>;
  /** Asks a person without echo; undefined where nobody is there to ask. */
  readonly readSecret: ((question: string) => Promise<string>) | undefined;
  /** Shows a page to the person, if there is a browser. */
  readonly openBrowser: (url: string) => void;
  /** Ends a command that runs until it is told to stop (`serve`). */
  readonly stopped: AbortSignal;
}

export function processSurroundings(): Surroundings {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  // A reader that has seen enough (`| head`) is no fault.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
  return {
    env: process.env,
    ports: systemPorts,
    stdout: (line) => process.stdout.write(line),
    stderr: (line) => process.stderr.write(line),
    readStdin: () => text(process.stdin),
    readSecret: process.stdin.isTTY ? readSecretFromTerminal : undefined,
    openBrowser,
    stopped: stop.signal,
  };
}

const openers: Partial<Record<NodeJS.Platform, readonly [string, ...string[]]>> = {
  darwin: ['open'],
  win32: ['rundll32', 'url.dll,FileProtocolHandler'],
};

/** No shell: the address is one argument. Where nothing opens it, the person does: it is printed as well. */
function openBrowser(url: string): void {
  const [program, ...first] = openers[process.platform] ?? ['xdg-open'];
  const child = spawn(program, [...first, url], { stdio: 'ignore', detached: true });
  child.on('error', () => undefined);
  child.unref();
}

/** Version of the package, as in its package.json. */
export function packageVersion(): string {
  const file = new URL(
    import.meta.url.endsWith('.ts') ? './package.json' : '../package.json',
    import.meta.url,
  );
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
