import { arch, cpus, platform, release } from 'node:os';
import { type Row, rounded } from './rounds.ts';

/** What `bench/results/latest.json` holds. */
export interface Results {
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly os: string;
    readonly node: string;
    /** UTC day of the run. */
    readonly day: string;
    readonly rounds: number;
  };
  readonly rows: readonly ResultRow[];
  /** One import of people and groups over SCIM. */
  readonly import?: ImportResult;
}

/** What a first import over SCIM took, and what the issuer's process held meanwhile. */
export interface ImportResult {
  readonly users: number;
  readonly groups: number;
  readonly usersPerSecond: number;
  /** While groups were made with their members. */
  readonly membersPerSecond: number;
  /** After a garbage collection each; the last one after the groups. */
  readonly memory: readonly {
    readonly users: number;
    /** Heap, and what it keeps outside. */
    readonly heapMiB: number;
    readonly residentMiB: number;
  }[];
}

/** Microseconds for one call; `cpuUs` over all threads. `ratio`: this row's time / the named row's. */
export interface ResultRow {
  readonly name: string;
  readonly us: number;
  readonly cpuUs: number;
  readonly ratio: Readonly<Record<string, number>>;
}

export function machine(rounds: number): Results['machine'] {
  const [first] = cpus();
  return {
    cpu: first?.model.trim() ?? 'unknown',
    cores: cpus().length,
    os: `${platform()} ${release()} ${arch()}`,
    node: process.version,
    day: new Date().toISOString().slice(0, 10),
    rounds,
  };
}

/** Attacks and servers are compared by CPU time, everything else by time. */
export function resultRow({ name, us, cpuUs, ratio, cpuRatio }: Row): ResultRow {
  return { name, us, cpuUs, ratio: /^(?:attack|http)\./u.test(name) ? cpuRatio : ratio };
}

interface Bar {
  readonly row: string;
  readonly against: string;
  readonly most: number;
}

const bars: readonly Bar[] = [
  { row: 'decision.warm.p10.e1.ed25519', against: 'jose.jwtVerify.ed25519', most: 1.5 },
  { row: 'decision.warm.p10.e1.es256', against: 'jose.jwtVerify.es256', most: 1.3 },
];

/** No more than an allow. The twentieth is for what two rows of equal work differ by in one run. */
const mostAttack = 1.05;
/** From the end of a suspension to the first refusal, microseconds, p99. */
const mostTimeToDenyUs = 1_000_000;

/**
 * What is worse than the bars, one line each; empty where all hold. A row that is missing is a failure: a bar
 * that was not measured does not hold.
 */
export function findFailures(rows: readonly ResultRow[]): readonly string[] {
  const byName = new Map(rows.map((row) => [row.name, row]));
  const failures: string[] = [];
  for (const { row, against, most } of bars) {
    const ratio = byName.get(row)?.ratio[against] ?? Number.NaN;
    if (!(ratio <= most)) failures.push(`${row}: ${String(ratio)}x ${against}, may be ${String(most)}x`);
  }
  const attacks = rows.filter(({ name }) => name.startsWith('attack.'));
  if (attacks.length === 0) failures.push('attack.*: not measured');
  for (const { name, ratio } of attacks) {
    for (const [against, value] of Object.entries(ratio)) {
      if (!(value <= mostAttack)) {
        failures.push(`${name}: ${String(value)}x the CPU of ${against}, may be ${String(mostAttack)}x`);
      }
    }
  }
  for (const transport of ['stream', 'poll', 'scim']) {
    const name = `deny.${transport}.p99`;
    const us = byName.get(name)?.us ?? Number.NaN;
    if (!(us < mostTimeToDenyUs)) {
      failures.push(
        `${name}: ${String(rounded(us / 1000, 0))} ms, must be under ${String(mostTimeToDenyUs / 1000)} ms`,
      );
    }
  }
  return failures;
}

/** What may stay in memory for each person: their record, its place in the state map, the entry's hashes. Nothing of a request. */
const mostKibibytesPerUser = 8;

/** Whether the memory of an importing issuer grows by more than the people it imports; a failure too where it was not measured. */
export function importFailures(imported: ImportResult | undefined): readonly string[] {
  if (imported === undefined) return ['import: not measured'];
  const { memory, users } = imported;
  const [first, last] = [memory[0]?.heapMiB ?? Number.NaN, memory.at(-1)?.heapMiB ?? Number.NaN];
  const each = ((last - first) * 1024) / users;
  if (each < mostKibibytesPerUser) return [];
  return [
    `import: ${String(rounded(each, 1))} KiB for each user, must be under ${String(mostKibibytesPerUser)} KiB`,
  ];
}
