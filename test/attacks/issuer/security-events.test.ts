import { afterEach, describe, expect, test } from 'vitest';
import { provisioning } from '../../kit/issuer.ts';
import { newSigner } from '../../kit/log.ts';
import {
  caep,
  EventWorld,
  type EventWorldOptions,
  jtiOf,
  receiver,
  risc,
  Transmitter,
} from '../../kit/transmitter.ts';

let open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.map((each) => each.close()));
  open = [];
});

async function create(options?: EventWorldOptions): Promise<EventWorld> {
  const events = await EventWorld.create(options);
  open.push(events);
  return events;
}

const now = (): number => Math.floor(Date.now() / 1000);
const disabled = `${risc}account-disabled`;

describe('a SET that mallory made', () => {
  test('is refused for what is wrong with it, does nothing, and its claims are in no answer', async () => {
    const events = await create();
    const { transmitter, alice } = events;
    const mallory = await Transmitter.start();
    open.push(mallory);
    const good = { iss: transmitter.issuer, aud: receiver, jti: 'jti-of-mallory', iat: now(), sub_id: alice };
    const claims = { ...good, events: { [disabled]: {} } };
    const set = async (change: object = {}, header: object = {}) =>
      transmitter.sign({ ...claims, ...change }, { ...header });
    const honest = await set();
    const [header = '', payload = '', signature = ''] = honest.split('.');
    const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const publicKey = Buffer.from(JSON.stringify(transmitter.keys[0]));
    const wrong: readonly (readonly [name: string, set: string, err: string])[] = [
      ['another key under its kid', await mallory.sign(claims), 'invalid_key'],
      ['a kid that is not published', await set({}, { kid: 't2' }), 'invalid_key'],
      [
        'an HMAC with the public key',
        await transmitter.sign(claims, { alg: 'HS256' }, publicKey),
        'invalid_key',
      ],
      ['no signature', `${encode({ alg: 'none', typ: 'secevent+jwt' })}.${payload}.`, 'invalid_request'],
      [
        '`none` over a signature',
        `${encode({ alg: 'none', typ: 'secevent+jwt', kid: 't1' })}.${payload}.${signature}`,
        'invalid_key',
      ],
      ['another payload', `${header}.${encode({ ...claims, iat: now() - 1 })}.${signature}`, 'invalid_key'],
      ['a key of its own in the header', await set({}, { jwk: mallory.keys[0] }), 'invalid_request'],
      [
        'an address of keys in the header',
        await set({}, { jku: `${mallory.issuer}/jwks` }),
        'invalid_request',
      ],
      ['an ID token', await set({}, { typ: 'JWT' }), 'invalid_request'],
      ['no type', await set({}, { typ: undefined }), 'invalid_request'],
      ['another issuer', await set({ iss: mallory.issuer }), 'invalid_issuer'],
      ['an issuer with a slash', await set({ iss: `${transmitter.issuer}/` }), 'invalid_issuer'],
      ['another audience', await set({ aud: 'https://else.example' }), 'invalid_audience'],
      [
        'audiences without ours',
        await set({ aud: ['https://else.example', `${receiver}/`] }),
        'invalid_audience',
      ],
      ['no audience', await set({ aud: undefined }), 'invalid_audience'],
      ['an `exp`', await set({ exp: now() + 60 }), 'invalid_request'],
      ['a `sub`', await set({ sub: 'alice' }), 'invalid_request'],
      ['no `jti`', await set({ jti: undefined }), 'invalid_request'],
      ['a `jti` that is no text', await set({ jti: 7 }), 'invalid_request'],
      ['an endless `jti`', await set({ jti: 'x'.repeat(257) }), 'invalid_request'],
      ['no `iat`', await set({ iat: undefined }), 'invalid_request'],
      ['an `iat` ahead', await set({ iat: now() + 120 }), 'invalid_request'],
      ['an `iat` of last week', await set({ iat: now() - 604_800 }), 'invalid_request'],
      [
        'an event ahead',
        await set({ events: { [disabled]: { event_timestamp: now() + 3600 } } }),
        'invalid_request',
      ],
      [
        'an event ahead, in milliseconds',
        await set({ events: { [disabled]: { event_timestamp: (now() + 3600) * 1000 } } }),
        'invalid_request',
      ],
      ['a `toe` that is no number', await set({ toe: 'now' }), 'invalid_request'],
      ['no subject', await set({ sub_id: undefined }), 'invalid_request'],
      ['a subject that is text', await set({ sub_id: 'alice' }), 'invalid_request'],
      ['no events', await set({ events: {} }), 'invalid_request'],
      ['events in a list', await set({ events: [disabled] }), 'invalid_request'],
      ['an event that is text', await set({ events: { [disabled]: 'x' } }), 'invalid_request'],
      [
        'too many events',
        await set({ events: Object.fromEntries(Array.from({ length: 9 }, (_, n) => [`urn:x:${n}`, {}])) }),
        'invalid_request',
      ],
      ['too many bytes', await set({ more: 'x'.repeat(16_384) }), 'invalid_request'],
      ['four parts', `${honest}.${signature}`, 'invalid_request'],
      ['padding', `${honest}=`, 'invalid_request'],
      ['nothing', '', 'invalid_request'],
    ];
    for (const [name, wrongSet, err] of wrong) {
      const response = await events.push(wrongSet);
      const text = await response.text();
      expect([response.status, (JSON.parse(text) as { err: string }).err], name).toEqual([400, err]);
      expect(text, name).not.toMatch(/mallory|alice|corp\.example/u);
    }
    expect(events.person()?.status).toBe('active');
    expect(events.outcome).toBeUndefined();
    expect(await events.pushed(honest)).toBe('202');
    expect(events.person()?.status).toBe('suspended');
  });

  test('by a key that the stream does not pin is refused, though the transmitter publishes it', async () => {
    const events = await create({ stream: { keys: ['w'.repeat(43)] } });
    expect(await events.pushed(await events.transmitter.set(disabled, events.alice))).toBe('400 invalid_key');
    expect(events.person()?.status).toBe('active');
  });

  test('by a key that is pinned is taken', async () => {
    const transmitter = await Transmitter.start('ES256');
    open.push(transmitter);
    const events = await create({
      stream: { issuer: transmitter.issuer, keys: [transmitter.thumbprint] },
    });
    expect(await events.pushed(await transmitter.set(disabled, events.alice))).toBe('202');
    expect(events.person()?.status).toBe('suspended');
  });
});

describe('whoever delivers', () => {
  test('without the secret learns neither which streams there are nor makes the issuer fetch keys', async () => {
    const events = await create();
    let asked = 0;
    events.transmitter.answer = (_request, response) => {
      asked += 1;
      response.end('{}');
    };
    const set = await events.transmitter.set(disabled, events.alice);
    const answers = await Promise.all([
      events.push(set, { headers: { authorization: 'Bearer wrong' } }),
      events.push(set, { headers: { authorization: '' } }),
      events.push(set, { stream: 'okta' }),
      events.push(set, { stream: '__proto__' }),
    ]);
    const texts = await Promise.all(answers.map(async (answer) => `${answer.status} ${await answer.text()}`));
    expect(new Set(texts)).toEqual(
      new Set(['400 {"err":"authentication_failed","description":"transmitter could not be authenticated"}']),
    );
    expect(asked).toBe(0);
  });

  test('floods is told to wait, before anything is verified', async () => {
    const events = await create({ stream: { perMinute: 6 } });
    const answers = await Promise.all(Array.from({ length: 5 }, () => events.pushed('x')));
    expect(answers.filter((answer) => answer === '429 rate_limited')).toHaveLength(2);
  });

  test('another content type, or an encoded body, is refused', async () => {
    const events = await create();
    const set = await events.transmitter.set(disabled, events.alice);
    for (const headers of [{ 'content-type': 'application/json' }, { 'content-encoding': 'gzip' }]) {
      expect(await events.pushed(set, { headers })).toBe('400 invalid_request');
    }
  });
});

describe('a SET that is delivered again', () => {
  test('does nothing, be it at once, ten times together, or after a restart', async () => {
    const events = await create();
    const { transmitter, world } = events;
    const set = await transmitter.set(`${caep}session-revoked`, events.alice);
    const before = events.person()?.epoch ?? 0;
    const answers = await Promise.all(Array.from({ length: 10 }, () => events.pushed(set)));
    expect(new Set(answers)).toEqual(new Set(['202']));
    expect(events.person()?.epoch).toBe(before + 2);
    await world.restart();
    expect(await events.pushed(set)).toBe('202');
    expect(events.outcome).toBe('repeated');
    expect(events.person()?.epoch).toBe(before + 2);
  });

  test('by two processes of one issuer, at the same moment, does it once', async () => {
    const events = await create();
    const { transmitter, world } = events;
    const first = world.issuer;
    await world.start();
    const second = world.issuer;
    const set = await transmitter.set(`${caep}session-revoked`, events.alice);
    const before = events.person()?.epoch ?? 0;
    const answers = await Promise.all(
      [first, second].map(async (issuer) => {
        world.issuer = issuer;
        return events.pushed(set);
      }),
    );
    expect(answers).toEqual(['202', '202']);
    await first.close();
    await world.hosted.log.tick();
    expect(events.person()?.epoch).toBe(before + 2);
  });

  test('once it is too old to be remembered is refused as too old', async () => {
    const time = now();
    const events = await create({ now: time, stream: { maxAgeSeconds: 60 } });
    const set = await events.transmitter.set(disabled, events.alice, { claims: { iat: time - 59 } });
    expect(await events.pushed(set)).toBe('202');
    for (const ahead of [1, 2, 60, 120, 3600]) {
      events.world.ahead = ahead;
      expect(['202', '400 invalid_request']).toContain(await events.pushed(set));
    }
    expect(await events.pushed(set)).toBe('400 invalid_request');
  });
});

describe('what the lease does not allow', () => {
  test('is not acknowledged, leaves no trace, and is applied once it is allowed', async () => {
    const events = await create({ lease: { operations: ['principal.resume'] } });
    const { transmitter, world } = events;
    const set = await transmitter.set(disabled, events.alice);
    const size = world.hosted.log.world.size;
    expect(await events.pushed(set)).toBe('503 event_not_applied');
    expect(await events.pushed(set)).toBe('503 event_not_applied');
    expect(world.hosted.log.world.size).toBe(size);
    expect(world.lines).toContainEqual(
      expect.objectContaining({ level: 'error', outcome: 'refused', code: 'rule_operation_unlisted' }),
    );
  });

  test('half of it is not done: who may suspend and not resume ends no sessions', async () => {
    const events = await create({ lease: { operations: ['principal.suspend'] } });
    const set = await events.transmitter.set(`${caep}session-revoked`, events.alice);
    expect(await events.pushed(set)).toBe('503 event_not_applied');
    expect(events.person()?.status).toBe('active');
  });

  test('a transmitter that empties the company runs into the cap', async () => {
    const caps = { provisions: 0, provisionsPerHour: 0, removals: 1, removalsPerHour: 1 };
    const events = await create({ lease: { caps } });
    const { transmitter } = events;
    expect(await events.pushed(await transmitter.set(disabled, events.alice))).toBe('202');
    await events.pushed(await transmitter.set(`${risc}account-enabled`, events.alice));
    expect(await events.pushed(await transmitter.set(disabled, events.alice))).toBe('503 event_not_applied');
    expect(events.person()?.status).toBe('active');
  });
});

test('nobody is shielded by another who claims the same address', async () => {
  const events = await create();
  const { transmitter } = events;
  await events.provision('mallory', ['alice@corp.example']);
  expect(await events.pushed(await transmitter.set(disabled, events.alice))).toBe('202');
  expect(events.person()?.status).toBe('suspended');
  expect(await events.pushed(await transmitter.set(`${risc}account-enabled`, events.alice))).toBe('202');
  expect(events.outcome).toBe('ambiguous');
  expect(events.person()?.status).toBe('suspended');
});

test('nobody is shielded by a crowd that claims the same address, where they are called so themselves', async () => {
  const events = await create();
  const { transmitter } = events;
  const crowd = Array.from({ length: 9 }, (_, index) => `mallory${index}`);
  for (const name of crowd) await events.provision(name, ['alice@corp.example']);
  expect(await events.pushed(await transmitter.set(disabled, events.alice))).toBe('202');
  expect(events.outcome).toBe('applied');
  expect(events.person()?.status).toBe('suspended');
});

test('nobody is shielded by somebody of another connection, whom the lease of the stream does not reach', async () => {
  const events = await create({ lease: { connection: 'okta' } });
  const { transmitter, world } = events;
  const signer = newSigner();
  const lease = world.ledger.lease({ operations: provisioning, connection: 'entra' });
  await events.admin({ type: 'delegate.grant', key: signer.publicKey.jwk, lease }, [signer]);
  const entra = { ...world.okta, name: 'connection/entra', signer };
  const userName = 'mallory@corp.example';
  await world.hosted.people.provision(
    { ...entra, config: { ...world.okta.config, name: 'entra' } },
    { userName, externalId: null, body: { userName, emails: [{ value: 'alice@corp.example' }] } },
  );
  expect(await events.pushed(await transmitter.set(disabled, events.alice))).toBe('202');
  expect(events.outcome).toBe('applied');
  expect(events.person()?.status).toBe('suspended');
});

describe('a transmitter that is polled', () => {
  test('may list a SET under its own `jti` only', async () => {
    const events = await create({ poll: true });
    const { transmitter } = events;
    const set = await transmitter.set(disabled, events.alice);
    transmitter.offer(set, 'another');
    const told = () => transmitter.polls.flatMap(({ setErrs }) => Object.entries(setErrs ?? {}));
    await transmitter.until(() => told().length > 0);
    expect(told()[0]).toMatchObject(['another', { err: 'invalid_request' }]);
    expect(events.person()?.status).toBe('active');
    expect(jtiOf(set)).not.toBe('another');
  });
});
