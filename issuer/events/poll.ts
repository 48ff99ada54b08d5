import { setTimeout as pause } from 'node:timers/promises';
import { Refusal } from '@bulla/verifier';
import { isJsonObject, type JsonObject, parseJsonObject } from '@bulla/verifier/envelope';
import { ConfigError, IssuerRefusal } from '../errors.ts';
import { DocumentError, type FetchDocument } from '../federation/fetch-document.ts';
import type { LogLine } from '../ports.ts';
import { loadSecret } from '../secrets.ts';
import { type SetError, setErrorOf } from './answers.ts';
import type { PollConfig } from './config.ts';
import type { EventStream } from './stream.ts';

/** Answers are capped at 262,144 bytes, and a SET at 16,384. */
const maxEventsPerPoll = 15;
const maxBackoffSeconds = 300;

export interface PollerOptions {
  readonly stream: EventStream;
  readonly config: PollConfig;
  readonly reach: 'public' | 'private';
  readonly fetchDocument: FetchDocument;
  readonly log: (line: LogLine) => void;
}

/** What the next request tells of the SETs of the one before. */
interface Verdicts {
  readonly ack: string[];
  readonly setErrs: Record<string, { readonly err: SetError; readonly description: string }>;
}

/**
 * Asks a transmitter for security events (RFC 8936), every so often and at once while it has more. What was applied, or never
 * can be, is acknowledged with the next request; what could not be applied now is left for the transmitter to deliver again.
 */
export class EventPoller {
  readonly #options: PollerOptions;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #verdicts: Verdicts = none();

  constructor(options: PollerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Stops asking, and waits for what is under way. What was not acknowledged will be delivered again. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { intervalSeconds } = this.#options.config;
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      const more = await this.#pollSafely();
      failures = more === undefined ? failures + 1 : 0;
      const backoff = Math.min(maxBackoffSeconds, intervalSeconds * 2 ** Math.min(failures, 16));
      if (more !== true)
        await this.#pause(failures === 0 ? intervalSeconds : Math.max(backoff, intervalSeconds));
    }
  }

  async #pause(seconds: number): Promise<void> {
    await pause(seconds * 1000, undefined, { signal: this.#stop.signal, ref: false }).catch(() => undefined);
  }

  /** @returns whether to ask again at once; undefined where it failed. */
  async #pollSafely(): Promise<boolean | undefined> {
    try {
      return await this.#poll();
    } catch (error) {
      if (this.#stop.signal.aborted) return false;
      this.#tell('event_stream.poll_failed', { reason: reasonOf(error) });
      return undefined;
    }
  }

  async #poll(): Promise<boolean> {
    const { config, reach, fetchDocument } = this.#options;
    const told = this.#verdicts;
    const request = { maxEvents: maxEventsPerPoll, returnImmediately: true, ...told };
    const authorization = `Bearer ${loadSecret('tokenFile', config.tokenFile)}`;
    const post = { authorization, json: JSON.stringify(request) };
    const sets = readSets(await fetchDocument(config.endpoint, reach, post, this.#stop.signal));
    this.#verdicts = none();
    let postponed = 0;
    for (const [jti, set] of sets) {
      if (this.#stop.signal.aborted) return false;
      if (!(await this.#take(jti, set))) postponed += 1;
    }
    // What is to be acknowledged is not kept for an interval; what must wait is not asked for in a loop.
    return postponed === 0 && sets.length > 0;
  }

  /** @returns false where it must come again. */
  async #take(jti: string, set: unknown): Promise<boolean> {
    try {
      // As what is pushed: each SET leaves a row.
      this.#options.stream.charge('');
      await this.#options.stream.receive(typeof set === 'string' ? set : '', jti);
      this.#verdicts.ack.push(jti);
      return true;
    } catch (error) {
      const answer = setErrorOf(error);
      if (answer === undefined) {
        this.#tell('event_stream.postponed', {
          code: error instanceof IssuerRefusal ? error.code : 'internal',
        });
        return false;
      }
      this.#verdicts.setErrs[jti] = answer;
      return true;
    }
  }

  #tell(event: string, members: Readonly<Record<string, string>>): void {
    const { stream, log } = this.#options;
    log({ level: 'warn', event, stream: stream.config.name, ...members });
  }
}

/** Fixed phrases: the other side chooses what its answers say, and a configuration error names a path. */
function reasonOf(error: unknown): string {
  if (error instanceof DocumentError) return error.message;
  return error instanceof ConfigError ? 'token file cannot be used' : 'answer is not one of a poll';
}

function none(): Verdicts {
  return { ack: [], setErrs: Object.create(null) as Verdicts['setErrs'] };
}

/** `moreAvailable` is not read: whoever sends something is asked again, and whoever does not is not believed to have more. */
function readSets(bytes: Buffer): readonly [string, unknown][] {
  let answer: JsonObject;
  try {
    answer = parseJsonObject(bytes);
  } catch (cause) {
    if (cause instanceof Refusal) throw new DocumentError('answer is not JSON', { cause });
    throw cause;
  }
  const { sets = {} } = answer;
  if (!isJsonObject(sets)) throw new DocumentError('answer has no `sets`');
  return Object.entries(sets).slice(0, maxEventsPerPoll);
}
