import { afterEach, expect, test } from 'vitest';
import { caep, EventWorld, type EventWorldOptions, risc } from '../kit/transmitter.ts';

let open: EventWorld | undefined;
afterEach(async () => open?.close());

async function create(options?: EventWorldOptions): Promise<EventWorld> {
  open = await EventWorld.create({ ...options, poll: true });
  return open;
}

test('what a transmitter has waiting is applied in order and acknowledged, more than one answer holds too', async () => {
  const events = await create();
  const { transmitter } = events;
  transmitter.perPoll = 1;
  const before = events.person()?.epoch ?? 0;
  const sets = await Promise.all(
    ['session-revoked', 'credential-change'].map((type) => transmitter.set(`${caep}${type}`, events.alice)),
  );
  const jtis = sets.map((set) => transmitter.offer(set));
  await transmitter.until(() => transmitter.waiting.size === 0);
  expect(transmitter.polls.flatMap(({ ack }) => ack ?? [])).toEqual(jtis);
  expect(events.person()?.epoch).toBe(before + 4);
  expect(
    transmitter.polls.every(
      ({ returnImmediately, maxEvents }) => returnImmediately === true && maxEvents === 15,
    ),
  ).toBe(true);
});

test('what never can be applied is told, and what cannot be applied now stays with the transmitter', async () => {
  const events = await create({ lease: { operations: ['principal.suspend'] } });
  const { transmitter } = events;
  const good = transmitter.offer(await transmitter.set(`${risc}account-disabled`, events.alice));
  const later = transmitter.offer(await transmitter.set(`${risc}account-enabled`, events.alice));
  const never = transmitter.offer(
    await transmitter.set(`${risc}account-disabled`, events.alice, { claims: { aud: 'x' } }),
  );
  await transmitter.until(() => transmitter.waiting.size === 1);
  const { polls } = transmitter;
  expect(polls.flatMap(({ ack }) => ack ?? [])).toEqual([good]);
  expect(polls.flatMap(({ setErrs }) => Object.entries(setErrs ?? {}))).toEqual([
    [never, { err: 'invalid_audience', description: expect.any(String) as unknown }],
  ]);
  expect([...transmitter.waiting.keys()]).toEqual([later]);
  expect(events.world.lines).toContainEqual(
    expect.objectContaining({ event: 'event_stream.postponed', stream: 'idp', code: 'event_not_applied' }),
  );
  expect(events.person()?.status).toBe('suspended');
});

test('a transmitter that does not answer, or answers nonsense, is asked again and the failure is logged', async () => {
  const events = await create();
  const { transmitter, world } = events;
  let asked = 0;
  transmitter.answer = (_request, response) => {
    asked += 1;
    response.statusCode = asked === 1 ? 500 : 200;
    response.end(asked === 2 ? 'no' : '{"sets":[]}');
    if (asked === 3) transmitter.answer = undefined;
  };
  transmitter.offer(await transmitter.set(`${risc}account-disabled`, events.alice));
  await transmitter.until(() => transmitter.waiting.size === 0);
  expect(events.person()?.status).toBe('suspended');
  const failures = world.lines.filter(({ event }) => event === 'event_stream.poll_failed');
  expect(failures.map(({ reason, level }) => [level, reason])).toEqual([
    ['warn', 'answer is not 200'],
    ['warn', 'answer is not JSON'],
    ['warn', 'answer has no `sets`'],
  ]);
});

test('an acknowledgement that was lost with the process is made up for: the SET comes again and does nothing', async () => {
  const events = await create();
  const { transmitter, world } = events;
  const before = events.person()?.epoch ?? 0;
  const set = await transmitter.set(`${caep}session-revoked`, events.alice);
  transmitter.offer(set);
  // The answer is the last that this process sees: it stops before it could acknowledge.
  await transmitter.until(() => transmitter.waiting.size === 0);
  await world.issuer.close();
  transmitter.offer(set);
  await world.start();
  await transmitter.until(() => transmitter.waiting.size === 0);
  expect(events.outcome).toBe('repeated');
  expect(events.person()?.epoch).toBe(before + 2);
});

test('a transmitter that says it has more and sends nothing is not asked in a loop', async () => {
  const events = await create();
  const { transmitter } = events;
  let asked = 0;
  transmitter.answer = (_request, response) => {
    asked += 1;
    response.end('{"sets":{},"moreAvailable":true}');
  };
  await new Promise((resolve) => setTimeout(resolve, 500));
  transmitter.answer = undefined;
  expect(asked).toBeGreaterThan(0);
  expect(asked).toBeLessThanOrEqual(12);
});

test('a transmitter with more than its rate is taken no faster', async () => {
  const events = await create({ stream: { perMinute: 4 } });
  const { transmitter } = events;
  for (const type of ['session-revoked', 'credential-change', 'session-revoked', 'credential-change']) {
    transmitter.offer(await transmitter.set(`${caep}${type}`, events.alice));
  }
  await transmitter.until(() => transmitter.waiting.size === 2);
  await expect
    .poll(() => events.world.lines)
    .toContainEqual(expect.objectContaining({ event: 'event_stream.postponed', code: 'rate_limited' }));
  expect(transmitter.waiting.size).toBe(2);
});
