import type { ServerResponse } from 'node:http';
import type { Alarm } from '@bulla/verifier/log';
import { describe, expect, test } from 'vitest';
import { start, useStage } from './stage.ts';

const stage = useStage();

describe('answers that do not end, fit or stay', () => {
  const ignore = (): void => undefined;
  test.each<[string, Alarm['code'], (response: ServerResponse) => void]>([
    ['no answer', 'log_unreachable', ignore],
    [
      'a cut answer',
      'log_unreachable',
      (response) => void response.write('{"leaf"', () => response.destroy()),
    ],
    ['half a line', 'log_answer_invalid', (response) => response.end('{"leaf":"x"}\n{"che')],
    ['a line that never ends', 'log_answer_invalid', (response) => response.write('x'.repeat(70_000))],
    [
      'too many bytes',
      'log_answer_invalid',
      (response) => response.end(`{"leaf":"${'x'.repeat(65_000)}"}\n`.repeat(300)),
    ],
    ['not JSON', 'log_answer_invalid', (response) => response.end('hello\n')],
    ['a line with more', 'log_answer_invalid', (response) => response.end('{"leaf":"x","y":1}\n')],
    ['a leaf with a newline', 'log_answer_invalid', (response) => response.end('{"leaf":"x\\ny"}\n')],
    ['too many leaves', 'log_answer_invalid', (response) => response.end('{"leaf":"x"}\n'.repeat(1001))],
    ['an error', 'log_unreachable', (response) => response.writeHead(500).end()],
  ])('%s is an alarm, and what is known stays', async (_name, code, answer) => {
    const follower = stage().follow({
      transport: 'poll',
      timeouts: { answerSeconds: 0.5, idleSeconds: 0.5 },
    });
    await follower.ready;
    stage().alarms.length = 0;
    stage().log.entries = (_request, response) => answer(response);
    await stage().alarmed(code);
    expect([follower.trust.size, follower.trust.age(start + 9)]).toEqual([1, 9]);
    stage().log.entries = undefined;
    stage().grow('crew');
    await follower.until((trust) => trust.size === 2);
  });

  test('a redirect is not followed, wherever it leads', async () => {
    const follower = stage().follow({ transport: 'poll' });
    await follower.ready;
    const { log } = stage();
    log.entries = (request, response) => {
      if (request.url?.includes('&again') === true) response.end(log.lines(1));
      else response.writeHead(307, { location: `${request.url}&again` }).end();
    };
    stage().grow('crew');
    await stage().alarmed('log_unreachable');
    expect(follower.trust.size).toBe(1);
  });

  test('a stream that only drips bytes is cut, and polling goes on', async () => {
    let drips = 0;
    stage().log.stream = (_request, response) => {
      const timer = setInterval(() => {
        drips += 1;
        response.write(' ');
      }, 2);
      response.on('close', () => clearInterval(timer));
    };
    const follower = stage().follow({ timeouts: { answerSeconds: 1, idleSeconds: 0.05 } });
    await follower.ready;
    await stage().alarmed('log_unreachable');
    expect(drips).toBeGreaterThan(1);
    stage().grow('crew');
    await follower.until((trust) => trust.size === 2);
  });
});
