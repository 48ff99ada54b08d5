import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  cpSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createAgent } from '@bulla/agent';
import { createSigner, type PrivateJwk } from '@bulla/verifier';
import { createProof } from '@bulla/verifier/envelope';
import { Desk, freePort, policySets } from '../cli/desk.ts';

const example = fileURLToPath(new URL('../../examples/nginx', import.meta.url));
const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));

/** Where nginx is; undefined where it is not installed. */
export function findNginx(): string | undefined {
  return ['/usr/sbin/nginx', '/usr/local/sbin/nginx', '/usr/bin/nginx'].find((file) => existsSync(file));
}

/** What the API behind nginx got. */
export interface Seen {
  readonly line: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

export interface Answered {
  readonly status: number;
  /** In lower case, as sent. */
  readonly head: string;
  readonly body: string;
  /** `code` of the problem; empty where there is none. */
  readonly code: string;
}

/** What a request may say beside its proof. */
export interface Sent {
  readonly method?: string;
  /** As it stands on the wire; default the path that is proven. */
  readonly target?: string;
  readonly headers?: readonly string[];
  readonly body?: string;
  /** Header fields of the proof that are left out. */
  readonly omit?: 'dpop' | 'authorization';
}

interface Running {
  readonly child: ChildProcess;
  readonly output: () => string;
}

/** Output goes to a file: what a process printed before it answered is there when the answer is. */
function run(command: string, args: readonly string[], cwd: string): Running {
  const env = { ...process.env, NODE_OPTIONS: '' };
  const file = path.join(cwd, `${path.basename(command)}.out`);
  const out = openSync(file, 'a');
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', out, out] });
  closeSync(out);
  return { child, output: () => readFileSync(file, 'utf8') };
}

async function end({ child }: Running): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

/** Asks again until it holds: processes say nothing when they are ready. */
async function until(what: string, holds: () => Promise<boolean>, seconds = 30): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`${what} did not come about`);
    await new Promise((resolve) => {
      setTimeout(resolve, 100);
    });
  }
}

/** An issuer, an API in Python, `bulla guard` and nginx from Debian with the documented configuration. */
export class NginxStage {
  readonly desk: Desk;
  readonly folder: string;
  readonly origin: string;
  readonly agentFetch: typeof fetch;
  readonly subject: string;
  readonly agent: string;
  /** Port where nginx speaks HTTP/2 without TLS. */
  readonly http2Port: number;
  readonly #envelope: () => Promise<string>;
  readonly #key: PrivateJwk;
  readonly #running: Record<'upstream' | 'guard' | 'nginx', Running>;
  #nonce: string | undefined;

  private constructor(parts: {
    desk: Desk;
    folder: string;
    port: number;
    http2Port: number;
    upstreamPort: number;
    subject: string;
    agent: { id: string; file: string };
    nginx: string;
  }) {
    const { desk, port } = parts;
    this.folder = parts.folder;
    this.desk = desk;
    this.origin = `http://127.0.0.1:${port}`;
    this.http2Port = parts.http2Port;
    this.subject = parts.subject;
    this.agent = parts.agent.id;
    const file = JSON.parse(desk.read(`home/keys/${parts.agent.file}.json`)) as { privateKey: PrivateJwk };
    this.#key = file.privateKey;
    const agent = createAgent({
      issuer: `${desk.url}/a/${desk.account().account}`,
      clientId: parts.agent.id,
      key: this.#key,
      resource: `${this.origin}/`,
      origins: [this.origin],
    });
    this.agentFetch = agent.fetch;
    this.#envelope = () => agent.envelope();
    const asRoot = process.getuid?.() === 0 ? ['-g', 'user root;'] : [];
    const source = ['--import', import.meta.resolve('tsx'), '--conditions=@bulla/source', main];
    this.#running = {
      upstream: run('python3', ['upstream.py', String(parts.upstreamPort)], this.folder),
      guard: run(process.execPath, [...source, 'guard', '--config', 'guard.json'], this.folder),
      nginx: run(
        parts.nginx,
        // Run by root, the workers would be somebody else, who may not use the socket.
        ['-p', this.folder, '-e', 'stderr', '-c', 'nginx.conf', ...asRoot],
        this.folder,
      ),
    };
  }

  static async start(nginx: string, stalenessSeconds = 60): Promise<NginxStage> {
    const [port, http2Port, upstreamPort] = [await freePort(), await freePort(), await freePort()];
    const origin = `http://127.0.0.1:${port}`;
    const desk = await Desk.withIssuer('--audience', `${origin}/`);
    await desk.json('policy', 'publish', `${policySets}/read-only-agent`, '--slot', 'documents');
    await desk.json('admin', 'audience', 'add', `${origin}/`, '--slot', 'documents');
    await desk.json('admin', 'group', 'add', 'staff');
    const { id: subject } = await desk.addPerson('--group', 'staff');
    const agent = await desk.addAgent(subject);
    await desk.json('pin', desk.path('bulla.lock'));
    const folder = mkdtempSync(path.join(tmpdir(), 'bulla-nginx-'));
    cpSync(example, folder, { recursive: true });
    cpSync(desk.path('bulla.lock'), path.join(folder, 'bulla.lock'));
    const { account, readToken } = desk.account();
    writeFileSync(path.join(folder, 'read-token'), readToken, { mode: 0o600 });
    edit(path.join(folder, 'guard.json'), [
      [/acct_A+/u, account],
      ['http://127.0.0.1:8787', desk.url],
      [/http:\/\/127\.0\.0\.1:8080/gu, origin],
      ['"nginx": {},', `"nginx": {}, "stalenessSeconds": ${stalenessSeconds},`],
    ]);
    edit(path.join(folder, 'nginx.conf'), [
      ['listen 127.0.0.1:8080;', `listen 127.0.0.1:${port}; listen 127.0.0.1:${http2Port} http2;`],
      ['server 127.0.0.1:9000;', `server 127.0.0.1:${upstreamPort};`],
    ]);
    const stage = new NginxStage({ desk, folder, port, http2Port, upstreamPort, subject, agent, nginx });
    await stage.#ready();
    return stage;
  }

  async #ready(): Promise<void> {
    try {
      await until('a request that passes nginx, guard and API', async () => {
        const answer = await this.send('/healthz', { omit: 'dpop' }).catch(() => undefined);
        return answer?.status === 200;
      });
      await until('a guard that follows the log', async () => {
        const { code } = await this.send('/documents/1');
        return code !== 'trust_stale' && code !== 'audience_not_active';
      });
    } catch (cause) {
      const said = Object.entries(this.#running).map(([name, { output }]) => `${name}: ${output()}`);
      throw new Error(said.join('\n'), { cause });
    }
  }

  /** Ends one of the processes. */
  async kill(name: 'upstream' | 'guard' | 'nginx'): Promise<void> {
    await end(this.#running[name]);
  }

  async close(): Promise<void> {
    for (const running of Object.values(this.#running)) await end(running);
    await this.desk.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Everything that reached the API, in order. */
  seen(): readonly Seen[] {
    return this.#running.upstream
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Seen);
  }

  receipts(): readonly Readonly<Record<string, unknown>>[] {
    return readFileSync(path.join(this.folder, 'receipts.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** Header lines that prove a request for `path`. */
  async proof(pathAndQuery: string, { method = 'GET', body }: Sent = {}): Promise<string[]> {
    const envelope = await this.#envelope();
    const proof = createProof({
      method,
      url: this.origin + pathAndQuery,
      envelope,
      signer: createSigner(this.#key),
      now: Date.now() / 1000,
      ...(body !== undefined && { body }),
      ...(this.#nonce !== undefined && { nonce: this.#nonce }),
    });
    return [`Authorization: DPoP ${envelope}`, `DPoP: ${proof}`];
  }

  /** Sends one proven request as bytes; once more where a nonce is asked for. */
  async send(pathAndQuery: string, sent: Sent = {}): Promise<Answered> {
    const { method = 'GET', target = pathAndQuery, headers = [], body = '', omit } = sent;
    const attempt = async (): Promise<Answered> => {
      const proven = omit === 'authorization' ? [] : await this.proof(pathAndQuery, sent);
      const fields = omit === 'dpop' ? proven.slice(0, 1) : proven;
      return this.raw([`${method} ${target} HTTP/1.1`, ...this.#host(headers), ...fields, ...headers], body);
    };
    const answer = await attempt();
    if (answer.code !== 'proof_nonce_required') return answer;
    this.#nonce = /^dpop-nonce: (.*)$/mu.exec(answer.head)?.[1];
    return attempt();
  }

  #host(headers: readonly string[]): string[] {
    return headers.some((line) => /^host:/iu.test(line)) ? [] : [`Host: ${new URL(this.origin).host}`];
  }

  async raw(lines: readonly string[], body = ''): Promise<Answered> {
    const socket = connect(Number(new URL(this.origin).port), '127.0.0.1');
    socket.write(`${[...lines, 'Connection: close'].join('\r\n')}\r\n\r\n${body}`, 'latin1');
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    const [head = '', ...rest] = text.split('\r\n\r\n');
    const content = rest.join('\r\n\r\n');
    const lower = head.replaceAll('\r', '').replaceAll(/^[\w-]+:/gmu, (name) => name.toLowerCase());
    const code = /"code":"([a-z_]+)"/u.exec(content)?.[1] ?? '';
    return { status: Number(head.split(' ')[1]), head: lower, body: content, code };
  }
}

function edit(file: string, changes: readonly (readonly [string | RegExp, string])[]): void {
  let text = readFileSync(file, 'utf8');
  for (const [from, to] of changes) {
    const changed = text.replace(from, to);
    if (changed === text) throw new Error(`the example no longer has ${String(from)}`);
    text = changed;
  }
  writeFileSync(file, text);
}
