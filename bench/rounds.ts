import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** One thing that is timed. */
export interface Scenario {
  readonly name: string;
  /** Names of the scenarios it is compared with. */
  readonly against: readonly string[];
  /** Calls made in one round, where not the default. */
  readonly calls?: number;
  /** Makes that many calls ready: whatever this does is outside the timed part. */
  prepare(calls: number): readonly Call[] | Promise<readonly Call[]>;
}

/** Throws where the outcome is not the expected one. */
export type Call = () => Promise<void>;

/** Microseconds for one call. `cpuUs` counts all threads of the process. */
export interface Sample {
  readonly us: number;
  readonly cpuUs: number;
}

export interface Row extends Sample {
  readonly name: string;
  /** Time of this row / time of the named one: the median over rounds of the ratio within a round. */
  readonly ratio: Readonly<Record<string, number>>;
  /** The same for CPU time. */
  readonly cpuRatio: Readonly<Record<string, number>>;
}

export interface RoundOptions {
  readonly rounds: number;
  readonly calls: number;
  readonly onRound?: (round: number) => void;
}

const warmUpRounds = 8;

/**
 * Times scenarios in interleaved rounds: in each round every scenario runs once, so that whatever else the machine does
 * meets all of them alike. One call at a time. Rounds before them, and a tenth of the calls of each, warm up and are
 * not counted.
 */
export async function runRounds(
  scenarios: readonly Scenario[],
  options: RoundOptions,
): Promise<readonly Row[]> {
  const samples = new Map<string, Sample[]>(scenarios.map(({ name }) => [name, []]));
  for (let round = 1 - warmUpRounds; round <= options.rounds; round += 1) {
    options.onRound?.(round);
    for (const scenario of scenarios) {
      const count = scenario.calls ?? options.calls;
      const leadIn = Math.ceil(count / 10);
      const sample = await time(await scenario.prepare(count + leadIn), leadIn);
      if (round > 0) samples.get(scenario.name)?.push(sample);
    }
  }
  return summarise(scenarios, samples);
}

async function time(prepared: readonly Call[], leadIn: number): Promise<Sample> {
  for (const call of prepared.slice(0, leadIn)) await call();
  const calls = prepared.slice(leadIn);
  collectGarbage({ type: 'minor' });
  const cpu = process.cpuUsage();
  const start = process.hrtime.bigint();
  for (const call of calls) await call();
  const nanoseconds = Number(process.hrtime.bigint() - start);
  const { user, system } = process.cpuUsage(cpu);
  return { us: nanoseconds / 1000 / calls.length, cpuUs: (user + system) / calls.length };
}

/** Rows from samples: `samples[name][i]` was taken in round i. */
export function summarise(
  scenarios: readonly Pick<Scenario, 'name' | 'against'>[],
  samples: ReadonlyMap<string, readonly Sample[]>,
): readonly Row[] {
  return scenarios.map(({ name, against }) => {
    const own = samples.get(name) ?? [];
    const ratios = (member: keyof Sample) =>
      Object.fromEntries(
        against.map((other) => {
          const theirs = samples.get(other) ?? [];
          const each = own.map((sample, round) => sample[member] / (theirs[round]?.[member] ?? Number.NaN));
          return [other, rounded(median(each), 3)];
        }),
      );
    return {
      name,
      us: rounded(median(own.map(({ us }) => us)), 1),
      cpuUs: rounded(median(own.map(({ cpuUs }) => cpuUs)), 1),
      ratio: ratios('us'),
      cpuRatio: ratios('cpuUs'),
    };
  });
}

/** NaN for none, and where any value is not a number. */
function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value below which this share of the values lies, by nearest rank; the middle of two for a median. */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0 || values.some((value) => !Number.isFinite(value))) return Number.NaN;
  const sorted = [...values].sort((one, other) => one - other);
  const middle = values.length / 2;
  if (share === 0.5 && Number.isInteger(middle)) {
    return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
  }
  return sorted[Math.max(Math.ceil(values.length * share) - 1, 0)] ?? Number.NaN;
}

export function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

setFlagsFromString('--expose-gc');
// Else V8 throws away the code of whatever waits for its turn in the next round.
setFlagsFromString('--no-flush-bytecode');
const collectGarbage = runInNewContext('gc') as (options: { readonly type: 'minor' }) => void;
