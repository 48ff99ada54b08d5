import { randomBytes } from 'node:crypto';
import { lookup } from 'node:dns';
import type { Lookup } from './federation/fetch-document.ts';
import { openLibsqlStore } from './store/libsql.ts';
import type { Store } from './store/store.ts';

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
  /** Opens the store that `database` of the configuration names. */
  readonly openStore: (database: string) => Store;
  /** Resolves the names of outside issuers; every address is judged before it is connected to. */
  readonly lookup: Lookup;
}

export const systemIssuerPorts: IssuerPorts = {
  now: () => Date.now() / 1000,
  randomBytes: (size) => randomBytes(size),
  openStore: openLibsqlStore,
  lookup,
  log: (line) => {
    process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), ...line })}\n`);
  },
};

/** A clock that never goes back: what has expired stays expired, and what was spent stays spent (law 7). */
export function withoutStepsBack(ports: IssuerPorts): IssuerPorts {
  let latest = 0;
  return {
    ...ports,
    now: () => {
      latest = Math.max(latest, ports.now());
      return latest;
    },
  };
}
