import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadConfig, type RunningIssuer, serveIssuer } from '@bulla/issuer';
import { createSigner, type Ports, type PrivateJwk, type Signer, systemPorts } from '@bulla/verifier';
import { run } from 'bulla';
import { observe } from '../kit/leaks.ts';

export interface Ran {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Answers of the person at the terminal, in order. Without it nobody is there. */
  readonly typed?: readonly string[];
  readonly ports?: Ports;
  /** What the browser does with a page that the command opens. */
  readonly openBrowser?: (url: string) => void;
  /** Lets a command that waits go on. Default: it is told to stop at once. */
  readonly stopped?: AbortSignal;
  /** This command is asked for an envelope, on stdout. Nothing else may hold one. */
  readonly printsEnvelope?: true;
}

/** A person or agent with the thumbprint and the name of its key. */
interface Made {
  readonly id: string;
  readonly key: string;
  readonly file: string;
}

const plain = '--insecure-plaintext-key';
const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
export const policySets: string = fileURLToPath(new URL('../../policies/sets', import.meta.url));

export const freePort = async (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });

/** An admin's desk: a folder with a home and room for an issuer, and the command line. */
export class Desk {
  readonly folder: string = mkdtempSync(path.join(tmpdir(), 'bulla-desk-'));
  readonly home: string = path.join(this.folder, 'home');
  readonly data: string = path.join(this.folder, 'issuer');
  env: Readonly<Record<string, string | undefined>> = {};
  issuer: RunningIssuer | undefined;
  url = '';
  /** How far the issuer's clock is ahead, seconds. */
  aheadSeconds = 0;
  #made = 0;

  /** Keys in the clear, so that tests which are not about keys do not stretch passphrases. */
  static async withIssuer(...more: readonly string[]): Promise<Desk> {
    const desk = new Desk();
    desk.url = `http://127.0.0.1:${await freePort()}`;
    await desk.json('init', plain, '--data', desk.data, '--issuer-url', desk.url, ...more);
    await desk.serve();
    return desk;
  }

  async serve(): Promise<void> {
    const config = loadConfig(path.join(this.data, 'issuer.json'), {});
    this.issuer = await serveIssuer(config, {
      now: () => systemPorts.now() + this.aheadSeconds,
      randomBytes: (size) => crypto.getRandomValues(new Uint8Array(size)),
      log: () => undefined,
    });
  }

  async close(): Promise<void> {
    await this.issuer?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A name that nothing of this desk has yet. */
  fresh(kind: string): string {
    this.#made += 1;
    return `${kind}-${this.#made}`;
  }

  async addPerson(...more: readonly string[]): Promise<Made> {
    const file = this.fresh('person');
    const { principal, key } = await this.json(plain, 'admin', 'person', 'add', '--key', file, ...more);
    return { id: String(principal), key: String(key), file };
  }

  async addAgent(owner: string): Promise<Made> {
    const file = this.fresh('agent');
    const { agent, key } = await this.json(plain, 'admin', 'agent', 'add', '--owner', owner, '--key', file);
    return { id: String(agent), key: String(key), file };
  }

  async addGroup(...more: readonly string[]): Promise<string> {
    const name = this.fresh('group');
    await this.json('admin', 'group', 'add', name, ...more);
    return name;
  }

  path(...parts: readonly string[]): string {
    return path.join(this.folder, ...parts);
  }

  write(name: string, content: string): string {
    const file = this.path(name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, content, { mode: 0o600 });
    return file;
  }

  read(name: string): string {
    return readFileSync(this.path(name), 'utf8');
  }

  /** The admin's own key, which `withIssuer` leaves in the clear. */
  admin(): Signer {
    const { privateKey } = JSON.parse(this.read('home/keys/admin.json')) as { privateKey: PrivateJwk };
    return createSigner(privateKey);
  }

  /** The account as the home has it, read token included. */
  account(): { readonly account: string; readonly readToken: string } {
    const { accounts } = JSON.parse(this.read('home/home.json')) as {
      accounts: { account: string; readToken: string }[];
    };
    return accounts[0] ?? { account: '', readToken: '' };
  }

  async run(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
    let stdout = '';
    let stderr = '';
    const typed = options.typed === undefined ? undefined : [...options.typed];
    const exit = await run(argv, {
      env: { BULLA_HOME: this.home, ...this.env, ...options.env },
      ports: options.ports ?? systemPorts,
      stdout: (text) => {
        stdout += text;
      },
      stderr: (text) => {
        stderr += text;
      },
      readStdin: async () => options.stdin ?? '',
      readSecret: typed === undefined ? undefined : async () => typed.shift() ?? '',
      openBrowser: options.openBrowser ?? (() => undefined),
      stopped: options.stopped ?? AbortSignal.abort(),
    });
    // `bulla approve` is asked for an approval.
    const asked = options.printsEnvelope === true || argv[0] === 'approve';
    for (const text of [stdout, stderr]) {
      if (text !== stdout || !asked) observe('the command line', text);
      for (const secret of this.#secrets(options)) {
        if (text.includes(secret)) throw new Error(`${argv.join(' ')} printed a passphrase or a read token`);
      }
    }
    return { exit, stdout, stderr };
  }

  #secrets({ env, typed = [] }: RunOptions): readonly string[] {
    const file = this.path('home', 'home.json');
    const tokens = existsSync(file)
      ? [...readFileSync(file, 'utf8').matchAll(/"readToken": "([^"]+)"/gu)]
      : [];
    const passphrases = [this.env, env].map((given) => given?.['BULLA_PASSPHRASE'] ?? '');
    // Short ones are words of any text.
    return [...tokens.map(([, token = '']) => token), ...passphrases, ...typed].filter((s) => s.length > 12);
  }

  /** Runs a command that must succeed; its `--json` document. */
  async json(...argv: readonly string[]): Promise<Record<string, unknown>> {
    const { exit, stdout } = await this.run(['--json', ...argv]);
    if (exit !== 0) throw new Error(`${argv.join(' ')} ended with ${exit}: ${stdout}`);
    return JSON.parse(stdout) as Record<string, unknown>;
  }

  /** Runs a command that must fail: `<exit> <code>` and the reason, where there is one. */
  async failure(argv: readonly string[], options: RunOptions = {}): Promise<string> {
    const { exit, stdout } = await this.run(['--json', ...argv], options);
    const { error } = JSON.parse(stdout) as { error?: { code: string; reason?: string; exit: number } };
    if (error === undefined) return `${exit}`;
    if (error.exit !== exit) throw new Error('the document names another exit code');
    return [exit, error.code, ...(error.reason === undefined ? [] : [error.reason])].join(' ');
  }
}

/** Starts the command line as a process, from source. */
export async function spawnCli(
  argv: readonly string[],
  options: {
    readonly cwd: string;
    readonly env?: Readonly<Record<string, string>>;
    readonly onStdout?: (text: string, pid: number) => void;
  },
): Promise<Ran> {
  const child = spawn(
    process.execPath,
    [`--import=${import.meta.resolve('tsx')}`, '--conditions=@bulla/source', main, ...argv],
    {
      cwd: options.cwd,
      env: { PATH: process.env['PATH'], ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    options.onStdout?.(stdout, child.pid ?? 0);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const exit = await new Promise<number>((resolve) => {
    child.once('close', (code) => resolve(code ?? -1));
  });
  return { exit, stdout, stderr };
}
