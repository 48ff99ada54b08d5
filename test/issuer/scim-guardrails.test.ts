import type { JsonObject } from '@bulla/verifier/envelope';
import { afterEach, describe, expect, test } from 'vitest';
import { provisioning } from '../kit/issuer.ts';
import { newSigner } from '../kit/log.ts';
import {
  type Answered,
  agentSchema,
  groupSchema,
  type ScimWorld,
  startScim,
  textOf,
  userSchema,
} from '../kit/scim.ts';

let scim: ScimWorld;
afterEach(async () => scim.remove());

const refusal = ({ status, body }: Answered): readonly unknown[] => [
  status,
  textOf(body['detail']).split(':')[0],
];

describe('each guardrail is a SCIM error that says which rule', () => {
  test('a person of a domain that nobody trusts', async () => {
    scim = await startScim();
    const answered = await scim.call('POST', '/Users', {
      schemas: [userSchema],
      userName: 'eve@evil.example',
    });
    expect(refusal(answered)).toEqual([403, 'rule_domain_unlisted']);
    expect(answered.body['schemas']).toEqual(['urn:ietf:params:scim:api:messages:2.0:Error']);
    expect(JSON.stringify(answered.body)).not.toContain('evil');
  });

  test('a group that is protected, or that the lease does not list', async () => {
    scim = await startScim({ connection: { groups: { Staff: 'staff', Engineers: 'engineers' } } });
    const { id } = await scim.user('ann');
    const make = (displayName: string) =>
      scim.call('POST', '/Groups', { schemas: [groupSchema], displayName, members: [{ value: id }] });
    expect(refusal(await make('Staff'))[0]).toBe(403);
    expect(textOf((await make('staff')).body['detail'])).toMatch(/^rule_group_(?:protected|unlisted): /u);
    expect((await scim.call('GET', '/Groups')).body['totalResults']).toBe(0);
    expect(scim.world.hosted.log.read(`principal/${id}`)?.groups).toEqual([]);
  });

  test('caps: too many people, and too many who leave', async () => {
    const caps = { provisions: 2, provisionsPerHour: 100, removals: 1, removalsPerHour: 100 };
    scim = await startScim({ connectionLease: { caps } });
    const [ann, ben] = [(await scim.user('ann')).id, (await scim.user('ben')).id];
    const third = await scim.call('POST', '/Users', { schemas: [userSchema], userName: 'cat@corp.example' });
    expect(refusal(third)).toEqual([403, 'rule_cap_provisions']);
    expect((await scim.call('DELETE', `/Users/${ann}`)).status).toBe(204);
    expect(refusal(await scim.call('DELETE', `/Users/${ben}`))).toEqual([403, 'rule_cap_removals']);
    expect(scim.statusOf(ben)).toBe('pending');
  });

  test('rates are 429, with a time to wait', async () => {
    const caps = { provisions: 100, provisionsPerHour: 1, removals: 100, removalsPerHour: 100 };
    scim = await startScim({ connectionLease: { caps } });
    await scim.user('ann');
    const second = await scim.call('POST', '/Users', { schemas: [userSchema], userName: 'ben@corp.example' });
    expect(refusal(second)).toEqual([429, 'rule_cap_provisions_rate']);
    expect(Number(second.headers.get('retry-after'))).toBeGreaterThan(0);
  });

  test('what an admin suspended, SCIM does not resume, and other changes do not touch', async () => {
    scim = await startScim();
    const { id } = await scim.user('ann');
    await scim.admin({ type: 'principal.suspend', principal: id });
    const active = { op: 'replace', path: 'active', value: true };
    expect(refusal(await scim.patch(`/Users/${id}`, active))).toEqual([403, 'rule_rank_too_low']);
    const put = { schemas: [userSchema], userName: 'ann@corp.example', active: true };
    expect(refusal(await scim.call('PUT', `/Users/${id}`, put))).toEqual([403, 'rule_rank_too_low']);
    expect((await scim.patch(`/Users/${id}`, { op: 'add', path: 'title', value: 'x' })).status).toBe(200);
    expect(scim.world.hosted.log.read(`principal/${id}`)?.suspensions).toEqual(['admin']);
  });

  test('whoever both suspended, SCIM resumes not even from its own suspension, and an admin from both', async () => {
    scim = await startScim();
    const { id } = await scim.user('ann');
    await scim.admin({ type: 'principal.suspend', principal: id });
    const say = (value: boolean) => scim.patch(`/Users/${id}`, { op: 'replace', path: 'active', value });
    const suspensions = () => scim.world.hosted.log.read(`principal/${id}`)?.suspensions;
    expect((await say(false)).status).toBe(200);
    expect(suspensions()).toEqual(['admin', 'connection/okta']);
    expect(refusal(await say(true))).toEqual([403, 'rule_rank_too_low']);
    expect(suspensions()).toEqual(['admin', 'connection/okta']);
    await scim.admin({ type: 'principal.resume', principal: id, keys: [] });
    expect(scim.statusOf(id)).toBe('pending');
  });

  test('a lease that does not list an operation', async () => {
    const operations = provisioning.filter((each) => each !== 'principal.deprovision');
    scim = await startScim({ connectionLease: { operations } });
    const { id } = await scim.user('ann');
    expect(refusal(await scim.call('DELETE', `/Users/${id}`))).toEqual([403, 'rule_operation_unlisted']);
  });
});

describe('agents', () => {
  const propose = async (rest: JsonObject = {}): Promise<Answered> =>
    scim.call('POST', '/Agents', { schemas: [agentSchema], displayName: 'Reporter', ...rest });

  test('a proposal has no authority and no entry; its owner adopts it; active: false suspends, DELETE revokes', async () => {
    scim = await startScim();
    const { id: owner } = await scim.user('ann');
    const { size } = scim.world.hosted.log.world;
    const made = await propose({ owner: { value: owner }, externalId: 'a1' });
    expect(made).toMatchObject({
      status: 201,
      body: { status: 'pending', kind: 'autonomous', owner: { value: owner } },
    });
    expect(scim.world.hosted.log.world.size).toBe(size);
    const path = `/Agents/${textOf(made.body['id'])}`;
    const [person, signer] = [newSigner(), newSigner()];
    await scim.activate(owner, person);
    const agent = await scim.registerAgent(owner, person, signer);
    expect((await scim.call('GET', path)).body).toMatchObject({
      status: 'active',
      active: true,
      displayName: 'Reporter',
      keys: [{ value: signer.publicKey.thumbprint }],
    });
    expect((await scim.patch(path, { op: 'replace', path: 'active', value: 'False' })).body).toMatchObject({
      active: false,
      status: 'suspended',
    });
    expect(scim.world.hosted.log.read(`agent/${agent}`)?.suspensions).toEqual(['connection/okta']);
    expect(refusal(await scim.patch(path, { op: 'replace', path: 'kind', value: 'interactive' }))).toEqual([
      400,
      'scim_attribute_fixed',
    ]);
    const found = await scim.call('GET', `/Agents?filter=${encodeURIComponent(`owner.value eq "${owner}"`)}`);
    expect(found.body['totalResults']).toBe(1);
    expect((await scim.call('DELETE', path)).status).toBe(204);
    expect(scim.world.hosted.log.read(`agent/${agent}`)?.status).toBe('revoked');
    expect((await scim.call('GET', path)).status).toBe(404);
  });

  test('an owner who is no person of the connection is refused', async () => {
    scim = await startScim();
    expect(refusal(await propose({ owner: { value: scim.world.alice.id } }))).toEqual([
      400,
      'scim_value_invalid',
    ]);
    expect(refusal(await propose({ kind: 'robot' }))).toEqual([400, 'scim_value_invalid']);
  });
});
