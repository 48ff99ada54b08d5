import { readFileSync, writeFileSync } from 'node:fs';
import type { ImportResult, ResultRow, Results } from './results.ts';

const start = '<!-- bench:start -->';
const end = '<!-- bench:end -->';

/** The rows that a reader of the README wants, in words. All others are in `bench/results/latest.json`. */
const told: readonly (readonly [row: string, words: string, against?: string])[] = [
  ['jose.jwtVerify.ed25519', '`jose` `jwtVerify` alone: one signature, no proof, no policy'],
  [
    'decision.warm.p10.e1.asked.ed25519',
    'full decision: 10 policies, 1 entity, a new question to Cedar',
    'jose.jwtVerify.ed25519',
  ],
  [
    'decision.warm.p10.e1.ed25519',
    'full decision: 10 policies, 1 entity, a question asked before',
    'jose.jwtVerify.ed25519',
  ],
  [
    'decision.warm.p10.e1.narrow.ed25519',
    'the same with a narrowing block, a question asked before',
    'jose.jwtVerify.ed25519',
  ],
  [
    'decision.cold.p10.e1.ed25519',
    'full decision, envelope never seen, a question asked before',
    'jose.jwtVerify.ed25519',
  ],
  [
    'decision.cold.p10.e1.narrow.ed25519',
    'full decision, envelope and its narrowing block never seen',
    'jose.jwtVerify.ed25519',
  ],
  [
    'oauth4webapi.validateJwtAccessToken.ed25519',
    '`oauth4webapi` access token with DPoP: no replay store, no policy',
    'jose.jwtVerify.ed25519',
  ],
  ['jose.jwtVerify.es256', '`jose` `jwtVerify` alone, ES256'],
  [
    'decision.warm.p10.e1.asked.es256',
    'full decision, ES256, a new question to Cedar',
    'jose.jwtVerify.es256',
  ],
  ['decision.warm.p10.e1.es256', 'full decision, ES256, a question asked before', 'jose.jwtVerify.es256'],
  ['oauth4webapi.validateJwtAccessToken.es256', '`oauth4webapi` with DPoP, ES256', 'jose.jwtVerify.es256'],
  ['chain.cold.b3', 'a chain of 3 blocks, never seen (× biscuit-wasm)', 'chain.biscuit.cold.b3'],
  ['chain.cold.new.b3', 'the same, and its limits never seen (× biscuit-wasm)', 'chain.biscuit.cold.b3'],
  ['chain.warm.b3', 'a chain of 3 blocks, seen before (× biscuit-wasm)', 'chain.biscuit.warm.b3'],
  ['chain.biscuit.cold.b3', '`biscuit-wasm`, 3 blocks, parsed and authorized: no proof, no replay store'],
  ['chain.biscuit.warm.b3', '`biscuit-wasm`, 3 blocks, token kept: authorized alone, no signature'],
  ['chain.ucanto.cold.b3', '`@ucanto/validator`, 3 delegations after the first, and the invocation'],
  [
    'federated.cold.rs256',
    'a root with an RSA-2048 token of an outside issuer, never seen (× a logged key)',
    'chain.cold.b0',
  ],
  ['http.hono.jose.ed25519', 'a request to Hono with `jose` (CPU: the server)'],
  [
    'http.hono.bulla.ed25519',
    'a request to Hono with the guard, a question asked before (CPU: the server)',
    'http.hono.jose.ed25519',
  ],
  [
    'http.hono.bulla.asked.ed25519',
    'a request to Hono with the guard, a new question to Cedar (CPU: the server)',
    'http.hono.jose.ed25519',
  ],
  ['deny.stream.p99', 'from a suspension to the first refusal, p99, stream'],
  ['deny.poll.p99', 'from a suspension to the first refusal, p99, polling'],
  [
    'deny.scim.p99',
    'from SCIM `active: false` to the first refusal by the last of 5 following verifiers, p99',
  ],
];

/** The README's table, from the results alone. Rows that were not measured are left out. */
export function writeTable({ machine, rows, import: imported }: Results): string {
  const byName = new Map(rows.map((row) => [row.name, row]));
  const lines = told.flatMap(([name, words, against]) => {
    const row = byName.get(name);
    return row === undefined ? [] : [tableLine(row, words, against)];
  });
  return [
    `Medians of ${String(machine.rounds)} interleaved rounds of one run, ${machine.day}: ${machine.cpu}, ${String(machine.cores)} cores, node ${machine.node.slice(1)}.`,
    'Ratios are of time; for Hono, of CPU. [bench/](bench/README.md) says what each row includes.',
    '',
    '| one at a time | time | CPU | × `jose` |',
    '|---|--:|--:|--:|',
    ...lines,
    ...(imported === undefined ? [] : ['', importLine(imported)]),
  ].join('\n');
}

function importLine({ users, groups, usersPerSecond, membersPerSecond, memory }: ImportResult): string {
  const [first, last] = [memory[0]?.heapMiB ?? 0, memory.at(-1)?.heapMiB ?? 0];
  return `A first import over SCIM: ${String(users)} users at ${usersPerSecond.toFixed(0)} a second, ${String(groups)} groups at ${membersPerSecond.toFixed(0)} members a second; the issuer's heap grew from ${first.toFixed(0)} to ${last.toFixed(0)} MiB.`;
}

function tableLine(row: ResultRow, words: string, against: string | undefined): string {
  const ratio = against === undefined ? undefined : row.ratio[against];
  const cpu = row.name.startsWith('deny.') ? '' : duration(row.cpuUs);
  return `| ${words} | ${duration(row.us)} | ${cpu} | ${ratio === undefined ? '' : ratio.toFixed(2)} |`;
}

function duration(us: number): string {
  return us < 10_000 ? `${us.toFixed(0)} µs` : `${(us / 1000).toFixed(0)} ms`;
}

/** @throws {Error} where the README has no markers. */
export function replaceTable(readme: string, table: string): string {
  const from = readme.indexOf(start);
  const to = readme.indexOf(end);
  if (from < 0 || to < from) throw new Error('README has no markers for the table of numbers');
  return `${readme.slice(0, from + start.length)}\n${table}\n${readme.slice(to)}`;
}

/** Rewrites the table in the file. */
export function updateReadme(path: string, results: Results): void {
  writeFileSync(path, replaceTable(readFileSync(path, 'utf8'), writeTable(results)));
}
