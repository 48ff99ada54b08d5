/**
 * What the verifier takes from its surroundings. Only the host process sets these; nothing in a request can reach them.
 */
export interface Ports {
  /** Wall clock, Unix time in seconds; fractions allowed. */
  readonly now: () => number;
  /** Used by background fetchers alone, never while a request is decided (law 3). */
  readonly fetch: typeof globalThis.fetch;
}

/** The clock and the network of this process. */
export const systemPorts: Ports = {
  now: () => Date.now() / 1000,
  // oxlint-disable-next-line no-restricted-globals -- the one place where the verifier touches the global
  fetch: (input, init) => globalThis.fetch(input, init),
};
