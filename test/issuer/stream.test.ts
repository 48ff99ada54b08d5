import { type IssuerConfig, type RunningIssuer, serveIssuer } from '@bulla/issuer';
import { afterEach, expect, test } from 'vitest';
import { IssuerWorld, readToken } from '../kit/issuer.ts';

let world: IssuerWorld;
let running: RunningIssuer;
const start = async (config: Partial<IssuerConfig> = {}): Promise<void> => {
  world = await IssuerWorld.create({ config });
  await world.issuer.close();
  running = await serveIssuer(world.config, world.ports);
};
afterEach(async () => {
  await running.close();
  await world.start();
  await world.remove();
});

const open = async (from: number, signal?: AbortSignal): Promise<Response> =>
  fetch(`${running.url}${world.base}/log/stream?from=${from}`, {
    headers: { authorization: `Bearer ${readToken}` },
    ...(signal !== undefined && { signal }),
  });

async function* linesOf(response: Response): AsyncGenerator<Record<string, string>> {
  let rest = '';
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    const lines = (rest + Buffer.from(chunk).toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield JSON.parse(line) as Record<string, string>;
  }
}

test('a stream gives the log, then each new entry with its checkpoint, then checkpoints alone', async () => {
  await start({ checkpointSeconds: 0.1 });
  const lines = linesOf(await open(3));
  const next = async (): Promise<Record<string, string>> => {
    const { value } = await lines.next();
    return value as Record<string, string>;
  };
  for (const leaf of world.ledger.leaves.slice(3)) expect(await next()).toEqual({ leaf });
  expect(Object.keys(await next())).toEqual(['checkpoint']);
  world.ledger.group('fresh');
  const posted = await fetch(`${running.url}${world.base}/log/entries`, {
    method: 'POST',
    headers: { authorization: `Bearer ${readToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ leaf: world.ledger.lastLeaf }),
  });
  expect(posted.status).toBe(201);
  let line = await next();
  while (line['leaf'] === undefined) line = await next();
  expect(line).toEqual({ leaf: world.ledger.lastLeaf });
  const covering = await next();
  expect(covering['checkpoint']?.split('\n')[1]).toBe(String(world.ledger.leaves.length));
  // Signed anew although nothing happened: another second, another signature.
  expect((await next())['checkpoint']).not.toBe(covering['checkpoint']);
  await lines.return(undefined);
});

test('closing ends open streams in order', async () => {
  await start();
  const response = await open(0);
  const lines = linesOf(response);
  await lines.next();
  await running.close();
  let count = 0;
  for await (const _ of lines) count += 1;
  expect(count).toBe(world.ledger.leaves.length);
});

test('a stream above the cap is refused, and a place is free again when one ends', async () => {
  await start({ maxStreams: 1, checkpointSeconds: 0.05 });
  const controller = new AbortController();
  const first = await open(0, controller.signal);
  expect(first.status).toBe(200);
  expect((await open(0)).status).toBe(429);
  controller.abort();
  await expect
    .poll(
      async () => {
        const again = await open(0);
        await again.body?.cancel();
        return again.status;
      },
      { timeout: 5000 },
    )
    .toBe(200);
});

test('a reader that takes nothing is cut off', async () => {
  world = await IssuerWorld.create({ config: { checkpointSeconds: 0.05, maxStreamStallSeconds: 20 } });
  running = { url: '', close: async () => world.issuer.close() };
  const reader = (await world.get('/log/stream?from=0')).body?.getReader();
  world.ahead = 19;
  const again = async () => (await world.get('/log/checkpoint')).text();
  const before = await again();
  await expect.poll(again).not.toBe(before);
  expect(world.lines.some(({ event }) => event === 'stream.stalled')).toBe(false);
  world.ahead = 21;
  await expect.poll(() => world.lines.some(({ event }) => event === 'stream.stalled')).toBe(true);
  await expect(reader?.read()).rejects.toMatchObject({ code: 'rate_limited' });
});
