import { addRow, members, resources } from '@bulla/issuer';
import type { JsonObject } from '@bulla/verifier/envelope';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  agentSchema,
  bulkSchema,
  codeOf,
  groupSchema,
  type ScimWorld,
  searchSchema,
  startScim,
  userSchema,
} from '../../kit/scim.ts';

let scim: ScimWorld;
beforeEach(async () => {
  scim = await startScim();
});
afterEach(async () => scim.remove());

const bulk = async (Operations: readonly JsonObject[]): Promise<readonly JsonObject[]> => {
  const { body } = await scim.call('POST', '/Bulk', { schemas: [bulkSchema], Operations });
  return body['Operations'] as readonly JsonObject[];
};
const newGroup = (displayName: string): JsonObject => ({
  method: 'POST',
  path: '/Groups',
  bulkId: displayName,
  data: { schemas: [groupSchema], displayName },
});

/** How often others got a word in while `work` went on. */
async function breaths(work: () => Promise<unknown>): Promise<number> {
  let count = 0;
  let isOver = false;
  const breathe = (): void => {
    count += 1;
    if (!isOver) setImmediate(breathe);
  };
  breathe();
  await work();
  isOver = true;
  return count;
}

/** A group with members of whom the directory knows no more than that they are there. */
async function crowd(name: string, size: number): Promise<string> {
  const id = await scim.group(name);
  const { store } = scim.world.hosted;
  await store.writeRows(
    Array.from({ length: size }, (_, index) =>
      addRow(members, { groupId: id, member: `prn_${String(index).padStart(32, '0')}` }),
    ),
  );
  return id;
}

describe('one request of many', () => {
  test('a bulk request lets others get a word in between its operations', async () => {
    const operations = Array.from({ length: 100 }, (_, index) => newGroup(`g${index}`));
    let made: readonly JsonObject[] = [];
    const count = await breaths(async () => {
      made = await bulk(operations);
    });
    expect(made.filter(({ status }) => status === '201')).toHaveLength(100);
    expect(count).toBeGreaterThanOrEqual(100);
  });

  test('a bulk request does not search', async () => {
    const data = { schemas: [searchSchema], filter: 'not (members pr)' };
    const answers = await bulk([
      { method: 'POST', path: '/.search', bulkId: 'a', data },
      { method: 'POST', path: '/Groups/.search', bulkId: 'b', data },
    ]);
    expect(answers).toMatchObject([
      { status: '400', response: { scimType: 'invalidSyntax' } },
      { status: '400', response: { scimType: 'invalidSyntax' } },
    ]);
  });

  test('a PATCH that looks at a large group again and again lets others in, and ends at a limit', async () => {
    const id = await crowd('Crowd', 5000);
    const remove = { op: 'remove', path: 'members[value eq "nobody"]' };
    const count = await breaths(async () => {
      const { status } = await scim.patch(`/Groups/${id}`, ...Array.from({ length: 100 }, () => remove));
      expect(status).toBe(200);
    });
    expect(count).toBeGreaterThanOrEqual(4);
    const terms = Array.from({ length: 64 }, () => 'value eq "nobody of that name"').join(' or ');
    const bomb = Array.from({ length: 1000 }, () => ({ op: 'remove', path: `members[${terms}]` }));
    expect(codeOf(await scim.patch(`/Groups/${id}`, ...bomb.slice(0, 120)))).toEqual([413, 'scim_too_many']);
    expect(await scim.membersOf(id)).toHaveLength(5000);
  });
});

test('changes of one group and one person that come at once all get in, those that end something too', async () => {
  const people = await Promise.all(Array.from({ length: 20 }, async (_, index) => scim.user(`p${index}`)));
  const [first = '', ...others] = people.map(({ id }) => id);
  const group = await scim.group('Engineers', [first]);
  const change = (op: string, value: string) =>
    scim.patch(`/Groups/${group}`, { op, path: 'members', value: [{ value }] });
  const answers = await Promise.all([
    ...others.map(async (id) => change('add', id)),
    change('remove', first),
    ...others.map(async () =>
      scim.patch(`/Users/${first}`, { op: 'replace', path: 'title', value: String(Math.random()) }),
    ),
    scim.patch(`/Users/${first}`, { op: 'replace', path: 'active', value: false }),
  ]);
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  expect(new Set(await scim.membersOf(group))).toEqual(new Set(others));
  expect(scim.statusOf(first)).toBe('suspended');
});

describe('what is kept', () => {
  test('a resource is not larger than a page of a search can bear', async () => {
    const long = 'x'.repeat(70_000);
    const { id } = await scim.user('ann');
    const proposal = { schemas: [agentSchema], displayName: long };
    const emails = Array.from({ length: 3000 }, (_, index) => ({ value: `a${index}@corp.example` }));
    const user = { schemas: [userSchema], userName: 'bob@corp.example' };
    for (const answered of [
      await scim.call('POST', '/Groups', { schemas: [groupSchema], displayName: long }),
      await scim.call('POST', '/Agents', proposal),
      await scim.call('POST', '/Users', { ...user, emails }),
      await scim.call('PUT', `/Users/${id}`, { ...user, title: long }),
      await scim.patch(`/Users/${id}`, { op: 'add', path: 'emails', value: emails }),
    ]) {
      expect(codeOf(answered)).toEqual([413, 'scim_resource_large']);
    }
  });

  test('pages of large groups end early, and the next one goes on from there', async () => {
    const wanted = await Promise.all(['A', 'B', 'C'].map(async (name) => crowd(name, 20_000)));
    const found: unknown[] = [];
    let pages = 0;
    for (let startIndex = 1; startIndex <= 3; pages += 1) {
      const { body } = await scim.call('GET', `/Groups?startIndex=${startIndex}`);
      expect(body['totalResults']).toBe(3);
      const list = body['Resources'] as readonly JsonObject[];
      found.push(...list.map(({ id }) => id));
      startIndex += list.length;
    }
    expect(pages).toBeGreaterThan(1);
    expect(new Set(found)).toEqual(new Set(wanted));
  });

  test('groups beyond a number are refused', async () => {
    const { store } = scim.world.hosted;
    const at = new Date(0).toISOString();
    const shared = { connection: 'okta', externalId: null, version: 1, created: at, modified: at };
    await store.writeRows(
      Array.from({ length: 20_000 }, (_, index) =>
        addRow(resources, {
          ...shared,
          id: `g${index}`,
          kind: 'Group',
          name: `g${index}`,
          log: null,
          salt: null,
          body: '{}',
        }),
      ),
    );
    const group = await scim.call('POST', '/Groups', { schemas: [groupSchema], displayName: 'More' });
    expect(codeOf(group)).toEqual([403, 'directory_full']);
    expect((await scim.call('DELETE', '/Groups/g7')).status).toBe(204);
    expect((await scim.call('POST', '/Groups', { schemas: [groupSchema], displayName: 'More' })).status).toBe(
      201,
    );
  });
});
