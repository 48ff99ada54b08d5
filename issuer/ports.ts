import { randomBytes } from 'node:crypto';

/** One structured line: never a token, proof, assertion or key. */
export interface LogLine {
  readonly level: 'info' | 'warn' | 'error';
  /** `noun.verb`, fixed in code. */
  readonly event: string;
  readonly [member: string]: string | number | boolean | null | undefined;
}

/** What the issuer takes from its surroundings. Only the host process sets these. */
export interface IssuerPorts {
  /** Wall clock, Unix time in seconds; fractions allowed. */
  readonly now: () => number;
  readonly randomBytes: (size: number) => Uint8Array;
  readonly log: (line: LogLine) => void;
}

export const systemIssuerPorts: IssuerPorts = {
  now: () => Date.now() / 1000,
  randomBytes: (size) => randomBytes(size),
  log: (line) => {
    process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), ...line })}\n`);
  },
};
