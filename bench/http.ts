import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { Agent, get } from 'node:http';
import { fileURLToPath } from 'node:url';
import { createSigner, type Signer } from '@bulla/verifier';
import { createProof } from '@bulla/verifier/envelope';
import type { FromServer, HttpKind } from './http-server.ts';
import { type Row, type Sample, summarise } from './rounds.ts';

interface Served {
  readonly name: string;
  readonly kind: HttpKind;
  /** Documents asked for in turn. */
  readonly documents: number;
}

const jose = 'http.hono.jose.ed25519';
const served: readonly Served[] = [
  { name: 'http.hono.bare', kind: 'bare', documents: 100 },
  { name: jose, kind: 'jose', documents: 100 },
  { name: 'http.hono.bulla.ed25519', kind: 'bulla', documents: 100 },
  { name: 'http.hono.bulla.asked.ed25519', kind: 'bulla', documents: Number.POSITIVE_INFINITY },
];
const warmUpRounds = 40;
const inFlight = 4;

export interface HttpOptions {
  readonly rounds: number;
  /** Requests in one round. */
  readonly requests: number;
  readonly onRound?: (round: number) => void;
}

/**
 * The guard on Hono beside `jose` on Hono, each server alone in a process of its own, over loopback with kept
 * connections, four requests in flight. `us`: time of the whole round / requests. `cpuUs`: the server's own CPU for one.
 */
export async function measureHttp(options: HttpOptions): Promise<readonly Row[]> {
  const servers = await Promise.all(served.map(startServer));
  const samples = new Map<string, Sample[]>(served.map(({ name }) => [name, []]));
  try {
    for (let round = 1 - warmUpRounds; round <= options.rounds; round += 1) {
      options.onRound?.(round);
      for (const server of servers) {
        const sample = await server.time(options.requests);
        if (round > 0) samples.get(server.served.name)?.push(sample);
      }
    }
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
  return summarise(
    served.map(({ name, kind }) => ({ name, against: kind === 'bulla' ? [jose] : [] })),
    samples,
  );
}

async function startServer(row: Served): Promise<Server> {
  const child = fork(fileURLToPath(new URL('http-server.js', import.meta.url)), [row.kind]);
  const message = await nextMessage(child);
  if (message.type !== 'ready') throw new Error('server did not get ready');
  return new Server(row, child, message);
}

class Server {
  readonly served: Served;
  readonly #child: ChildProcess;
  readonly #url: string;
  readonly #token: string;
  readonly #signer: Signer;
  #document = 0;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: inFlight });

  constructor(row: Served, child: ChildProcess, ready: Extract<FromServer, { type: 'ready' }>) {
    this.served = row;
    this.#child = child;
    this.#url = ready.url;
    this.#token = ready.token;
    this.#signer = createSigner(ready.agent);
  }

  async time(requests: number): Promise<Sample> {
    const prepared = Array.from({ length: requests }, () => this.#prepare());
    const before = await this.#cpu();
    const start = process.hrtime.bigint();
    const open = prepared.values();
    const lane = async (): Promise<void> => {
      for (const { url, headers } of open) await this.#ask(url, headers);
    };
    await Promise.all(Array.from({ length: inFlight }, lane));
    const nanoseconds = Number(process.hrtime.bigint() - start);
    return { us: nanoseconds / 1000 / requests, cpuUs: ((await this.#cpu()) - before) / requests };
  }

  async stop(): Promise<void> {
    this.#agent.destroy();
    const exited = once(this.#child, 'exit');
    this.#child.send('stop');
    await exited;
  }

  /** The same fields for every kind of server, so that reading them costs each the same. */
  #prepare(): { readonly url: string; readonly headers: Record<string, string> } {
    this.#document = (this.#document + 1) % this.served.documents;
    const url = `${this.#url}/documents/${String(this.#document)}`;
    const dpop = createProof({
      method: 'GET',
      url,
      envelope: this.#token,
      signer: this.#signer,
      now: Date.now() / 1000,
    });
    return { url, headers: { authorization: `DPoP ${this.#token}`, dpop, accept: 'application/json' } };
  }

  async #ask(url: string, headers: Record<string, string>): Promise<void> {
    return new Promise((resolve, reject) => {
      const request = get(url, { agent: this.#agent, headers }, (response) => {
        response.resume();
        response.once('end', () => {
          if (response.statusCode === 200) resolve();
          else reject(new Error(`${this.served.name} answered ${String(response.statusCode)}`));
        });
      });
      request.once('error', reject);
    });
  }

  async #cpu(): Promise<number> {
    const answer = nextMessage(this.#child);
    this.#child.send('cpu');
    const message = await answer;
    if (message.type !== 'cpu') throw new Error('server did not say its CPU time');
    return message.micros;
  }
}

async function nextMessage(child: ChildProcess): Promise<FromServer> {
  const [message] = (await once(child, 'message')) as [FromServer];
  return message;
}
