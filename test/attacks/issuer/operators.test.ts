import { createHash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { InvitedWorld, operatorToken } from '../../kit/invited.ts';

let invited: InvitedWorld;
beforeEach(async () => {
  invited = await InvitedWorld.create();
});
afterEach(() => invited.close());

const secretOf = (): string => randomBytes(32).toString('base64url');
const nonceOf = (secret: string): string => createHash('sha256').update(secret).digest('base64url');

async function open(idToken: string, session: string): Promise<string> {
  const response = await invited.world.post('/operator/session', { id_token: idToken, session }, null);
  const { code = 'opened' } = (await response.json()) as { readonly code?: string };
  return code;
}

describe('a session of an operator', () => {
  it('an ID token that somebody else saw opens no session', async () => {
    const secret = secretOf();
    const token = await invited.idp.idToken('idp-olga', nonceOf(secret), 'bulla-operators');
    expect(await open(token, secretOf())).toBe('operator_login_refused');
    expect(await open(token, nonceOf(secret))).toBe('operator_login_refused');
    expect(await open(token, secret)).toBe('opened');
  });

  test.each([
    ['the same again', 'idp-olga', 'bulla-operators', 0],
    ['one that is five minutes old', 'idp-olga', 'bulla-operators', 301],
    ['one for another client', 'idp-olga', 'bulla-people', 0],
    ['one of somebody who is no operator', 'idp-mallory', 'bulla-operators', 0],
  ])('an ID token opens one session, and %s opens none', async (what, name, clientId, ahead) => {
    const secret = secretOf();
    const token = await invited.idp.idToken(name, nonceOf(secret), clientId);
    if (what === 'the same again') expect(await open(token, secret)).toBe('opened');
    invited.world.ahead += ahead;
    expect(await open(token, secret)).toBe('operator_login_refused');
  });

  it('an ID token with another signature opens none', async () => {
    const secret = secretOf();
    const token = await invited.idp.idToken('idp-olga', nonceOf(secret), 'bulla-operators');
    const [header = '', payload = ''] = token.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
    const other = Buffer.from(JSON.stringify({ ...claims, jti: 'x' })).toString('base64url');
    expect(await open(`${header}.${other}.${token.split('.')[2] ?? ''}`, secret)).toBe(
      'operator_login_refused',
    );
    expect(await open('not.a.token', secret)).toBe('operator_login_refused');
  });

  test.each<[string, Readonly<Record<string, unknown>>, string]>([
    ['got by us for others too', { aud: ['bulla-operators', 'x'], azp: 'bulla-operators' }, 'opened'],
    ['for others too, and got by whom it does not say', { aud: ['bulla-operators', 'x'] }, 'refused'],
    ['got by another', { azp: 'x' }, 'refused'],
    ['of another issuer', { iss: 'https://idp.example' }, 'refused'],
    ['of nobody', { sub: undefined }, 'refused'],
    ['without an end', { exp: undefined }, 'refused'],
    ['that has ended', { exp: 1 }, 'refused'],
    ['without a beginning', { iat: undefined }, 'refused'],
    ['of tomorrow', { iat: Math.floor(Date.now() / 1000) + 86_400 }, 'refused'],
    ['with no `nonce`', { nonce: undefined }, 'refused'],
  ])('an ID token %s', async (_name, change, answer) => {
    const secret = secretOf();
    const iat = Math.floor(Date.now() / 1000);
    const plain = { iss: invited.idp.issuer, sub: 'idp-olga', aud: 'bulla-operators', iat, exp: iat + 60 };
    const token = await invited.idp.sign({ ...plain, nonce: nonceOf(secret), ...change });
    expect(await open(token, secret)).toBe(answer === 'opened' ? answer : 'operator_login_refused');
  });

  it('whoever guesses is slowed down, and a good token is not', async () => {
    const statuses = [];
    for (let guess = 0; guess < 31; guess += 1) {
      statuses.push((await invited.world.get('/operator/people', secretOf())).status);
    }
    expect([statuses[0], statuses.at(-1)]).toEqual([401, 429]);
    expect((await invited.world.get('/operator/people', operatorToken)).status).toBe(200);
  });

  it('an operator whose line was removed is one no more', async () => {
    const secret = secretOf();
    await open(await invited.idp.idToken('idp-olga', nonceOf(secret), 'bulla-operators'), secret);
    expect((await invited.world.get('/operator/people', secret)).status).toBe(200);
    const { operators } = invited.world.config.accounts[0] ?? {};
    Object.assign(operators?.login ?? {}, { subjects: ['idp-other'] });
    await invited.world.restart();
    expect((await invited.world.get('/operator/people', secret)).status).toBe(401);
  });

  it('ends at its time at the issuer, whoever keeps its token', async () => {
    const secret = secretOf();
    await open(await invited.idp.idToken('idp-olga', nonceOf(secret), 'bulla-operators'), secret);
    invited.world.ahead += 3599;
    expect((await invited.world.get('/operator/people', secret)).status).toBe(200);
    invited.world.ahead += 2;
    expect((await invited.world.get('/operator/people', secret)).status).toBe(401);
  });

  test.each([
    [{ connection: 'okta', seconds: 366 * 86_400 + 1 }],
    [{ connection: 'okta', seconds: 0 }],
    [{ connection: 'okta', seconds: '60' }],
    [{ connection: 'okta', scopes: [] }],
    [{ connection: 'okta', scopes: ['users:erase'] }],
    [{ connection: 'nobody' }],
  ])('makes no token of a connection for %j', async (body) => {
    const response = await invited.world.post('/operator/tokens', body, operatorToken);
    expect(((await response.json()) as { code: string }).code).toBe('parameter_invalid');
  });

  it('opens neither the log nor SCIM, and a read token opens nothing here', async () => {
    const secret = secretOf();
    await open(await invited.idp.idToken('idp-olga', nonceOf(secret), 'bulla-operators'), secret);
    expect((await invited.world.get('/log/entries?from=0', secret)).status).toBe(401);
    expect((await invited.world.get('/scim/v2/Users', secret)).status).toBe(401);
    expect((await invited.world.get('/operator/people')).status).toBe(401);
  });
});
