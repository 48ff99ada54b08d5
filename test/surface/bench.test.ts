import { readFileSync } from 'node:fs';
import {
  findFailures,
  type ImportResult,
  importFailures,
  quantile,
  type ResultRow,
  type Results,
  replaceTable,
  resultRow,
  summarise,
  writeTable,
} from '@bulla/bench';
import { expect, test } from 'vitest';

const row = (name: string, us: number, ratio: Readonly<Record<string, number>> = {}): ResultRow => ({
  name,
  us,
  cpuUs: us,
  ratio,
});

const good: readonly ResultRow[] = [
  row('decision.warm.p10.e1.ed25519', 120, { 'jose.jwtVerify.ed25519': 1.5 }),
  row('decision.warm.p10.e1.es256', 120, { 'jose.jwtVerify.es256': 1.3 }),
  row('attack.replayed', 90, { 'allow.cold.plain': 1.05 }),
  row('deny.stream.p99', 40_000),
  row('deny.poll.p99', 999_999),
  row('deny.scim.p99', 999_999),
];

test('the bars hold at their edge', () => {
  expect(findFailures(good)).toEqual([]);
});

test.each([
  row('decision.warm.p10.e1.ed25519', 120, { 'jose.jwtVerify.ed25519': 1.501 }),
  row('decision.warm.p10.e1.es256', 120, { 'jose.jwtVerify.es256': 1.31 }),
  row('attack.replayed', 90, { 'allow.cold.plain': 1.06 }),
  row('attack.replayed', 90, { 'allow.cold.plain': Number.NaN }),
  row('deny.stream.p99', 1_000_000),
  row('deny.poll.p99', Number.NaN),
  row('deny.scim.p99', 1_000_000),
])('a missed bar names its row: $name $ratio', (bad) => {
  const failures = findFailures(good.map((one) => (one.name === bad.name ? bad : one)));
  expect(failures).toHaveLength(1);
  expect(failures[0]).toContain(`${bad.name}: `);
});

test('a row that was not measured is a missed bar', () => {
  expect(findFailures([])).toHaveLength(6);
});

test('ratios are taken within a round, then the median of them', () => {
  const rows = summarise(
    [
      { name: 'ours', against: ['theirs'] },
      { name: 'theirs', against: [] },
    ],
    new Map([
      ['ours', [2, 20, 300].map((us) => ({ us, cpuUs: us / 2 }))],
      ['theirs', [1, 10, 100].map((us) => ({ us, cpuUs: us }))],
    ]),
  );
  expect(rows).toEqual([
    { name: 'ours', us: 20, cpuUs: 10, ratio: { theirs: 2 }, cpuRatio: { theirs: 1 } },
    { name: 'theirs', us: 10, cpuUs: 10, ratio: {}, cpuRatio: {} },
  ]);
});

test('a ratio with a scenario that was not run is no number', () => {
  const [only] = summarise(
    [{ name: 'ours', against: ['theirs'] }],
    new Map([['ours', [{ us: 1, cpuUs: 1 }]]]),
  );
  expect(only?.ratio['theirs']).toBeNaN();
});

test('attacks are compared by CPU time, all else by time', () => {
  const measured = { us: 1, cpuUs: 2, ratio: { other: 1 }, cpuRatio: { other: 2 } };
  expect(resultRow({ name: 'attack.replayed', ...measured }).ratio).toEqual({ other: 2 });
  expect(resultRow({ name: 'decision.warm', ...measured })).toEqual({
    name: 'decision.warm',
    us: 1,
    cpuUs: 2,
    ratio: { other: 1 },
  });
});

test('quantiles: middle of two, nearest rank, nothing from nothing', () => {
  expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
  expect(
    quantile(
      Array.from({ length: 100 }, (_, index) => index + 1),
      0.99,
    ),
  ).toBe(99);
  expect(quantile([], 0.5)).toBeNaN();
  expect(quantile([1, Number.NaN, 2], 0.99)).toBeNaN();
});

test('the table comes from the results, between the markers', () => {
  const machine: Results['machine'] = {
    cpu: 'Abacus',
    cores: 2,
    os: 'linux',
    node: 'v20.19.0',
    day: '2026-01-02',
    rounds: 3,
  };
  const table = writeTable({ machine, rows: good });
  expect(table).toContain(
    'Medians of 3 interleaved rounds of one run, 2026-01-02: Abacus, 2 cores, node 20.19.0.',
  );
  expect(table).toContain(
    '| full decision: 10 policies, 1 entity, a question asked before | 120 µs | 120 µs | 1.50 |',
  );
  expect(table).not.toContain('oauth4webapi` access token');
  const readme = 'before\n<!-- bench:start -->\nold\n<!-- bench:end -->\nafter\n';
  expect(replaceTable(readme, 'new')).toBe('before\n<!-- bench:start -->\nnew\n<!-- bench:end -->\nafter\n');
  expect(() => replaceTable('no markers', 'new')).toThrow('markers');
});

test("the README's table is what the latest results say, and they hold the bars", () => {
  const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
  const results = JSON.parse(read('bench/results/latest.json')) as Results;
  const readme = read('README.md');
  expect(replaceTable(readme, writeTable(results))).toBe(readme);
  expect(findFailures(results.rows)).toEqual([]);
});

test('an import may keep what the log says of each person, and no more', () => {
  const grown = (heapMiB: number): ImportResult => ({
    users: 1024,
    groups: 10,
    usersPerSecond: 300,
    membersPerSecond: 900,
    memory: [
      { users: 0, heapMiB: 20, residentMiB: 100 },
      { users: 1024, heapMiB, residentMiB: 100 },
    ],
  });
  expect(importFailures(grown(27.9))).toEqual([]);
  expect(importFailures(grown(28))).toHaveLength(1);
  expect(importFailures({ ...grown(20), memory: [] })).toHaveLength(1);
});
