import type { JsonObject } from '@bulla/verifier/envelope';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type Answered,
  enterprise,
  type ScimWorld,
  searchSchema,
  startScim,
  textOf,
  userSchema,
} from '../kit/scim.ts';

let scim: ScimWorld;
beforeEach(async () => {
  scim = await startScim();
});
afterEach(async () => scim.remove());

const names = ({ body }: Answered): unknown =>
  (body['Resources'] as readonly JsonObject[]).map(({ userName }) => textOf(userName).split('@')[0]);
const refusal = ({ status, body }: Answered): readonly unknown[] => [
  status,
  body['scimType'] ?? null,
  textOf(body['detail']).split(':')[0],
];
const query = (parameters: Readonly<Record<string, string>>): string =>
  `?${new URLSearchParams(parameters).toString()}`;
const find = async (filter: string): Promise<Answered> => scim.call('GET', `/Users${query({ filter })}`);

describe('filters', () => {
  beforeEach(async () => {
    await scim.user('ann', {
      externalId: 'X1',
      title: 'Boss',
      name: { familyName: 'Zebra' },
      emails: [
        { type: 'work', value: 'ann@corp.example', primary: true },
        { type: 'home', value: 'ann@home.example' },
      ],
      [enterprise]: { department: 'Tours' },
    });
    await scim.user('ben', { externalId: 'x1', name: { familyName: 'Adams' }, active: false });
    await scim.user('cat', { title: 'bossy', [enterprise]: { department: 'Sales' } });
  });

  test.each([
    ['userName eq "ANN@corp.example"', ['ann']],
    ['userName Eq ann@corp.example', ['ann']],
    ['externalId eq "X1"', ['ann']],
    ['externalId eq "nobody"', []],
    ['title co "oss"', ['ann', 'cat']],
    ['title sw "BOSSY"', ['cat']],
    ['title ew "s"', ['ann']],
    ['title pr', ['ann', 'cat']],
    ['not (title pr)', ['ben']],
    ['not (title eq "Boss" or title eq "bossy")', ['ben']],
    ['title ne "Boss"', ['ben', 'cat']],
    ['title eq null', ['ben']],
    ['active eq true', ['ann', 'cat']],
    ['active eq "False"', ['ben']],
    ['emails[type eq "home" and value ew "home.example"]', ['ann']],
    ['emails[type eq "work" and value ew "home.example"]', []],
    ['emails co "home.example"', ['ann']],
    ['emails.type eq "home"', ['ann']],
    ['name.familyName ge "b"', ['ann']],
    ['title pr and (name.familyName pr or active eq false)', ['ann']],
    ['title pr or name.familyName pr and active eq false', ['ann', 'ben', 'cat']],
    [`${enterprise}:department eq "sales"`, ['cat']],
    [`${userSchema}:userName sw "be"`, ['ben']],
    ['meta.created lt "2000-01-01T00:00:00Z"', []],
    ['meta.resourceType eq "User"', ['ann', 'ben', 'cat']],
    ['urn:bulla:scim:schemas:2.0:User:status eq "suspended"', ['ben']],
  ])('%s', async (filter, expected) => {
    const answered = await find(filter);
    expect(answered.status, JSON.stringify(answered.body)).toBe(200);
    expect([...(names(answered) as string[])].sort()).toEqual(expected);
    expect(answered.body['totalResults']).toBe(expected.length);
  });

  test.each([
    '',
    'userName',
    'userName eq',
    'eq "x"',
    'userName is "x"',
    'nobody eq "x"',
    'name.nobody eq "x"',
    'password eq "x"',
    'userName eq "x',
    'userName eq "x" and',
    'userName eq "x" userName eq "y"',
    '(userName eq "x"',
    'userName eq "x")',
    'emails[type eq "work"',
    'userName[value eq "x"]',
    'emails[nobody eq "x"]',
    'title gt null',
    'not userName eq "x"',
  ])('`%s` is refused', async (filter) => {
    expect(refusal(await find(filter))).toEqual([400, 'invalidFilter', 'scim_filter_invalid']);
  });

  test('groups are found by a member', async () => {
    const { id } = await scim.user('dan');
    const inside = await scim.group('With', [id]);
    await scim.group('Without');
    for (const filter of [`members[value eq "${id}"]`, `members.value eq "${id}"`, `members eq "${id}"`]) {
      const { body } = await scim.call('GET', `/Groups${query({ filter })}`);
      expect(body).toMatchObject({ totalResults: 1, Resources: [{ id: inside }] });
    }
    const members = query({ filter: `groups.value eq "${inside}"` });
    expect((await scim.call('GET', `/Users${members}`)).body).toMatchObject({
      totalResults: 1,
      Resources: [{ id }],
    });
  });

  test('results are sorted, cut and told apart', async () => {
    const sorted = (rest: Readonly<Record<string, string>>) =>
      scim.call('GET', `/Users${query({ sortBy: 'name.familyName', ...rest })}`);
    expect(names(await sorted({}))).toEqual(['ben', 'ann', 'cat']);
    expect(names(await sorted({ sortOrder: 'descending' }))).toEqual(['cat', 'ann', 'ben']);
    const second = await sorted({ startIndex: '2', count: '1' });
    expect(names(second)).toEqual(['ann']);
    expect(second.body).toMatchObject({ totalResults: 3, startIndex: 2, itemsPerPage: 1 });
    expect((await sorted({ count: '0' })).body).toMatchObject({
      totalResults: 3,
      itemsPerPage: 0,
      Resources: [],
    });
    expect((await sorted({ startIndex: '-5', count: '-1' })).body).toMatchObject({
      startIndex: 1,
      itemsPerPage: 0,
    });
    expect(refusal(await sorted({ count: 'many' }))).toEqual([400, 'invalidValue', 'scim_value_invalid']);
    expect(refusal(await sorted({ sortBy: 'password' }))).toEqual([
      400,
      'invalidValue',
      'scim_value_invalid',
    ]);
  });

  test('a search by POST is the same, of one type or of all', async () => {
    const body = { schemas: [searchSchema], filter: 'userName sw "a"', attributes: ['userName'] };
    const one = await scim.call('POST', '/Users/.search', body);
    expect(names(one)).toEqual(['ann']);
    expect(Object.keys((one.body['Resources'] as readonly JsonObject[])[0] ?? {}).sort()).toEqual([
      'id',
      'schemas',
      'userName',
    ]);
    await scim.group('Everybody');
    const all = await scim.call('POST', '/.search', { schemas: [searchSchema], count: 3 });
    expect(all.body).toMatchObject({ totalResults: 4, itemsPerPage: 3, startIndex: 1 });
    const rest = await scim.call('POST', '/.search', { schemas: [searchSchema], startIndex: 4 });
    expect(rest.body).toMatchObject({
      totalResults: 4,
      itemsPerPage: 1,
      Resources: [{ displayName: 'Everybody' }],
    });
    expect(refusal(await scim.call('POST', '/.search', { ...body, filter: 'nobody pr' }))).toEqual([
      400,
      'invalidFilter',
      'scim_filter_invalid',
    ]);
  });
});

describe('what is shown', () => {
  test('attributes and excludedAttributes, and what stands in the log only for those who ask', async () => {
    const { id } = await scim.user('ann', { title: 'Boss', name: { givenName: 'Ann', familyName: 'Lee' } });
    const keys = async (rest: string) =>
      Object.keys((await scim.call('GET', `/Users/${id}${rest}`)).body).sort();
    expect(await keys('?attributes=name.givenName')).toEqual(['id', 'name', 'schemas']);
    expect(await keys('?excludedAttributes=name,meta,id,active')).toEqual([
      'id',
      'schemas',
      'title',
      'userName',
    ]);
    const standing = 'urn:bulla:scim:schemas:2.0:User';
    expect(await keys('')).not.toContain(standing);
    const asked = await scim.call('GET', `/Users/${id}?attributes=${standing}`);
    expect(asked.body).toMatchObject({
      schemas: [userSchema, standing],
      [standing]: { status: 'pending', assurance: 'none', agents: 0 },
    });
  });

  test('each schema that a resource type names is served, and nothing that writes is taken there', async () => {
    const types = (await scim.call('GET', '/ResourceTypes')).body['Resources'] as readonly JsonObject[];
    expect(types.map(({ name }) => name)).toEqual(['User', 'Group', 'Agent']);
    for (const { schema } of types) {
      expect((await scim.call('GET', `/Schemas/${textOf(schema)}`)).body).toMatchObject({ id: schema });
    }
    expect((await scim.call('PUT', '/Schemas', {})).status).toBe(405);
    expect(refusal(await scim.call('GET', '/Schemas?filter=id%20pr'))).toEqual([
      403,
      null,
      'scim_filter_refused',
    ]);
    expect(refusal(await scim.call('GET', '/Schemas/urn:nothing'))).toEqual([
      404,
      null,
      'scim_resource_unknown',
    ]);
  });

  test('a connection is nobody: its /Me is refused', async () => {
    expect(refusal(await scim.call('GET', '/Me'))).toEqual([501, null, 'scim_me_absent']);
  });
});

describe('versions', () => {
  test('a change needs the version it names, and a read the one that the client has not', async () => {
    const { id } = await scim.user('ann');
    const first = (await scim.call('GET', `/Users/${id}`)).headers.get('etag') ?? '';
    expect(first).toMatch(/^W\/"[\w-]+"$/u);
    expect(await scim.call('GET', `/Users/${id}`, undefined, { 'if-none-match': first })).toMatchObject({
      status: 304,
      body: {},
    });
    const rename = (title: string, tag: string) =>
      scim.call(
        'PUT',
        `/Users/${id}`,
        { schemas: [userSchema], userName: 'ann@corp.example', title },
        { 'if-match': tag },
      );
    const second = await rename('A', first);
    expect(second.status).toBe(200);
    expect(refusal(await rename('B', first))).toEqual([412, null, 'version_moved']);
    expect((await rename('C', '*')).status).toBe(200);
    const last = (await scim.call('GET', `/Users/${id}`)).headers.get('etag') ?? '';
    expect(refusal(await scim.call('DELETE', `/Users/${id}`, undefined, { 'if-match': first }))).toEqual([
      412,
      null,
      'version_moved',
    ]);
    expect((await scim.call('DELETE', `/Users/${id}`, undefined, { 'if-match': last })).status).toBe(204);
  });

  test('what the log changes is another version, too', async () => {
    const { id } = await scim.user('ann');
    const before = (await scim.call('GET', `/Users/${id}`)).headers.get('etag');
    await scim.admin({ type: 'principal.suspend', principal: id });
    const after = await scim.call('GET', `/Users/${id}`);
    expect(after.body['active']).toBe(false);
    expect(after.headers.get('etag')).not.toBe(before);
  });

  test('a PATCH that changes nothing makes no version', async () => {
    const { id } = await scim.user('ann', { title: 'Boss' });
    const before = (await scim.call('GET', `/Users/${id}`)).headers.get('etag');
    const after = await scim.patch(`/Users/${id}`, { op: 'replace', path: 'title', value: 'Boss' });
    expect(after.headers.get('etag')).toBe(before);
  });
});

describe('a PATCH', () => {
  test('does not take away what a resource must have', async () => {
    const { id } = await scim.user('dan');
    const answered = await scim.patch(`/Users/${id}`, { op: 'remove', path: 'userName' });
    expect(refusal(answered)).toEqual([400, 'mutability', 'scim_attribute_fixed']);
  });

  test('that makes one address the primary one makes the other none', async () => {
    const emails = [
      { type: 'work', value: 'dan@corp.example', primary: true },
      { type: 'home', value: 'dan@home.example' },
    ];
    const { id } = await scim.user('dan', { emails });
    const path = 'emails[type eq "home"].primary';
    const { body } = await scim.patch(`/Users/${id}`, { op: 'replace', path, value: true });
    expect(body['emails']).toEqual([
      { type: 'work', value: 'dan@corp.example', primary: false },
      { type: 'home', value: 'dan@home.example', primary: true },
    ]);
  });
});

describe('leaving and coming back', () => {
  test('active: false suspends, true resumes; DELETE ends for good, and the name is free again', async () => {
    const { id } = await scim.user('ann');
    expect((await scim.patch(`/Users/${id}`, { op: 'replace', path: 'active', value: false })).status).toBe(
      200,
    );
    expect(scim.statusOf(id)).toBe('suspended');
    const back = await scim.patch(`/Users/${id}`, { op: 'Replace', value: { active: 'True' } });
    expect([back.status, back.body['active'], scim.statusOf(id)]).toEqual([200, true, 'pending']);
    expect((await scim.call('DELETE', `/Users/${id}`)).status).toBe(204);
    expect(scim.statusOf(id)).toBe('deprovisioned');
    expect(refusal(await scim.call('GET', `/Users/${id}`))).toEqual([404, null, 'scim_resource_unknown']);
    expect(refusal(await scim.call('DELETE', `/Users/${id}`))).toEqual([404, null, 'scim_resource_unknown']);
    expect((await scim.user('ann')).id).not.toBe(id);
  });

  test('taking `active` away suspends nobody and resumes nobody', async () => {
    const { id } = await scim.user('ann', { active: false });
    const { body } = await scim.patch(`/Users/${id}`, { op: 'remove', path: 'active' });
    expect(body).not.toHaveProperty('active');
    expect(scim.statusOf(id)).toBe('suspended');
    expect(
      (await scim.patch(`/Users/${id}`, { op: 'add', path: 'title', value: 'x' })).body,
    ).not.toHaveProperty('active');
    expect(
      (await scim.patch(`/Users/${id}`, { op: 'add', path: 'active', value: true })).body['active'],
    ).toBe(true);
    expect(scim.statusOf(id)).toBe('pending');
  });
});
