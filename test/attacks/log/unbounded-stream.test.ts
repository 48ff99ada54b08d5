import type { ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { useStage } from '../../verifier/log-tree/stage.ts';

// A follower holds the leaves that no checkpoint covers: a log that never sends one would fill its memory.

const stage = useStage();

/** Sends `line` until the other side has enough, at most `most` times. */
function pour(response: ServerResponse, line: string, most: number): { readonly sent: () => number } {
  let sent = 0;
  const push = (): void => {
    while (!response.destroyed && sent < most) {
      sent += 1;
      if (!response.write(line)) {
        response.once('drain', push);
        return;
      }
    }
  };
  push();
  return { sent: () => sent };
}

test.each([
  ['large leaves', `${JSON.stringify({ leaf: 'x'.repeat(60_000) })}\n`, 2000],
  ['small leaves', '{"leaf":"x"}\n', 500_000],
])('a stream of %s without a checkpoint is ended, and polling goes on', async (_, line, most) => {
  let poured: ReturnType<typeof pour> | undefined;
  stage().log.stream = (_request, response) => {
    poured ??= pour(response, line, most);
  };
  const follower = stage().follow();
  await follower.ready;
  await stage().alarmed('log_answer_invalid');
  expect(poured?.sent()).toBeLessThan(most);
  stage().grow('crew');
  await follower.until((trust) => trust.size === 2);
});

test('a stream may go on for ever where checkpoints cover what it brings', async () => {
  stage().log.openStreams();
  const follower = stage().follow();
  await follower.ready;
  for (let round = 0; round < 3; round += 1) {
    for (let index = 0; index < 500; index += 1) stage().log.ledger.group(`g${round}-${index}`);
    stage().log.publish();
    await follower.until((trust) => trust.size === 1 + 500 * (round + 1));
  }
  expect(stage().alarms).toEqual([]);
});

test('leaves that break rules, under a size that was signed and never comes, are taken up to a cap', async () => {
  const follower = stage().follow();
  await follower.ready;
  const { log } = stage();
  const note = log.sign({ size: 2 ** 40 });
  let asked = 0;
  log.entries = (request, response) => {
    asked = Math.max(asked, Number(new URL(request.url ?? '/', 'http://log').searchParams.get('from')));
    response.end(`${'{"leaf":"x"}\n'.repeat(1000)}${JSON.stringify({ checkpoint: note })}\n`);
  };
  await stage().alarmed('log_answer_invalid');
  expect(asked).toBeLessThanOrEqual(10_001);
  expect(follower.trust.size).toBe(1);
});
