import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  type Answered,
  agentSchema,
  codeOf,
  groupSchema,
  patchSchema,
  type ScimWorld,
  startScim,
  textOf,
} from '../../kit/scim.ts';

let scim: ScimWorld;
beforeEach(async () => {
  scim = await startScim();
});
afterEach(async () => scim.remove());

async function everyWrite(user: string, group: string, agent: string): Promise<readonly Answered[]> {
  return [
    await scim.patch(`/Users/${user}`, { op: 'replace', path: 'userName', value: 'alice@corp.example' }),
    await scim.patch(`/Users/${user}`, {
      op: 'add',
      path: 'emails',
      value: [{ value: 'alice@corp.example' }],
    }),
    await scim.call('POST', '/Groups', { schemas: [groupSchema], displayName: 'More' }),
    await scim.patch(`/Groups/${group}`, { op: 'replace', path: 'displayName', value: 'Renamed' }),
    await scim.call('DELETE', `/Groups/${group}`),
    await scim.call('POST', '/Agents', { schemas: [agentSchema], displayName: 'More' }),
    await scim.patch(`/Agents/${agent}`, { op: 'replace', path: 'displayName', value: 'Renamed' }),
    await scim.call('DELETE', `/Agents/${agent}`),
  ];
}

test.each([
  ['revoked', 'rule_lease_revoked'],
  ['ended', 'rule_lease_ended'],
])(
  'with a lease that was %s nothing is written, not even what only the directory keeps',
  async (how, rule) => {
    const { id } = await scim.user('mallory');
    const group = await scim.group('Anybody', [id]);
    const proposal = { schemas: [agentSchema], displayName: 'Bot', owner: { value: id } };
    const agent = textOf((await scim.call('POST', '/Agents', proposal)).body['id']);
    const before = JSON.stringify((await scim.call('GET', `/Users/${id}`)).body);
    scim.token = await scim.newToken(undefined, 'okta', 30 * 86_400);
    if (how === 'ended') scim.world.ahead += 8 * 86_400;
    else {
      const { signer } = scim.world.okta;
      await scim.admin({ type: 'delegate.revoke', key: signer.publicKey.thumbprint });
    }
    for (const answered of await everyWrite(id, group, agent)) expect(codeOf(answered)).toEqual([403, rule]);
    expect(JSON.stringify((await scim.call('GET', `/Users/${id}`)).body)).toBe(before);
    expect(await scim.membersOf(group)).toEqual([id]);
  },
);

test('a PATCH whose `schemas` hold what cannot be made a text is a bad request, not a failure', async () => {
  const { id } = await scim.user('ann');
  const answered = await scim.call('PATCH', `/Users/${id}`, {
    schemas: [{ toString: 'x', valueOf: 'y' }, patchSchema.toUpperCase(), null, 7],
    Operations: [{ op: 'add', path: 'title', value: 'x' }],
  });
  expect(answered.status).toBe(200);
  const refused = await scim.call('PATCH', `/Users/${id}`, {
    schemas: [{ toString: 'x', valueOf: 'y' }],
    Operations: [{ op: 'add', path: 'title', value: 'x' }],
  });
  expect(codeOf(refused)).toEqual([400, 'scim_syntax_invalid']);
});
