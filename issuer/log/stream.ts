import type { Account } from '../account.ts';
import { IssuerRefusal } from '../errors.ts';

export interface StreamLimits {
  readonly maxStreams: number;
  readonly maxStreamStallSeconds: number;
}

/** At most 4 MiB, as leaves are capped; about 64 KiB as they mostly are. */
const leavesPerChunk = 64;
const open = new WeakMap<Account, Set<LogStream>>();

/**
 * The log from entry `from` on as NDJSON that stays open: leaves, then the checkpoint that covers them, then each new
 * checkpoint as it is signed. A reader pulls: what it has not taken yet stays in the store, so that a slow one costs
 * one chunk of memory, skips checkpoints, and after `maxStreamStallSeconds` without taking anything is cut off.
 *
 * @param mayRead asked before each chunk: the stream of a person who was suspended ends.
 * @throws {IssuerRefusal} `rate_limited` above `maxStreams`, `closing`.
 */
export function streamLog(
  account: Account,
  from: number,
  limits: StreamLimits,
  mayRead: () => boolean,
): ReadableStream<Uint8Array> {
  const streams = open.get(account) ?? new Set<LogStream>();
  open.set(account, streams);
  if (streams.size >= limits.maxStreams) {
    throw new IssuerRefusal('rate_limited', 'too many open streams: poll `entries` instead');
  }
  const stream = new LogStream(account, from, limits.maxStreamStallSeconds, mayRead, () =>
    streams.delete(stream),
  );
  streams.add(stream);
  return stream.readable;
}

/** Ends every stream of an account in order. */
export function closeStreams(account: Account): void {
  for (const stream of open.get(account) ?? []) stream.end();
}

class LogStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly #account: Account;
  readonly #stallSeconds: number;
  readonly #mayRead: () => boolean;
  readonly #onEnd: () => void;
  readonly #stopListening: () => void;
  #next: number;
  #sentNote: string | undefined;
  /** Resolves a pull that waits for news. */
  #wake: (() => void) | undefined;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #takenAt: number;
  #ended = false;

  constructor(
    account: Account,
    from: number,
    stallSeconds: number,
    mayRead: () => boolean,
    onEnd: () => void,
  ) {
    this.#account = account;
    this.#next = from;
    this.#stallSeconds = stallSeconds;
    this.#mayRead = mayRead;
    this.#onEnd = onEnd;
    this.#takenAt = account.ports.now();
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: async (controller) => this.#pull(controller),
        cancel: () => this.#finish(),
      },
      { highWaterMark: 1 },
    );
    this.#stopListening = account.log.onCheckpoint(() => this.#news());
  }

  end(): void {
    if (this.#ended) return;
    this.#finish();
    this.#controller?.close();
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    this.#takenAt = this.#account.ports.now();
    const chunk = await this.#nextChunk();
    if (chunk !== undefined && !this.#ended) controller.enqueue(new TextEncoder().encode(chunk));
  }

  /** Undefined when the stream ended while waiting. */
  async #nextChunk(): Promise<string | undefined> {
    const { log, store } = this.#account;
    for (;;) {
      const { checkpoint } = log;
      if (!this.#mayRead()) this.end();
      if (this.#ended) return undefined;
      if (checkpoint !== undefined && checkpoint.note !== this.#sentNote) {
        const limit = Math.min(leavesPerChunk, checkpoint.size - this.#next);
        const leaves = limit > 0 ? await store.entries(this.#next, limit) : [];
        this.#next += leaves.length;
        const lines = leaves.map((leaf) => `${JSON.stringify({ leaf })}\n`);
        if (this.#next >= checkpoint.size) {
          lines.push(`${JSON.stringify({ checkpoint: checkpoint.note })}\n`);
          this.#sentNote = checkpoint.note;
        }
        return lines.join('');
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** A reader that waits is woken; one that has not come back for what it was given is cut off in the end. */
  #news(): void {
    if (this.#wake !== undefined) {
      this.#takenAt = this.#account.ports.now();
      const wake = this.#wake;
      this.#wake = undefined;
      wake();
      return;
    }
    if (this.#account.ports.now() - this.#takenAt < this.#stallSeconds) return;
    const { ports, log } = this.#account;
    ports.log({ level: 'warn', event: 'stream.stalled', account: log.account });
    this.#finish();
    this.#controller?.error(new IssuerRefusal('rate_limited', 'reader takes nothing'));
  }

  #finish(): void {
    this.#ended = true;
    this.#stopListening();
    this.#onEnd();
    this.#wake?.();
  }
}
