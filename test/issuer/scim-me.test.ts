import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { InvitedWorld } from '../kit/invited.ts';
import { newKey } from '../kit/issuer.ts';
import { ScimWorld } from '../kit/scim.ts';

let invited: InvitedWorld;
beforeEach(async () => {
  invited = await InvitedWorld.create();
});
afterEach(() => invited.close());

/** Provisions and confirms a person. @returns their id, and SCIM as it answers to their personal token. */
async function confirmed(name: string): Promise<{ readonly id: string; readonly scim: ScimWorld }> {
  const id = await invited.provision(name);
  const code = await invited.newestCode();
  const looked = (await (await invited.look(code)).json()) as { readonly login: { readonly salt: string } };
  const key = newKey().signer;
  const { kid: _kid, ...jwk } = invited.idp.jwk;
  const token = await invited.idp.idToken(`idp-${name}`, key.publicKey.thumbprint);
  const login = { token, jwk, salt: looked.login.salt } as never;
  const done = await invited.complete(code, invited.request(id, key, { login }));
  const { read_token: own } = (await done.json()) as { readonly read_token: string };
  return { id, scim: new ScimWorld(invited.world, own) };
}

const codeOf = ({ body }: Awaited<ReturnType<ScimWorld['call']>>): unknown =>
  typeof body['detail'] === 'string' ? body['detail'].split(':')[0] : undefined;

describe('/Me of a person', () => {
  test('is the User that their connection keeps, at its own place', async () => {
    const { id, scim } = await confirmed('bob');
    await confirmed('carol');
    const { status, headers, body } = await scim.call('GET', '/Me');
    expect(status).toBe(200);
    expect(body).toMatchObject({ id, userName: expect.stringMatching(/^bob@/u), active: true });
    expect(headers.get('content-location')).toBe(`${scim.base}/Users/${id}`);
  });

  test('is to be read and no more, and their token opens nothing else', async () => {
    const { id, scim } = await confirmed('bob');
    for (const method of ['PUT', 'PATCH', 'DELETE', 'POST']) {
      const answer = await scim.call(method, '/Me', method === 'DELETE' ? undefined : {});
      expect([answer.status, codeOf(answer)]).toEqual([405, 'method_refused']);
    }
    for (const path of ['/Users', `/Users/${id}`, '/Groups', '/x/../Me', '/Me/']) {
      const answer = await scim.call('GET', path);
      expect([path, answer.status]).toEqual([path, path === '/x/../Me' ? 200 : 401]);
    }
    expect(invited.world.hosted.log.read(`principal/${id}`)?.status).toBe('active');
  });

  test('is gone with their standing', async () => {
    const { id, scim } = await confirmed('bob');
    const okta = new ScimWorld(invited.world, '');
    okta.token = await okta.newToken();
    await okta.patch(`/Users/${id}`, { op: 'replace', path: 'active', value: false });
    const answer = await scim.call('GET', '/Me');
    expect([answer.status, codeOf(answer)]).toEqual([401, 'scim_token_wrong']);
  });
});

test('a connection has requests for a minute, and is told how long to wait', async () => {
  await invited.close();
  invited = await InvitedWorld.create({ connection: { perMinute: 4 } });
  const scim = new ScimWorld(invited.world, '');
  scim.token = await scim.newToken();
  const answers = [];
  for (let call = 0; call < 3; call += 1) answers.push(await scim.call('GET', '/Users'));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
  expect(answers.map(({ headers }) => headers.get('retry-after'))).toEqual([null, null, '15']);
  expect(codeOf(await scim.call('GET', '/Groups'))).toBe('rate_limited');
});

test('health says which leases are missing or end soon, and that minting goes on', async () => {
  const delegates = async (): Promise<unknown> => {
    const health = await invited.world.issuer.app.request('/healthz');
    const { accounts } = (await health.json()) as { readonly accounts: readonly { delegates: unknown }[] };
    return [health.status, accounts[0]?.delegates];
  };
  const okta = (state: string, left: unknown) => [
    200,
    [{ name: 'connection/okta', state, leaseSecondsLeft: left }],
  ];
  expect(await delegates()).toEqual(okta('ok', expect.any(Number)));
  await invited.close();
  invited = await InvitedWorld.create({
    connectionLease: { notAfter: Math.floor(Date.now() / 1000) + 3000 },
  });
  expect(await delegates()).toEqual(okta('lease_ending', expect.any(Number)));
  const { ledger, okta: source } = invited.world;
  ledger.do({ type: 'delegate.revoke', key: source.signer.publicKey.thumbprint });
  await invited.world.appended(ledger.lastLeaf);
  expect(await delegates()).toEqual(okta('lease_missing', null));
});
