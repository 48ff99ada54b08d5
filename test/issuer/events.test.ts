import { ConfigError, createIssuer, resources } from '@bulla/issuer';
import { principalIdOf } from '@bulla/verifier/log';
import { afterEach, describe, expect, test } from 'vitest';
import {
  caep,
  EventWorld,
  type EventWorldOptions,
  pushHeaders,
  risc,
  scimEvent,
  ssf,
  Transmitter,
} from '../kit/transmitter.ts';

let open: EventWorld[] = [];
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

describe('an event that is pushed', () => {
  test('disables an account: the person and whatever they own are stopped until it is enabled again', async () => {
    const events = await create();
    const { transmitter, world } = events;
    const before = events.person()?.epoch ?? 0;
    expect(await events.pushed(await transmitter.set(`${risc}account-disabled`, events.alice))).toBe('202');
    expect(events.person()).toMatchObject({ status: 'suspended', epoch: before + 1 });
    expect((await world.token()).status).toBe(401);
    expect(await events.pushed(await transmitter.set(`${risc}account-enabled`, events.alice))).toBe('202');
    expect(events.person()).toMatchObject({ status: 'active', epoch: before + 2 });
    // Coming back does not bring agents back.
    expect((await world.token()).status).toBe(401);
  });

  test('ends sessions: the epoch is raised, agents fall, the person and their keys stay', async () => {
    const events = await create();
    const { transmitter, world } = events;
    const before = events.person();
    expect((await world.token()).status).toBe(200);
    expect(await events.pushed(await transmitter.set(`${caep}session-revoked`, events.alice))).toBe('202');
    expect(events.person()).toMatchObject({
      ...before,
      version: expect.anything() as unknown,
      epoch: (before?.epoch ?? 0) + 2,
    });
    expect((await world.token()).status).toBe(401);
  });

  test.each([
    ['session-revoked', 2],
    ['session-established', 0],
  ])('that two issuers of one database receive at once counts once: %s', async (type, raised) => {
    const events = await create();
    const { transmitter, world } = events;
    const before = events.person()?.epoch ?? 0;
    const second = await createIssuer(world.config, world.ports);
    const set = await transmitter.set(`${caep}${type}`, events.alice);
    const headers = pushHeaders;
    const other = second.app.request(`${world.base}/events/idp`, { method: 'POST', headers, body: set });
    expect([await events.pushed(set), (await other).status]).toEqual(['202', 202]);
    await second.close();
    await world.hosted.log.tick();
    expect(events.person()).toMatchObject({ status: 'active', epoch: before + raised });
  });

  test('ends no sessions of whoever is stopped already, and lets them back in no sooner', async () => {
    const events = await create();
    const { transmitter } = events;
    await events.pushed(await transmitter.set(`${risc}account-disabled`, events.alice));
    const before = events.person();
    expect(await events.pushed(await transmitter.set(`${caep}session-revoked`, events.alice))).toBe('202');
    expect(events.person()).toEqual(before);
  });

  test.each([
    ['device-compliance-change', { current_status: 'not-compliant' }, 'active', 2],
    ['device-compliance-change', { current_status: 'compliant' }, 'active', 0],
    ['credential-change', { credential_type: 'password', change_type: 'update' }, 'active', 2],
    ['session-established', {}, 'active', 0],
    ['no-such-type', {}, 'active', 0],
  ])('%s %j', async (type, payload, status, raised) => {
    const events = await create();
    const before = events.person()?.epoch ?? 0;
    const set = await events.transmitter.set(`${caep}${type}`, events.alice, { payload });
    expect(await events.pushed(set)).toBe('202');
    expect(events.person()).toMatchObject({ status, epoch: before + raised });
    if (raised === 0) expect(events.outcome).toBe('ignored');
  });

  test('of SCIM deactivates, in the spelling of the RFC and of its drafts', async () => {
    const events = await create();
    const subject = {
      format: 'scim',
      uri: '/Users/2b2f880af6674ac284bae9381673d462',
      externalId: '00u-alice',
    };
    const set = async (type: string) => events.transmitter.set(type, subject);
    expect(await events.pushed(await set(`${scimEvent}prov:deactivate`))).toBe('202');
    expect(events.person()?.status).toBe('suspended');
    expect(await events.pushed(await set('urn:ietf:params:SCIM:event:prov:activate'))).toBe('202');
    expect(events.person()?.status).toBe('active');
  });

  test('of SCIM may name several types of which one is mapped, but not two that differ', async () => {
    const events = await create();
    const types = (...names: string[]) =>
      events.transmitter.set('', events.alice, {
        claims: { events: Object.fromEntries(names.map((name) => [name, {}])) },
      });
    const deactivate = `${scimEvent}prov:deactivate`;
    expect(await events.pushed(await types(deactivate, `${scimEvent}prov:activate`))).toBe(
      '400 invalid_request',
    );
    expect(events.person()?.status).toBe('active');
    expect(await events.pushed(await types(`${scimEvent}feed:remove`, deactivate))).toBe('202');
    expect(events.person()?.status).toBe('suspended');
  });

  test.each([
    ['email', { format: 'email', email: 'Alice@Corp.example' }],
    ['account', { format: 'account', uri: 'acct:alice@corp.example' }],
    [
      'aliases',
      {
        format: 'aliases',
        identifiers: [
          { format: 'phone_number', phone_number: '+1' },
          { format: 'email', email: 'alice@corp.example' },
        ],
      },
    ],
    [
      'complex, by its user',
      {
        format: 'complex',
        user: { format: 'email', email: 'alice@corp.example' },
        session: { format: 'opaque', id: 's' },
      },
    ],
  ])('finds its person by %s', async (_name, subject) => {
    const events = await create();
    expect(await events.pushed(await events.transmitter.set(`${risc}account-disabled`, subject))).toBe('202');
    expect(events.person()?.status).toBe('suspended');
  });

  test('finds its person by issuer and subject, and by the id that SCIM gave', async () => {
    const events = await create();
    const { transmitter } = events;
    const byIssuer = { format: 'iss_sub', iss: transmitter.issuer, sub: '00u-alice' };
    expect(await events.pushed(await transmitter.set(`${risc}account-disabled`, byIssuer))).toBe('202');
    expect(events.person()?.status).toBe('suspended');
    const byId = { format: 'scim', uri: `/Users/${events.world.alice.id}` };
    expect(await events.pushed(await transmitter.set(`${scimEvent}prov:activate`, byId))).toBe('202');
    expect(events.person()?.status).toBe('active');
  });

  test.each([
    ['nobody', { format: 'email', email: 'nobody@corp.example' }],
    ['a subject of another issuer', { format: 'iss_sub', iss: 'https://else.example', sub: '00u-alice' }],
    ['a device alone', { format: 'complex', device: { format: 'iss_sub', iss: 'x', sub: '00u-alice' } }],
    ['a session', { format: 'opaque', id: '00u-alice' }],
    ['a format that is none', { email: 'alice@corp.example' }],
  ])('about %s is acknowledged and does nothing', async (_name, subject) => {
    const events = await create();
    expect(await events.pushed(await events.transmitter.set(`${risc}account-disabled`, subject))).toBe('202');
    expect(events.outcome).toBe('unknown');
    expect(events.person()?.status).toBe('active');
  });

  test('about the stream itself is acknowledged', async () => {
    const events = await create();
    const { transmitter, world } = events;
    const stream = { format: 'opaque', id: 'f67e39a0a4d34d56b3aa1bc4cff0069f' };
    const verification = await transmitter.set(`${ssf}verification`, stream, { payload: { state: 'x' } });
    expect(await events.pushed(verification)).toBe('202');
    const updated = await transmitter.set(`${ssf}stream-updated`, stream, { payload: { status: 'paused' } });
    expect(await events.pushed(updated)).toBe('202');
    expect(world.lines).toContainEqual(
      expect.objectContaining({
        event: 'event_stream.updated',
        level: 'warn',
        stream: 'idp',
        status: 'paused',
      }),
    );
  });

  test('does what the configuration maps it to', async () => {
    const events = await create({
      stream: {
        map: {
          [`${risc}account-disabled`]: 'ignore',
          [`${caep}risk-level-change`]: 'suspend',
          [`${risc}credential-compromise`]: 'revoke-keys',
        },
      },
    });
    const { transmitter } = events;
    const send = async (type: string, payload = {}) =>
      events.pushed(await transmitter.set(type, events.alice, { payload }));
    await send(`${risc}account-disabled`);
    expect(events.outcome).toBe('ignored');
    await send(`${caep}risk-level-change`, { current_level: 'HIGH' });
    expect(events.person()?.status).toBe('suspended');
    await send(`${caep}risk-level-change`, { current_level: 'LOW' });
    expect(events.person()?.status).toBe('active');
    await send(`${risc}credential-compromise`);
    expect(events.person()).toMatchObject({ status: 'active', keys: [] });
  });
});

describe('a stream about one connection', () => {
  test('deprovisions its people, in the log and in the directory, if its lease is for that connection', async () => {
    const events = await create({
      lease: { operations: ['principal.deprovision'], connection: 'okta' },
      stream: { connection: 'okta', map: { [`${risc}account-purged`]: 'deprovision' } },
    });
    const { transmitter, world } = events;
    expect(await events.pushed(await transmitter.set(`${risc}account-purged`, events.alice))).toBe('202');
    expect(events.person()?.status).toBe('deprovisioned');
    expect(await world.hosted.store.count(resources, { id: world.alice.id })).toBe(0);
    const byId = { format: 'scim', uri: `/Users/${world.alice.id}` };
    expect(await events.pushed(await transmitter.set(`${scimEvent}prov:activate`, byId))).toBe('202');
    expect(events.person()?.status).toBe('deprovisioned');
  });

  test('finds nobody else, by no attribute', async () => {
    const events = await create({ stream: { connection: 'okta' } });
    const { transmitter, world } = events;
    await events.admin({ type: 'principal.provision', groups: [], attributes: {}, sponsor: false });
    const foreign = principalIdOf(world.ledger.lastLeaf);
    const byId = { format: 'scim', uri: `/Users/${foreign}` };
    expect(await events.pushed(await transmitter.set(`${scimEvent}prov:deactivate`, byId))).toBe('202');
    expect(events.outcome).toBe('unknown');
    expect(events.person(foreign)?.status).toBe('pending');
    expect(await events.pushed(await transmitter.set(`${risc}account-disabled`, events.alice))).toBe('202');
    expect(events.person()?.status).toBe('suspended');
  });
});

describe('the keys of a transmitter', () => {
  test('are looked for again when it signs with a new one, and an old one ends when it is withdrawn', async () => {
    const events = await create();
    const { transmitter, world } = events;
    const end = async () => events.pushed(await transmitter.set(`${caep}session-revoked`, events.alice));
    expect(await end()).toBe('202');
    const other = await Transmitter.start();
    transmitter.keys = other.keys.map((key) => ({ ...key, kid: 't2' }));
    const claims = JSON.parse(
      Buffer.from(
        (await transmitter.set(`${caep}session-revoked`, events.alice)).split('.')[1] ?? '',
        'base64url',
      ).toString(),
    ) as object;
    const set = await other.sign({ ...claims }, { kid: 't2' });
    await other.close();
    expect(await events.pushed(set)).toBe('202');
    expect(events.outcome).toBe('applied');
    expect(await end()).toBe('400 invalid_key');
    expect(world.lines.some(({ event }) => event === 'event_stream.keys_unavailable')).toBe(false);
  });

  test('cannot be had: the SET is to come again, and then counts', async () => {
    const events = await create();
    const { transmitter, world } = events;
    const set = await transmitter.set(`${risc}account-disabled`, events.alice);
    transmitter.answer = (_request, response) => {
      response.statusCode = 500;
      response.end();
    };
    expect(await events.pushed(set)).toBe('503 key_set_unavailable');
    expect(world.lines).toContainEqual(
      expect.objectContaining({ event: 'event_stream.keys_unavailable', reason: 'answer is not 200' }),
    );
    transmitter.answer = undefined;
    expect(await events.pushed(set)).toBe('202');
    expect(events.person()?.status).toBe('suspended');
  });
});

describe('a configuration', () => {
  const restarted = async (change: object): Promise<string> => {
    const { world } = await create();
    const [account] = world.config.accounts;
    const [stream] = account?.eventStreams ?? [];
    await world.issuer.close();
    Object.assign(account ?? {}, {
      eventStreams: [{ ...stream, ...change }, ...('twice' in change ? [stream] : [])],
    });
    const message = await world.start().then(
      () => 'started',
      (error: unknown) => (error instanceof ConfigError ? error.message : 'another error'),
    );
    Object.assign(account ?? {}, { eventStreams: [stream] });
    if (message !== 'started') await world.start();
    return message;
  };

  test.each([
    ['two streams with one key', { name: 'other', twice: true }, 'shares its delegate key'],
    ['a connection that is not there', { connection: 'entra' }, 'a connection that is not configured'],
    ['no key file', { delegateKeyFile: '/nowhere.jwk' }, 'cannot be read'],
    [
      'no token file',
      { delivery: { poll: { endpoint: 'https://idp.example', tokenFile: '/nowhere', intervalSeconds: 5 } } },
      'cannot be read',
    ],
  ])('with %s does not start', async (_name, change, message) => {
    expect(await restarted(change)).toContain(message);
  });
});

describe('the order of events', () => {
  test('an older event than the last of its kind is acknowledged and does nothing', async () => {
    const events = await create();
    const { transmitter } = events;
    const at = async (type: string, seconds: number) =>
      events.pushed(
        await transmitter.set(type, events.alice, { payload: { event_timestamp: now() - seconds } }),
      );
    expect(await at(`${risc}account-disabled`, 10)).toBe('202');
    expect(await at(`${risc}account-enabled`, 20)).toBe('202');
    expect(events.outcome).toBe('outdated');
    expect(events.person()?.status).toBe('suspended');
    expect(await at(`${risc}account-enabled`, 5)).toBe('202');
    expect(events.person()?.status).toBe('active');
  });

  test('a late suspension is not overtaken by the end of a session, which is of another kind', async () => {
    const events = await create();
    const { transmitter } = events;
    const at = async (type: string, seconds: number) =>
      events.pushed(await transmitter.set(type, events.alice, { claims: { toe: now() - seconds } }));
    await at(`${caep}session-revoked`, 10);
    await at(`${risc}account-disabled`, 20);
    expect(events.person()?.status).toBe('suspended');
  });
});

describe('two sources', () => {
  test('what an admin suspended no event resumes, and what an event suspended stays with it', async () => {
    const events = await create();
    const { transmitter, world } = events;
    await events.pushed(await transmitter.set(`${risc}account-disabled`, events.alice));
    await events.admin({ type: 'principal.suspend', principal: world.alice.id });
    expect(await events.pushed(await transmitter.set(`${risc}account-enabled`, events.alice))).toBe('202');
    expect(events.person()).toMatchObject({ status: 'suspended', suspensions: ['admin'] });
    expect(await events.pushed(await transmitter.set(`${risc}account-enabled`, events.alice))).toBe('202');
    expect(events.person()).toMatchObject({ status: 'suspended', suspensions: ['admin'] });
  });
});
