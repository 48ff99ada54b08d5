import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Json, JsonObject } from '@bulla/verifier/envelope';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Answered, type ScimWorld, startScim, textOf } from '../kit/scim.ts';

const folder = join(
  process.env['BULLA_VECTORS'] ?? join(import.meta.dirname, '../../../shared/vectors'),
  'scim',
);
const present = existsSync(folder);
const read = (file: string): unknown => JSON.parse(readFileSync(join(folder, file), 'utf8'));

let scim: ScimWorld;
beforeEach(async () => {
  scim = await startScim();
});
afterEach(async () => scim.remove());

interface Assertion {
  readonly source: string;
  readonly property?: string;
  readonly comparison: string;
  readonly value: string | null;
}
interface Step {
  readonly step_type: string;
  readonly method: string;
  readonly url: string;
  readonly note: string;
  readonly body?: string;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly assertions: readonly Assertion[];
  readonly variables: readonly { readonly property: string; readonly name: string }[];
}

/** `Resources[0].emails[0].value`; a name on a list means its first value, as Runscope has it. */
function at(body: Json, property: string): Json | undefined {
  let value: Json | undefined = body;
  for (const name of property.replaceAll(/\[(\d+)\]/gu, '.$1').split('.')) {
    if (Array.isArray(value) && !/^\d+$/u.test(name)) value = (value as readonly Json[])[0];
    value = (value as Readonly<Record<string, Json>> | undefined)?.[name];
  }
  return value;
}

function holds(assertion: Assertion, { status, body }: Answered, fill: (text: string) => string): boolean {
  const { source, property = '', comparison } = assertion;
  if (source === 'response_time') return true;
  const actual = source === 'response_status' ? status : at(body, property);
  const expected = fill(assertion.value ?? '');
  switch (comparison) {
    case 'not_empty':
      return actual !== undefined && actual !== null && actual !== '';
    case 'is_a_number':
      return typeof actual === 'number';
    case 'has_value':
    case 'contains':
      return expected === '' ? actual !== undefined : [actual].flat().includes(expected);
    case 'equal':
    case 'equal_number':
      return JSON.stringify(actual) === expected || actual === expected;
    default:
      return false;
  }
}

/**
 * userName is not case-exact (RFC 7643 section 4.1.1): the same name in capitals finds the user. Okta's file expects 400 here,
 * which its first version got from a filter that is none; what that one sends, we do answer with 400.
 */
const contradictsRfc = (file: string, note: string): boolean =>
  file.includes('Latest') && note.includes('Case Sensitivity');

describe.skipIf(!present)("Okta's SPEC test", () => {
  test.each(['Okta-SCIM-20-SPEC-Test.json', 'Okta-SCIM-20-SPEC-Test-Latest.json'])('%s', async (file) => {
    const { steps } = read(`okta-spec/${file}`) as { readonly steps: readonly Step[] };
    await scim.user('already.there@okta.local', {
      name: { givenName: 'Already', familyName: 'There' },
      emails: [{ value: 'already.there@okta.local', primary: true }],
    });
    await scim.group('Everybody');
    const name = 'fresh.user@okta.local';
    const variables = new Map([
      ['SCIMBaseURL', ''],
      ['randomUsername', name],
      ['randomUsernameCaps', name.toUpperCase()],
      ['randomEmail', name],
      ['randomGivenName', 'Fresh'],
      ['randomFamilyName', 'User'],
      ['InvalidUserEmail', 'nobody@okta.local'],
      ['UserIdThatDoesNotExist', 'prn_00000000000000000000000000000000'],
    ]);
    const fill = (text: string) =>
      text.replaceAll(/\{\{(\w+)\}\}/gu, (whole, key: string) => variables.get(key) ?? whole);
    let requests = 0;
    for (const step of steps) {
      if (step.step_type !== 'request') continue;
      requests += 1;
      // The user that must not exist yet is looked for in one version, and made before that in the other.
      const isMade = step.note.includes('random user') && file.includes('Latest');
      if (isMade) variables.set('randomEmail', 'nobody.else@okta.local');
      const [path = '', query] = fill(step.url).split('?', 2);
      const url = query === undefined ? path : `${path}?${encodeURI(query)}`;
      const answered = await scim.call(
        step.method,
        url,
        step.body === undefined ? undefined : fill(step.body),
        {
          'content-type': step.headers['Content-Type']?.[0] ?? 'application/scim+json',
        },
      );
      if (isMade) variables.set('randomEmail', name);
      if (contradictsRfc(file, step.note)) {
        expect(answered).toMatchObject({ status: 200, body: { totalResults: 1 } });
        continue;
      }
      for (const assertion of step.assertions) {
        const why = `${step.note}: ${JSON.stringify(assertion)} of ${JSON.stringify(answered.body)}`;
        expect(holds(assertion, answered, fill), why).toBe(true);
      }
      for (const variable of step.variables) {
        variables.set(variable.name, textOf(at(answered.body, variable.property)));
      }
    }
    expect(requests).toBe(16);
  });
});

interface Wire {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: JsonObject | null;
}

describe.skipIf(!present)("Okta's requests in their order", () => {
  /** Sends request `index` with `{id}` and `{gid}` filled in. */
  async function send(
    index: number,
    ids: { readonly user?: string; readonly group?: string },
  ): Promise<Answered> {
    const { sequence } = read('entra-okta-wire/okta-sequence.json') as { readonly sequence: readonly Wire[] };
    const step = sequence[index];
    if (step === undefined) throw new Error('there is no such step');
    const fill = (text: string) =>
      text.replaceAll('{id}', ids.user ?? '').replaceAll('{gid}', ids.group ?? '');
    const isAgain = step.body?.['$same'] === true;
    const body = isAgain ? sequence[index - 1]?.body : step.body;
    const path = fill(step.path.replace(/ .*$/u, ''));
    return scim.call(step.method, path, body ? fill(JSON.stringify(body)) : undefined, step.headers);
  }

  test('each has the effect that Okta expects', async () => {
    expect(await send(0, {})).toMatchObject({ status: 200, body: { totalResults: 0, Resources: [] } });
    expect(await send(1, {})).toMatchObject({ status: 200, body: { totalResults: 0 } });
    expect(await send(2, {})).toMatchObject({ status: 200, body: { totalResults: 0, itemsPerPage: 0 } });
    const made = await send(3, {});
    const user = textOf(made.body['id']);
    expect(made).toMatchObject({
      status: 201,
      body: {
        userName: 'test.user@okta.local',
        name: { givenName: 'Test', familyName: 'User' },
        externalId: '00ujl29u0le5T6Aj10h7',
        active: true,
      },
    });
    expect(JSON.stringify(made.body)).not.toContain('1mz050nq');
    expect(await send(4, {})).toMatchObject({ status: 409, body: { scimType: 'uniqueness' } });
    expect(await send(5, { user })).toMatchObject({ status: 200, body: { id: user } });
    const put = await send(6, { user });
    expect(put).toMatchObject({
      status: 200,
      body: { id: user, name: { givenName: 'Another', middleName: 'Excited' } },
    });
    expect(put.body).not.toHaveProperty('displayName');
    expect(await send(7, { user })).toMatchObject({ status: 200, body: { active: false } });
    expect(scim.statusOf(user)).toBe('suspended');
    const group = textOf((await send(8, {})).body['id']);
    expect(await send(9, {})).toMatchObject({
      status: 200,
      body: { totalResults: 1, Resources: [{ id: group }] },
    });
    expect(await send(10, { group })).toMatchObject({
      status: 200,
      body: { id: group, displayName: 'Test SCIMv2' },
    });
    expect(await send(11, { group, user })).toMatchObject({ status: 200 });
    expect(await scim.membersOf(group)).toEqual([user]);
    // The second member is nobody here.
    expect(await send(12, { group, user })).toMatchObject({ status: 200 });
    expect(await scim.membersOf(group)).toEqual([user]);
    expect(await send(13, { group, user })).toMatchObject({ status: 200 });
    expect((await scim.call('GET', `/Users/${user}`)).body['groups']).toMatchObject([{ value: group }]);
    expect(await send(14, { group })).toMatchObject({ status: 204, body: {} });
    expect(await scim.call('GET', `/Groups/${group}`)).toMatchObject({ status: 404 });
  });
});
