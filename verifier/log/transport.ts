import { Refusal } from '../errors.ts';
import { isJsonObject, parseJson } from '../json.ts';
import { limits } from '../limits.ts';
import type { Ports } from '../ports.ts';

/** One line of the log's answers (application/x-ndjson). */
export type LogLine = { readonly leaf: string } | { readonly checkpoint: string };

export interface LogTimeouts {
  /** A whole answer, and the head of a stream's. */
  readonly answerSeconds: number;
  /** Longest silence of a stream; the log sends a checkpoint every two seconds. */
  readonly idleSeconds: number;
}

export interface LogClientOptions {
  /** The issuer's base URL, without `/a/<account>`. */
  readonly url: string;
  readonly account: string;
  readonly readToken: string;
  readonly fetch: Ports['fetch'];
  /** Ends every request when it aborts. */
  readonly signal: AbortSignal;
  readonly timeouts: LogTimeouts;
}

/** Reads a log over HTTP. Everything that comes back is attacker-controlled and capped; redirects are refused. */
export class LogClient {
  readonly #options: LogClientOptions;
  readonly #base: string;

  constructor(options: LogClientOptions) {
    this.#options = options;
    this.#base = `${options.url.replace(/\/+$/u, '')}/a/${options.account}`;
  }

  /** At most `maxEntriesPerAnswer` leaves from `from` on, then one checkpoint. */
  entries(from: number): AsyncGenerator<LogLine> {
    return this.#lines(`log/entries?from=${from}`, 'answer', this.#deadline());
  }

  /** The same lines, for as long as both sides like; what an answer may hold, here comes between two checkpoints. */
  stream(from: number): AsyncGenerator<LogLine> {
    const deadline = this.#deadline(this.#options.timeouts.idleSeconds);
    return this.#lines(`log/stream?from=${from}`, 'checkpoint', deadline);
  }

  /** The newest checkpoint note. */
  async checkpoint(): Promise<string> {
    return (await this.#bytes('log/checkpoint', 'text/plain', limits.maxNoteBytes)).toString('utf8');
  }

  /** The bytes published under a policy digest; not compared with it. */
  policy(digest: string): Promise<Buffer> {
    return this.#bytes(`policies/${digest}`, 'application/json', limits.maxPolicySetBytes);
  }

  async #bytes(path: string, accept: string, cap: number): Promise<Buffer> {
    const deadline = this.#deadline();
    try {
      const response = await this.#get(path, accept, deadline);
      const parts: Uint8Array[] = [];
      let size = 0;
      for await (const chunk of chunks(response, deadline.signal)) {
        size += chunk.length;
        if (size > cap) throw new Refusal('log_answer_invalid', 'answer is too large');
        parts.push(chunk);
      }
      return Buffer.concat(parts);
    } finally {
      deadline.clear();
    }
  }

  #deadline(idleSeconds?: number): Deadline {
    return new Deadline(this.#options.signal, this.#options.timeouts.answerSeconds, idleSeconds);
  }

  async #get(path: string, accept: string, deadline: Deadline): Promise<Response> {
    let response: Response;
    try {
      response = await this.#options.fetch(`${this.#base}/${path}`, {
        headers: { authorization: `Bearer ${this.#options.readToken}`, accept },
        redirect: 'manual',
        signal: deadline.signal,
      });
    } catch (cause) {
      throw unreachable(cause);
    }
    if (response.status !== 200) {
      response.body?.cancel().catch(() => undefined);
      const why = meanings.get(response.status);
      throw new Refusal(
        'log_unreachable',
        `log answered ${response.status}${why === undefined ? '' : `: ${why}`}`,
      );
    }
    return response;
  }

  async *#lines(path: string, cappedBy: CappedBy, deadline: Deadline): AsyncGenerator<LogLine> {
    try {
      const response = await this.#get(path, 'application/x-ndjson', deadline);
      deadline.extend();
      yield* readLines(response, cappedBy, deadline);
    } finally {
      deadline.clear();
    }
  }
}

/** What an issuer means by a status, for whoever reads the alarm. */
const meanings: ReadonlyMap<number, string> = new Map([
  [401, 'it does not know the read token, or was not restarted since'],
  [404, 'it does not host this account'],
  [429, 'too many streams are open'],
]);

/** Over which stretch leaves and bytes are counted: a follower has to hold what no checkpoint covers. */
type CappedBy = 'answer' | 'checkpoint';

/** Aborts a request after a time, which a stream extends with each line. */
class Deadline {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal;
  readonly #onAbort = (): void => this.#controller.abort();
  readonly #idleSeconds: number | undefined;
  #timer: NodeJS.Timeout;

  constructor(outer: AbortSignal, seconds: number, idleSeconds?: number) {
    this.#outer = outer;
    this.#idleSeconds = idleSeconds;
    this.#timer = this.#start(seconds);
    outer.addEventListener('abort', this.#onAbort);
    if (outer.aborted) this.#controller.abort();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  #start(seconds: number): NodeJS.Timeout {
    return setTimeout(this.#onAbort, seconds * 1000);
  }

  extend(): void {
    if (this.#idleSeconds === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = this.#start(this.#idleSeconds);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#outer.removeEventListener('abort', this.#onAbort);
    this.#controller.abort();
  }
}

async function* chunks(response: Response, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  // Node's fetch can leave a read pending for ever when it is aborted between two reads.
  const aborted = new Promise<never>((_resolve, reject) => {
    const onAbort = (): void => reject(new Error('aborted'));
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
  aborted.catch(() => undefined);
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), aborted]);
      if (done) return;
      yield value as Uint8Array;
    }
  } catch (cause) {
    throw unreachable(cause);
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

async function* readLines(
  response: Response,
  cappedBy: CappedBy,
  deadline: Deadline,
): AsyncGenerator<LogLine> {
  let rest = Buffer.alloc(0);
  let bytes = 0;
  let leaves = 0;
  for await (const chunk of chunks(response, deadline.signal)) {
    bytes += chunk.length;
    if (bytes > limits.maxLogAnswerBytes) throw new Refusal('log_answer_invalid', 'answer is too large');
    rest = Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      const line = parseLine(rest.subarray(0, end));
      rest = rest.subarray(end + 1);
      if ('leaf' in line) leaves += 1;
      else if (cappedBy === 'checkpoint') [leaves, bytes] = [0, rest.length];
      if (leaves > limits.maxEntriesPerAnswer)
        throw new Refusal('log_answer_invalid', 'answer has too many leaves');
      // Only a whole line counts as a sign of life: single bytes could keep a dead stream open for ever.
      deadline.extend();
      yield line;
    }
    if (rest.length > maxLineBytes) throw new Refusal('log_answer_invalid', 'line is too long');
  }
  if (rest.length > 0) throw new Refusal('log_answer_invalid', 'answer ends inside a line');
}

const maxLineBytes = limits.maxLeafBytes + 64;

/** @throws {Refusal} `log_answer_invalid`. */
function parseLine(bytes: Buffer): LogLine {
  if (bytes.length > maxLineBytes) throw new Refusal('log_answer_invalid', 'line is too long');
  let value: unknown;
  try {
    value = parseJson(bytes);
  } catch (cause) {
    throw new Refusal('log_answer_invalid', 'line is not JSON', { cause });
  }
  if (isJsonObject(value) && Object.keys(value).length === 1) {
    const { leaf, checkpoint } = value as { leaf?: unknown; checkpoint?: unknown };
    if (typeof leaf === 'string') return { leaf };
    if (typeof checkpoint === 'string') return { checkpoint };
  }
  throw new Refusal('log_answer_invalid', 'line is neither a leaf nor a checkpoint');
}

function unreachable(cause: unknown): Refusal {
  return new Refusal('log_unreachable', 'log does not answer', { cause });
}
