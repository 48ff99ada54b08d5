import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EventWorld, receiver, vectors } from '../kit/transmitter.ts';

/** The examples of SSF 1.0, CAEP 1.0 and RISC 1.0 that are whole SETs. */
const examples = existsSync(process.env['BULLA_VECTORS'] ?? '../shared/vectors')
  ? ['ssf-examples.json', 'risc-examples.json'].flatMap((file) =>
      vectors(file).flatMap(({ caption, json }) =>
        json?.['events'] === undefined ? [] : [{ caption: `${file}: ${caption ?? ''}`, json }],
      ),
    )
  : [];

let events: EventWorld;
beforeAll(async () => {
  if (examples.length > 0)
    events = await EventWorld.create({ stream: { subjectIssuers: ['https://idp.example.com/'] } });
});
afterAll(async () => {
  if (examples.length > 0) await events.close();
});

describe.skipIf(examples.length === 0)('the example SETs of the specifications', () => {
  test.each(examples)('$caption', async ({ json }) => {
    const { transmitter } = events;
    // Theirs, but for who sends it to whom, and when.
    const own = { iss: transmitter.issuer, aud: receiver, iat: Math.floor(Date.now() / 1000) };
    const set = await transmitter.sign({ ...json, ...own, jti: crypto.randomUUID() });
    expect(await events.pushed(set)).toBe('202');
    expect(['unknown', 'ignored']).toContain(events.outcome);
  });
});
