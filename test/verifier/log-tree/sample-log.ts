import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { signCheckpoint, World } from '@bulla/verifier/log';
import type { Ledger } from '../../kit/log.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** An honest log on loopback, which a test makes lie by replacing one of its answers or checkpoints. */
export class SampleLog {
  readonly ledger: Ledger;
  /** What is served; {@link publish} fills it from the ledger. */
  readonly leaves: string[] = [];
  readonly policies: Map<string, Buffer> = new Map<string, Buffer>();
  readonly requests: string[] = [];
  readonly world: World;
  readonly #server: Server = createServer((request, response) => this.#answer(request, response));
  readonly #streams = new Map<ServerResponse, number>();
  /** Time of the next signature. */
  time: number;
  /** The checkpoint served now. */
  note = '';
  /** Replaces what `entries` answers. */
  entries: Answer | undefined;
  /** Replaces what `stream` answers. */
  stream: Answer | undefined = refuseStream;

  constructor(ledger: Ledger) {
    this.ledger = ledger;
    this.time = ledger.time;
    this.world = new World({ account: ledger.account });
    this.publish();
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Serves what the ledger has, under a new checkpoint. */
  publish(): void {
    for (const leaf of this.ledger.leaves.slice(this.leaves.length)) {
      this.world.append(leaf);
      this.leaves.push(leaf);
    }
    this.sign();
  }

  /** Signs what the world says, or something else. */
  sign(lie: { size?: number; root?: Buffer; state?: Buffer; time?: number; origin?: string } = {}): string {
    this.note = signCheckpoint(
      {
        origin: lie.origin ?? 'log.example/a',
        size: lie.size ?? this.leaves.length,
        root: lie.root ?? this.world.treeRoot(),
        state: lie.state ?? this.world.stateRoot(),
      },
      lie.time ?? this.time,
      this.ledger.logKey,
    );
    for (const [response, from] of this.#streams) this.#streams.set(response, this.#send(response, from));
    return this.note;
  }

  /** Serves streams honestly from here on. */
  openStreams(): void {
    this.stream = undefined;
  }

  cutStreams(): void {
    for (const response of this.#streams.keys()) response.destroy();
    this.#streams.clear();
  }

  get streams(): number {
    return this.#streams.size;
  }

  lines(from: number): string {
    const leaves = this.leaves.slice(from, from + 1000).map((leaf) => `${JSON.stringify({ leaf })}\n`);
    return `${leaves.join('')}${JSON.stringify({ checkpoint: this.note })}\n`;
  }

  #send(response: ServerResponse, from: number): number {
    response.write(this.lines(from));
    return this.leaves.length;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://log');
    this.requests.push(url.pathname);
    const from = Number(url.searchParams.get('from'));
    if (request.headers.authorization !== 'Bearer read') {
      response.writeHead(401).end();
    } else if (url.pathname.endsWith('/log/entries')) {
      if (this.entries !== undefined) this.entries(request, response);
      else response.end(this.lines(from));
    } else if (url.pathname.endsWith('/log/stream')) {
      if (this.stream !== undefined) this.stream(request, response);
      else this.#streams.set(response, this.#send(response, from));
    } else {
      const policy = this.policies.get(url.pathname.split('/policies/')[1] ?? '');
      if (policy === undefined) response.writeHead(404).end();
      else response.end(policy);
    }
  }
}

/** No stream is to be had. */
export function refuseStream(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(503).end();
}
