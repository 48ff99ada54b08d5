/** Waits that end early when the follower is closed, and the time between attempts. */
export class Pace {
  readonly #signal: AbortSignal;
  readonly #baseSeconds: number;
  readonly #maxSeconds: number;

  constructor(signal: AbortSignal, baseSeconds: number, maxSeconds: number) {
    this.#signal = signal;
    this.#baseSeconds = baseSeconds;
    this.#maxSeconds = maxSeconds;
  }

  /** Doubling, with jitter, so that a fleet does not come back in step. */
  backoffSeconds(failures: number): number {
    return Math.min(this.#maxSeconds, this.#baseSeconds * 2 ** failures) * (0.5 + Math.random() / 2);
  }

  async pause(seconds: number): Promise<void> {
    if (this.#signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, seconds * 1000);
      this.#signal.addEventListener('abort', done);
    });
  }
}

/** Gives the event loop its turn whenever work has run for a few milliseconds. */
export class Slice {
  #end: number = performance.now() + sliceMilliseconds;

  async turn(): Promise<void> {
    if (performance.now() <= this.#end) return;
    await new Promise(setImmediate);
    this.#end = performance.now() + sliceMilliseconds;
  }
}

/** Longest stretch of applying entries before requests get their turn. */
const sliceMilliseconds = 5;
