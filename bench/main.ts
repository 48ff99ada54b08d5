import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { attackScenarios } from './attacks.ts';
import { decisionScenarios } from './decisions.ts';
import { createPeer, joseScenario, oauthScenario } from './peers.ts';
import { updateReadme } from './readme.ts';
import { findFailures, machine, type ResultRow, type Results, resultRow } from './results.ts';
import { runRounds, type Scenario } from './rounds.ts';
import type { Curve } from './world.ts';

const usage = `npm run bench [-- --quick] [-- --check] [-- --json]

--quick   a short run: rough numbers, and nothing is written
--check   exit 1 and name the line where a bar of bench/README.md does not hold
--json    print the results as JSON instead of a table
`;

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (flags.help) process.stdout.write(usage);
else process.exitCode = await run();

async function run(): Promise<number> {
  const rounds = flags.quick ? 9 : 61;
  const rows = await measure(rounds);
  const results: Results = { machine: machine(rounds), rows };
  if (!flags.quick) write(results);
  process.stdout.write(flags.json ? `${JSON.stringify(results, null, 2)}\n` : tableOf(rows));
  const failures = flags.check ? findFailures(rows) : [];
  for (const failure of failures) process.stderr.write(`bar missed: ${failure}\n`);
  return failures.length === 0 ? 0 : 1;
}

async function measure(rounds: number): Promise<readonly ResultRow[]> {
  const scenarios: Scenario[] = [];
  const curves: readonly Curve[] = ['Ed25519', 'P-256'];
  for (const curve of curves) {
    const peer = await createPeer(curve);
    scenarios.push(joseScenario(peer), oauthScenario(peer), ...decisionScenarios(curve));
  }
  scenarios.push(...attackScenarios());
  const rows = await runRounds(scenarios, {
    rounds,
    calls: 100,
    onRound: (round) => progress(`decisions: round ${String(round)} of ${String(rounds)}`),
  });
  return rows.map(resultRow);
}

function progress(line: string): void {
  process.stderr.write(`${line}\n`);
}

function write(results: Results): void {
  const here = new URL('../', import.meta.url);
  mkdirSync(new URL('results/', here), { recursive: true });
  writeFileSync(new URL('results/latest.json', here), `${JSON.stringify(results, null, 2)}\n`);
  updateReadme(fileURLToPath(new URL('../README.md', here)), results);
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
