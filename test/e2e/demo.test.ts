import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');

interface Report {
  readonly scenes: readonly {
    readonly lines: readonly { readonly outcome: string; readonly because?: string }[];
  }[];
  readonly receipt: { readonly outcome: string; readonly code: string };
  readonly timeToDenyMilliseconds: { readonly rounds: number; readonly p99: number };
}

test('the demo tells its story to the end', () => {
  const source = ['--import=tsx', '--conditions=@bulla/source', path.join(root, 'cli/main.ts')];
  const printed = execFileSync(process.execPath, [...source, 'demo', '--rounds', '2', '--json'], {
    cwd: root,
    encoding: 'utf8',
  });
  const { scenes, receipt, timeToDenyMilliseconds } = JSON.parse(printed) as Report;
  const refused = scenes.flatMap(({ lines }) => lines).filter(({ outcome }) => outcome === 'refused');
  expect(refused.map(({ because }) => because?.split(/[ :]/u)[0])).toEqual([
    'policy_denied',
    'policy_denied',
    'proof_replayed',
    'proof_key_mismatch',
    'proof_content_mismatch',
    'holder_key_not_live',
    'agent_not_active',
  ]);
  expect(receipt).toMatchObject({ outcome: 'refuse', code: 'agent_not_active' });
  expect(timeToDenyMilliseconds.rounds).toBe(2);
  expect(printed).not.toMatch(/eyJ[\w-]+\.eyJ/u);
});
