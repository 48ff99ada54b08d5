import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject } from '@bulla/verifier/envelope';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bulkSchema, enterprise, groupSchema, type ScimWorld, startScim, textOf } from '../kit/scim.ts';

const vectors = join(
  process.env['BULLA_VECTORS'] ?? join(import.meta.dirname, '../../../shared/vectors'),
  'scim',
);
const present = existsSync(vectors);

interface Case {
  readonly name: string;
  readonly body: JsonObject;
}
const cases = (
  present ? JSON.parse(readFileSync(join(vectors, 'entra-okta-wire/entra-patch-bodies.json'), 'utf8')) : []
) as readonly Case[];
const bodyOf = (name: string): JsonObject => {
  const found = cases.find((each) => each.name.startsWith(name));
  if (found === undefined) throw new Error(`there is no case ${name}`);
  return found.body;
};

let scim: ScimWorld;
let user: string;
beforeEach(async () => {
  scim = await startScim();
  ({ id: user } = await scim.user('adele', {
    name: { givenName: 'Adele', familyName: 'Vance', formatted: 'Adele Vance' },
    emails: [{ type: 'work', value: 'adele@corp.example', primary: true }],
  }));
});
afterEach(async () => scim.remove());

describe.skipIf(!present)("Entra's PATCH bodies", () => {
  test('all of them are tried below', () => expect(cases).toHaveLength(8));

  test.each(['disable user, legacy', 'disable user, aad'])('%s', async (name) => {
    const { status, body } = await scim.call('PATCH', `/Users/${user}`, bodyOf(name));
    expect([status, body['active'], scim.statusOf(user)]).toEqual([200, false, 'suspended']);
  });

  test.each(['add single-valued string, legacy', 'add single-valued string, aad'])('%s', async (name) => {
    const { status, body } = await scim.call('PATCH', `/Users/${user}`, bodyOf(name));
    expect([status, body['nickName']]).toEqual([200, 'Babs']);
  });

  test('replace many, legacy', async () => {
    const { status, body } = await scim.call('PATCH', `/Users/${user}`, bodyOf('replace many, legacy'));
    expect(status).toBe(200);
    expect(body).toMatchObject({
      displayName: 'Pvlo',
      emails: [{ type: 'work', value: 'TestBcwqnm@test.microsoft.com', primary: true }],
      name: { givenName: 'Gtfd', familyName: 'Pkqf', formatted: 'Adele Vance' },
      externalId: 'Eqpj',
      [enterprise]: { employeeNumber: 'Eqpj' },
    });
    expect(body['schemas']).toContain(enterprise);
  });

  test('replace many, aadOptscim062020: dotted names and URNs as members of a value', async () => {
    const { status, body } = await scim.call('PATCH', `/Users/${user}`, bodyOf('replace many, aad'));
    expect(status).toBe(200);
    expect(body).toMatchObject({
      displayName: 'Bjfe',
      name: { givenName: 'Kkom', familyName: 'Unua' },
      emails: [{ type: 'work', value: 'TestMhvaes@test.microsoft.com' }],
      [enterprise]: { employeeNumber: 'Aklq' },
    });
    expect(Object.keys(body)).not.toContain('name.givenName');
  });

  test('an address that is not there yet is made from the path that selects it', async () => {
    const { id } = await scim.user('bare');
    const { body } = await scim.call('PATCH', `/Users/${id}`, bodyOf('replace many, aad'));
    expect(body['emails']).toEqual([{ type: 'work', value: 'TestMhvaes@test.microsoft.com' }]);
  });

  test.each(['remove group member, legacy', 'remove group member, aad'])(
    '%s: only that one leaves',
    async (name) => {
      const { id: other } = await scim.user('other');
      const { id: third } = await scim.user('third');
      const group = await scim.group('Anybody', [user, other, third]);
      const body = JSON.stringify(bodyOf(name)).replaceAll(
        /u1091|7f4bc1a3-285e-48ae-8202-5accb43efb0e/gu,
        other,
      );
      expect((await scim.call('PATCH', `/Groups/${group}`, body)).status).toBe(200);
      expect(await scim.membersOf(group)).toEqual([user, third].sort());
    },
  );

  test.each(['remove group member, legacy', 'remove group member, aad'])(
    '%s, of somebody who is not in it: nobody leaves',
    async (name) => {
      const group = await scim.group('Anybody', [user]);
      expect((await scim.call('PATCH', `/Groups/${group}`, bodyOf(name))).status).toBe(200);
      expect(await scim.membersOf(group)).toEqual([user]);
    },
  );
});

const sdk = join(vectors, 'scim-sdk');
const sdkFile = (file: string): JsonObject => JSON.parse(readFileSync(join(sdk, file), 'utf8')) as JsonObject;

describe.skipIf(!present)('resources of SCIM-SDK', () => {
  test('its user is kept as it was sent, and shown again, but for the password', async () => {
    const sent = sdkFile('scim-sdk-common/test/common/files/resources/user/user-resource.json');
    const answered = await scim.call('POST', '/Users', { ...sent, userName: 'bjensen@example.com' });
    expect(answered.status).toBe(201);
    const { schemas, id: _i, meta: _m, groups: _g, password, userName: _u, ...rest } = sent;
    expect(schemas).toBeDefined();
    expect(answered.body).toMatchObject(rest);
    expect(answered.body).not.toHaveProperty('password');
    if (typeof password === 'string') expect(JSON.stringify(answered.body)).not.toContain(password);
  });

  test('a bulk request in which a group names a user who is made after it', async () => {
    const { status, body } = await scim.call('POST', '/Bulk', {
      schemas: [bulkSchema],
      failOnErrors: 1,
      Operations: [
        {
          method: 'POST',
          path: '/Groups',
          bulkId: 'g',
          data: { schemas: [groupSchema], displayName: 'Later', members: [{ value: 'bulkId:u' }] },
        },
        {
          method: 'POST',
          path: '/Users',
          bulkId: 'u',
          data: {
            schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
            userName: 'later@example.com',
          },
        },
      ],
    });
    expect(status).toBe(200);
    const [group, person] = body['Operations'] as readonly JsonObject[];
    expect([group?.['status'], person?.['status']]).toEqual(['201', '201']);
    const idIn = (operation: JsonObject | undefined) =>
      textOf(operation?.['location']).split('/').at(-1) ?? '';
    expect(await scim.membersOf(idIn(group))).toEqual([idIn(person)]);
  });
});
