import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { listScimTokens, revokeScimToken } from '@bulla/issuer';
import type { JsonObject } from '@bulla/verifier/envelope';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type Answered,
  agentSchema,
  bulkSchema,
  codeOf,
  groupSchema,
  patchSchema,
  type ScimWorld,
  startScim,
  textOf,
  userSchema,
} from '../../kit/scim.ts';

let scim: ScimWorld;
beforeEach(async () => {
  scim = await startScim();
});
afterEach(async () => scim.remove());

const filtered = async (filter: string): Promise<Answered> =>
  scim.call('GET', `/Users?filter=${encodeURIComponent(filter)}`);

describe('injection', () => {
  test('a value that looks like a filter is a value: nobody else leaves a group', async () => {
    const { id } = await scim.user('ann');
    const group = await scim.group('Anybody', [id]);
    for (const value of [`x" or value pr or value eq "`, '" or "" eq "', `x") or (value pr`]) {
      const answered = await scim.patch(`/Groups/${group}`, {
        op: 'remove',
        path: 'members',
        value: [{ value }],
      });
      expect(answered.status).toBe(200);
    }
    expect(await scim.membersOf(group)).toEqual([id]);
  });

  test('an empty list of values takes nobody out', async () => {
    const { id } = await scim.user('ann');
    const group = await scim.group('Anybody', [id]);
    expect((await scim.patch(`/Groups/${group}`, { op: 'remove', path: 'members', value: [] })).status).toBe(
      200,
    );
    expect(await scim.membersOf(group)).toEqual([id]);
  });

  test.each(["' OR 1=1 --", '%', '_%', String.raw`ann\" or userName pr or userName eq \"`, '*'])(
    'a filter for `%s` finds nobody',
    async (value) => {
      await scim.user('ann');
      for (const name of ['userName', 'externalId', 'id', 'displayName']) {
        const { status, body } = await filtered(`${name} eq "${value}"`);
        expect([status, body['totalResults']]).toEqual([200, 0]);
      }
    },
  );

  test('members of prototypes are no attributes', async () => {
    const { id } = await scim.user('ann');
    for (const path of [
      '__proto__',
      '__proto__.polluted',
      'constructor.prototype',
      'name.__proto__',
      'toString',
    ]) {
      expect(codeOf(await scim.patch(`/Users/${id}`, { op: 'add', path, value: 'x' }))).toEqual([
        400,
        'scim_path_invalid',
      ]);
      expect(codeOf(await filtered(`${path} pr`))).toEqual([400, 'scim_filter_invalid']);
    }
    const nasty = `{"polluted":"yes","isAdmin":true}`;
    const body = `{"schemas":["${userSchema}"],"userName":"bob@corp.example","__proto__":${nasty},"name":{"__proto__":${nasty},"givenName":"Bob"},"constructor":{"prototype":${nasty}}}`;
    const made = await scim.call('POST', '/Users', body);
    expect(made.status).toBe(201);
    expect(JSON.stringify(made.body)).not.toContain('polluted');
    const pathless = `{"schemas":["${patchSchema}"],"Operations":[{"op":"add","value":{"__proto__":${nasty},"name":{"__proto__":${nasty}}}}]}`;
    expect((await scim.call('PATCH', `/Users/${id}`, pathless)).status).toBe(200);
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect('polluted' in {}).toBe(false);
  });

  test('what only the log decides is not set by a client', async () => {
    const { id } = await scim.user('ann', {
      id: 'prn_00000000000000000000000000000000',
      meta: { version: 'x' },
      groups: [{ value: 'x' }],
      'urn:bulla:scim:schemas:2.0:User': { status: 'active', assurance: 'admin', agents: 9 },
    });
    expect(scim.statusOf(id)).toBe('pending');
    for (const path of [
      'id',
      'groups',
      'meta.version',
      'schemas',
      'urn:bulla:scim:schemas:2.0:User:assurance',
    ]) {
      const answered = await scim.patch(`/Users/${id}`, { op: 'replace', path, value: 'x' });
      expect(codeOf(answered), path).toEqual([400, 'scim_attribute_fixed']);
    }
    const shown = await scim.call('GET', `/Users/${id}?attributes=urn:bulla:scim:schemas:2.0:User`);
    expect(shown.body).toMatchObject({
      'urn:bulla:scim:schemas:2.0:User': { status: 'pending', assurance: 'none' },
    });
  });
});

describe('floods', () => {
  test('filters that are long, deep or many', async () => {
    const and = (count: number) =>
      Array.from({ length: count }, () => '(title eq "a" or title eq "b")').join(' and ');
    expect((await filtered(and(21))).status).toBe(200);
    for (const filter of [
      and(22),
      `title eq "${'a'.repeat(5000)}"`,
      `${'('.repeat(17)}title pr${')'.repeat(17)}`,
    ]) {
      expect(codeOf(await filtered(filter))).toEqual([400, 'scim_filter_invalid']);
    }
  });

  test('bodies that are large, deep, doubled or no JSON', async () => {
    const user = { schemas: [userSchema], userName: 'ann@corp.example' };
    const send = (body: string) => scim.call('POST', '/Users', body);
    expect(codeOf(await send(JSON.stringify({ ...user, title: 'x'.repeat(1_100_000) })))).toEqual([
      413,
      'body_too_large',
    ]);
    expect(codeOf(await send(`${'{"name":'.repeat(70)}1${'}'.repeat(70)}`))).toEqual([400, 'json_invalid']);
    expect(codeOf(await send('{"userName":"a@corp.example","userName":"b@corp.example"}'))).toEqual([
      400,
      'json_invalid',
    ]);
    for (const body of ['{', '[]', '"text"', 'null', '\u0000']) expect((await send(body)).status).toBe(400);
    expect(codeOf(await scim.call('POST', '/Users'))).toEqual([400, 'scim_syntax_invalid']);
    expect(codeOf(await scim.call('POST', '/Users', user, { 'content-encoding': 'gzip' }))).toEqual([
      400,
      'body_invalid',
    ]);
    expect((await scim.call('GET', '/Users')).body['totalResults']).toBe(0);
  });

  test('a bulk request of too many operations, one in another, and a PATCH of too many', async () => {
    const operation = { method: 'DELETE', path: '/Users/prn_00000000000000000000000000000000' };
    const bulk = (Operations: readonly JsonObject[], rest: JsonObject = {}) =>
      scim.call('POST', '/Bulk', { schemas: [bulkSchema], Operations, ...rest });
    expect(codeOf(await bulk(Array.from({ length: 1001 }, () => operation)))).toEqual([413, 'scim_too_many']);
    const nested = await bulk([
      { method: 'POST', path: '/Bulk', bulkId: 'a', data: { schemas: [bulkSchema], Operations: [] } },
    ]);
    expect(nested.body['Operations']).toMatchObject([{ status: '400' }]);
    const stopped = await bulk([operation, operation, operation], { failOnErrors: 2 });
    expect(stopped.body['Operations']).toMatchObject([{ status: '404' }, { status: '404' }]);
    const many = Array.from({ length: 1001 }, () => ({ op: 'add', path: 'title', value: 'x' }));
    const { id } = await scim.user('ann');
    expect(codeOf(await scim.patch(`/Users/${id}`, ...many))).toEqual([413, 'scim_too_many']);
  });

  test('bulk references to nothing, to themselves, to each other, and used twice', async () => {
    const group = (bulkId: string, ...members: readonly string[]): JsonObject => ({
      method: 'POST',
      path: '/Groups',
      bulkId,
      data: { schemas: [groupSchema], displayName: bulkId, members: members.map((value) => ({ value })) },
    });
    const bulk = (...Operations: readonly JsonObject[]) =>
      scim.call('POST', '/Bulk', { schemas: [bulkSchema], Operations });
    expect((await bulk(group('a', 'bulkId:nothing'))).body['Operations']).toMatchObject([
      { status: '409', response: { scimType: 'invalidValue' } },
    ]);
    expect(codeOf(await bulk(group('b'), group('b')))).toEqual([400, 'scim_syntax_invalid']);
    const circle = (await bulk(group('x', 'bulkId:y'), group('y', 'bulkId:x'))).body['Operations'];
    expect(circle).toMatchObject([{ status: '201' }, { status: '201' }]);
    const [x, y] = (circle as readonly JsonObject[]).map(
      ({ location }) => textOf(location).split('/').at(-1) ?? '',
    );
    expect(await scim.membersOf(x ?? '')).toEqual([y]);
    expect(await scim.membersOf(y ?? '')).toEqual([x]);
    const chain = Array.from({ length: 100 }, (_, index) => group(`c${index}`, `bulkId:c${index + 1}`));
    const long = (await bulk(...chain, group('c100'))).body['Operations'] as readonly JsonObject[];
    expect(long.filter(({ status }) => status === '201')).toHaveLength(101);
  });
});

describe('tokens', () => {
  test('none, a wrong one, an expired one, a revoked one and one whose connection is gone say the same', async () => {
    const { token } = scim;
    const expired = await scim.newToken(undefined, 'okta', -1);
    const stray = await scim.newToken(undefined, 'nobody');
    const tries = ['', 'wrong', `${token}x`, expired, stray];
    const answers: Answered[] = [];
    for (const each of tries) {
      scim.token = each;
      answers.push(await scim.call('GET', '/Users'));
    }
    for (const answer of answers) {
      expect(codeOf(answer)).toEqual([401, 'scim_token_wrong']);
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    }
    scim.token = token;
  });

  test('a revoked token is void at once', async () => {
    const { store } = scim.world.hosted;
    for (const { id } of await listScimTokens(store)) await revokeScimToken(store, id);
    expect(codeOf(await scim.call('GET', '/Users'))).toEqual([401, 'scim_token_wrong']);
  });

  test('scopes are kept apart, in bulk requests too', async () => {
    const { id } = await scim.user('ann');
    scim.token = await scim.newToken(['users:read']);
    expect((await scim.call('GET', `/Users/${id}`)).status).toBe(200);
    expect(codeOf(await scim.call('DELETE', `/Users/${id}`))).toEqual([403, 'scim_scope_missing']);
    expect(codeOf(await scim.call('GET', '/Groups'))).toEqual([403, 'scim_scope_missing']);
    const bulk = await scim.call('POST', '/Bulk', {
      schemas: [bulkSchema],
      Operations: [{ method: 'DELETE', path: `/Users/${id}` }],
    });
    expect(bulk.body['Operations']).toMatchObject([{ status: '403' }]);
    expect(scim.statusOf(id)).toBe('pending');
  });

  test('one connection cannot reach, name or learn of what is of another', async () => {
    const { id } = await scim.user('ann', { externalId: 'shared' });
    const group = await scim.group('Secret', [id]);
    const { id: own } = await scim.user('own');
    const other = await scim.secondConnection('entra');
    for (const [method, path] of [
      ['GET', `/Users/${id}`],
      ['DELETE', `/Users/${id}`],
      ['GET', `/Groups/${group}`],
      ['DELETE', `/Groups/${group}`],
    ] as const) {
      expect(codeOf(await other.call(method, path))).toEqual([404, 'scim_resource_unknown']);
    }
    expect(
      codeOf(await other.patch(`/Users/${id}`, { op: 'replace', path: 'active', value: false })),
    ).toEqual([404, 'scim_resource_unknown']);
    for (const filter of [`id eq "${id}"`, 'externalId eq "shared"', 'userName pr']) {
      const { body } = await other.call('GET', `/Users?filter=${encodeURIComponent(filter)}`);
      expect(body['totalResults']).toBe(0);
    }
    const lure = await other.group('Lure', [id]);
    expect(await other.membersOf(lure)).toEqual([]);
    const filter = encodeURIComponent(`members.value eq "${id}"`);
    expect((await other.call('GET', `/Groups?filter=${filter}`)).body['totalResults']).toBe(0);
    const proposal = { schemas: [agentSchema], displayName: 'Spy', owner: { value: id } };
    expect(codeOf(await other.call('POST', '/Agents', proposal))).toEqual([400, 'scim_value_invalid']);
    // The same name may be used in both.
    expect((await other.user('ann')).id).not.toBe(id);
    expect(scim.statusOf(id)).toBe('pending');
    expect(scim.statusOf(own)).toBe('pending');
  });
});

describe('what leaks', () => {
  test('errors quote nothing that was sent', async () => {
    const secret = 'zyxwvu';
    const { id } = await scim.user('ann');
    const answers = [
      await scim.call('POST', '/Users', { schemas: [userSchema], userName: `${secret}@evil.example` }),
      await scim.call('POST', '/Users', {
        schemas: [userSchema],
        userName: 'a@corp.example',
        active: secret,
      }),
      await scim.patch(`/Users/${id}`, { op: 'add', path: secret, value: secret }),
      await scim.patch(`/Users/${id}`, { op: 'add', path: 'active', value: secret }),
      await scim.patch(`/Users/${id}`, { op: secret, path: 'title', value: 'x' }),
      await filtered(`${secret} eq "${secret}"`),
      await filtered(`userName ${secret} "x"`),
      await scim.call('GET', `/Users/${secret}`),
      await scim.call('GET', `/${secret}`),
    ];
    for (const { status, body } of answers) {
      expect(status).toBeGreaterThanOrEqual(400);
      expect(body['schemas']).toEqual(['urn:ietf:params:scim:api:messages:2.0:Error']);
      expect(JSON.stringify(body)).not.toContain(secret);
    }
    expect(JSON.stringify(scim.world.lines)).not.toContain(secret);
  });

  test('a password is neither shown nor kept nor compared', async () => {
    const password = 'correct-horse-battery';
    const { id } = await scim.user('ann', { password });
    await scim.patch(`/Users/${id}`, { op: 'replace', path: 'password', value: password });
    await scim.patch(`/Users/${id}`, { op: 'replace', value: { password } });
    const shown = await scim.call('GET', `/Users/${id}?attributes=password,userName`);
    expect(shown.body).not.toHaveProperty('password');
    for (const file of readdirSync(scim.world.dir)) {
      expect(readFileSync(join(scim.world.dir, file)).includes(password), file).toBe(false);
    }
  });

  test('paths and methods that are none of SCIM', async () => {
    for (const path of ['/Users/../Groups/..%2f..%2flog', '/Users/a/b', '/users', '/%zz', '/']) {
      const { status } = await scim.call('GET', path);
      expect(status, path).toBeGreaterThanOrEqual(400);
    }
    for (const method of ['HEAD', 'OPTIONS']) expect((await scim.call(method, '/Users')).status).toBe(405);
    const { id } = await scim.user('ann');
    await scim.call('POST', `/Users/${id}`, {}, { 'x-http-method-override': 'DELETE' });
    expect(scim.statusOf(id)).toBe('pending');
  });
});
