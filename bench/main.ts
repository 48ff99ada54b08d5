import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { attackScenarios } from './attacks.ts';
import { decisionScenarios } from './decisions.ts';
import { measureHttp } from './http.ts';
import { createPeer, joseScenario, oauthScenario } from './peers.ts';
import { updateReadme } from './readme.ts';
import {
  findFailures,
  type ImportResult,
  importFailures,
  machine,
  type ResultRow,
  type Results,
  resultRow,
} from './results.ts';
import { type Row, runRounds, type Scenario } from './rounds.ts';
import { measureScimTimeToDeny } from './scim-deny.ts';
import { measureImport } from './scim-import.ts';
import { type DenyOptions, measureTimeToDeny } from './time-to-deny.ts';
import type { Curve } from './world.ts';

const usage = `npm run bench [-- --quick] [-- --check] [-- --only <part>] [-- --json]

--quick   a short run: rough numbers, and nothing is written
--check   also a soak of a million decisions; exit 1 and name the line where a bar of bench/README.md does not hold
--only    the rows of one part (decisions, chains, http, deny, scim, import), in place of those of the last run on this machine
--json    print the results as JSON instead of a table
`;

const resultsFile = new URL('../results/latest.json', import.meta.url);

/** Parts in the order of the results, each with the beginnings of its rows' names. */
const parts: Readonly<
  Record<string, { readonly names: RegExp; readonly measure: () => Promise<readonly ResultRow[]> }>
> = {
  decisions: { names: /^(?:decision|jose|oauth4webapi|allow|attack)\./u, measure: measureDecisions },
  chains: { names: /^(?:chain|federated)\./u, measure: measureChains },
  http: { names: /^http\./u, measure: measureServers },
  deny: { names: /^deny\.(?:stream|poll)\./u, measure: async () => measureTimeToDeny(denials()) },
  scim: { names: /^deny\.scim\./u, measure: async () => measureScimTimeToDeny(denials()) },
};

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const size = flags.quick
  ? {
      rounds: 9,
      calls: 100,
      chainRounds: 9,
      httpRounds: 9,
      denyRuns: 10,
      soak: 100_000,
      users: 1000,
      groups: 50,
    }
  : {
      rounds: 41,
      calls: 200,
      chainRounds: 21,
      httpRounds: 31,
      denyRuns: 100,
      soak: 1_000_000,
      users: 10_000,
      groups: 500,
    };
if (flags.help) process.stdout.write(usage);
else process.exitCode = await run();

async function run(): Promise<number> {
  const results = flags.only === undefined ? await measureAll() : await measurePart(flags.only);
  const { rows, import: imported } = results;
  if (!flags.quick) write(results);
  process.stdout.write(flags.json ? `${JSON.stringify(results, null, 2)}\n` : tableOf(rows));
  if (!flags.check) return 0;
  const failures = [...findFailures(rows), ...importFailures(imported)];
  return report(flags.only === undefined ? [...failures, ...(await soakFailures())] : failures);
}

async function measuredImport(): Promise<ImportResult> {
  return measureImport({ users: size.users, groups: size.groups, onProgress: progress });
}

function report(failures: readonly string[]): number {
  for (const failure of failures) process.stderr.write(`bar missed: ${failure}\n`);
  return failures.length === 0 ? 0 : 1;
}

async function measureAll(): Promise<Results> {
  const rows: ResultRow[] = [];
  for (const { measure } of Object.values(parts)) rows.push(...(await measure()));
  return { machine: machine(size.rounds), rows, import: await measuredImport() };
}

/** Times of two machines say nothing beside each other. @throws {Error} where the last run was on another. */
async function measurePart(name: string): Promise<Results> {
  const last = JSON.parse(readFileSync(resultsFile, 'utf8')) as Results;
  const { cpu, cores, node } = machine(size.rounds);
  if (last.machine.cpu !== cpu || last.machine.cores !== cores || last.machine.node !== node) {
    throw new Error('the last run was on another machine or another node: measure all');
  }
  if (name === 'import') return { ...last, import: await measuredImport() };
  const part = Object.hasOwn(parts, name) ? parts[name] : undefined;
  if (part === undefined) throw new Error(`--only is one of ${Object.keys(parts).join(', ')}, import`);
  const at = last.rows.findIndex((row) => part.names.test(row.name));
  const others = last.rows.filter((row) => !part.names.test(row.name));
  const measured = await part.measure();
  return { ...last, rows: others.toSpliced(at < 0 ? others.length : at, 0, ...measured) };
}

async function measureDecisions(): Promise<readonly ResultRow[]> {
  const scenarios: Scenario[] = [];
  const curves: readonly Curve[] = ['Ed25519', 'P-256'];
  for (const curve of curves) {
    const peer = await createPeer(curve);
    scenarios.push(joseScenario(peer), oauthScenario(peer), ...decisionScenarios(curve));
  }
  scenarios.push(...attackScenarios());
  const onRound = counter('decisions: round', size.rounds);
  const rows = await runRounds(scenarios, { rounds: size.rounds, calls: size.calls, onRound });
  return rows.map(resultRow);
}

async function measureChains(): Promise<readonly ResultRow[]> {
  const program = fileURLToPath(new URL('chain-rounds.js', import.meta.url));
  const child = fork(program, [String(size.chainRounds)], { stdio: [0, 2, 2, 'ipc'] });
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`chains were not measured: exit ${String(code)}`);
  });
  const [rows] = (await Promise.race([once(child, 'message'), ended])) as [readonly Row[]];
  child.disconnect();
  ended.catch(() => undefined);
  return rows.map(resultRow);
}

async function measureServers(): Promise<readonly ResultRow[]> {
  const onRound = counter('http: round', size.httpRounds);
  const rows = await measureHttp({ rounds: size.httpRounds, requests: 200, onRound });
  return rows.map(resultRow);
}

function denials(): DenyOptions {
  return {
    runs: size.denyRuns,
    onRun: (transport, done) => {
      if (done % 10 === 0)
        progress(`time to deny (${transport}): ${String(done)} of ${String(size.denyRuns)}`);
    },
  };
}

async function soakFailures(): Promise<readonly string[]> {
  const program = fileURLToPath(new URL('soak.js', import.meta.url));
  // Its results go where progress goes: with `--json` standard output is JSON alone.
  const child = fork(program, [String(size.soak)], { execArgv: ['--expose-gc'], stdio: [0, 2, 2, 'ipc'] });
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  return code === 0 ? [] : [`soak of ${String(size.soak)} decisions: exit ${String(code ?? signal)}`];
}

function counter(words: string, of: number): (done: number) => void {
  return (done) => {
    if (done < 1) progress(`${words} ${String(done)} (warming up)`);
    else if (done % 5 === 0 || done === of) progress(`${words} ${String(done)} of ${String(of)}`);
  };
}

function progress(line: string): void {
  process.stderr.write(`${line}\n`);
}

function write(results: Results): void {
  mkdirSync(new URL('./', resultsFile), { recursive: true });
  writeFileSync(resultsFile, `${JSON.stringify(results, null, 2)}\n`);
  updateReadme(fileURLToPath(new URL('../../README.md', resultsFile)), results);
}

function tableOf(rows: readonly ResultRow[]): string {
  const width = Math.max(...rows.map(({ name }) => name.length));
  const lines = rows.map(({ name, us, cpuUs, ratio }) => {
    const ratios = Object.entries(ratio).map(([other, value]) => `${value.toFixed(2)} x ${other}`);
    return `${name.padEnd(width)} ${us.toFixed(1).padStart(10)} ${cpuUs.toFixed(1).padStart(10)}  ${ratios.join(', ')}`;
  });
  const head = `${'µs for one call, medians'.padEnd(width)} ${'time'.padStart(10)} ${'CPU'.padStart(10)}`;
  return `${[head, ...lines].join('\n')}\n`;
}
