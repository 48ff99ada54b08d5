import { randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import type { Signer } from '@bulla/verifier';
import { type Operation, signEntry, signRequest } from '@bulla/verifier/log';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InvitedDesk } from '../../cli/invited-desk.ts';
import { PlainBrowser } from '../../kit/browser.ts';
import { InvitedWorld } from '../../kit/invited.ts';
import { IssuerWorld, newKey } from '../../kit/issuer.ts';

let invited: InvitedWorld;
beforeEach(async () => {
  invited = await InvitedWorld.create();
});
afterEach(() => invited.close());

const randomCode = (): string => randomBytes(32).toString('base64url');

async function answer(response: Response): Promise<string> {
  return `${response.status} ${await response.text()}`;
}

async function login(name: string, nonce: string, code: string, clientId?: string) {
  const looked = (await (await invited.look(code)).json()) as { login: { salt: string } };
  const { kid: _kid, ...jwk } = invited.idp.jwk;
  return { token: await invited.idp.idToken(name, nonce, clientId), jwk, salt: looked.login.salt } as never;
}

/** A person who confirmed themselves, with the read token that they got. */
async function confirmed() {
  const bob = await invited.provision('bob');
  const code = await invited.newestCode();
  const key = newKey().signer;
  const proof = await login('idp-bob', key.publicKey.thumbprint, code);
  const done = await invited.complete(code, invited.request(bob, key, { login: proof }));
  const { read_token: token } = (await done.json()) as { read_token: string };
  return { bob, key, token };
}

/** The ledger of the admins does not follow what the issuer wrote. */
async function byAdmin(op: Operation, ...cosigners: readonly Signer[]): Promise<void> {
  const { world } = invited;
  const { account, lastTime, size, head } = world.hosted.log.world;
  const time = Math.max(lastTime, Math.floor(world.ports.now()));
  const draft = { account, seq: size, prev: head ?? '', time, op };
  await world.appended(signEntry(draft, world.ledger.admin, cosigners));
}

describe('a code', () => {
  it('that is wrong, used, replaced, expired, malformed or of another account tells the same: nothing', async () => {
    const bob = await invited.provision('bob');
    const replaced = await invited.newestCode();
    await invited.world.hosted.invitations?.invite(bob);
    const used = await invited.newestCode();
    const key = newKey().signer;
    const proof = await login('idp-bob', key.publicKey.thumbprint, used);
    expect((await invited.complete(used, invited.request(bob, key, { login: proof }))).status).toBe(200);
    await invited.provision('carol');
    const good = await invited.newestCode();
    const other = await IssuerWorld.create();
    const elsewhere = await other.post('/activation/look', { code: good }, null);
    await other.remove();
    invited.world.ahead += 3601;
    const answers = [
      await answer(elsewhere),
      ...(await Promise.all(
        [randomCode(), used, replaced, good, 'x', ''].map(async (code) => answer(await invited.look(code))),
      )),
    ];
    expect(new Set(answers).size).toBe(1);
    expect(answers[0]).toMatch(/^403 .*"code":"activation_code_invalid"/u);
  });

  it('is slowed down for whoever guesses, and not for whoever knows it', async () => {
    await invited.provision('bob');
    const code = await invited.newestCode();
    const answers: number[] = [];
    for (let guess = 0; guess < 40; guess += 1) answers.push((await invited.look(randomCode())).status);
    expect(answers.at(-1)).toBe(429);
    expect((await invited.look(code)).status).toBe(200);
  });

  it('is spent once by two who come at the same time', async () => {
    const bob = await invited.provision('bob');
    const code = await invited.newestCode();
    const requests = await Promise.all(
      [newKey().signer, newKey().signer].map(async (key) =>
        invited.request(bob, key, { login: await login('idp-bob', key.publicKey.thumbprint, code) }),
      ),
    );
    const responses = await Promise.all(requests.map((request) => invited.complete(code, request)));
    expect(responses.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 403]);
    expect(invited.world.hosted.log.read(`principal/${bob}`)?.keys).toHaveLength(1);
  });
});

describe('an activation', () => {
  it.each([
    [
      'the log-in of another person',
      async (nonce: string, code: string) => login('idp-mallory', nonce, code),
      'rule_login_mismatch',
    ],
    [
      'a log-in for another key',
      async (_nonce: string, code: string) => login('idp-bob', randomCode(), code),
      'rule_login_not_bound',
    ],
    [
      'a log-in at another client of the IdP',
      async (nonce: string, code: string) => login('idp-bob', nonce, code, 'bulla-operators'),
      'rule_login_mismatch',
    ],
    ['no log-in', async () => undefined, 'rule_not_sponsor'],
  ])('with %s is refused by the log, and the code stays good', async (_what, proof, rule) => {
    const bob = await invited.provision('bob');
    const code = await invited.newestCode();
    const key = newKey().signer;
    const made = await proof(key.publicKey.thumbprint, code);
    const request = invited.request(bob, key, made === undefined ? {} : { login: made });
    const response = await invited.complete(code, request);
    expect(((await response.json()) as { code: string }).code).toBe(rule);
    expect((await invited.look(code)).status).toBe(200);
    expect(invited.world.hosted.log.read(`principal/${bob}`)?.status).toBe('pending');
  });

  it('of another person than the invited one is not wrapped', async () => {
    const bob = await invited.provision('bob');
    await invited.newestCode();
    await invited.provision('carol');
    const carols = await invited.newestCode();
    const response = await invited.complete(carols, invited.request(bob, newKey().signer));
    expect(((await response.json()) as { code: string }).code).toBe('body_invalid');
  });
});

describe('a personal read token', () => {
  it.each([
    ['was let go when its person came back', false],
    ['was revoked', true],
  ])('is void for good once its key %s', async (_, revoked) => {
    const { world } = invited;
    const { bob, key, token } = await confirmed();
    expect((await world.get('/log/entries?from=0', token)).status).toBe(200);
    const jkt = key.publicKey.thumbprint;
    if (revoked) await byAdmin({ type: 'key.revoke', key: jkt });
    else {
      await byAdmin({ type: 'principal.suspend', principal: bob });
      await byAdmin({ type: 'principal.resume', principal: bob, keys: [] });
    }
    expect(world.hosted.log.read(`principal/${bob}`)?.status).toBe('active');
    expect((await world.get('/log/entries?from=0', token)).status).toBe(401);
    const next = newKey().signer;
    await byAdmin({ type: 'key.recover', principal: bob, key: next.publicKey.jwk }, next);
    expect((await world.get('/log/entries?from=0', token)).status).toBe(401);
  });

  it('goes over to the key that takes the place of its own', async () => {
    const { world } = invited;
    const { bob, key, token } = await confirmed();
    const next = newKey().signer;
    const request = signRequest(
      {
        account: world.ledger.account,
        op: { type: 'key.rotate', old: key.publicKey.thumbprint, key: next.publicKey.jwk },
        subject: `principal/${bob}`,
        subjectVersion: world.hosted.log.read(`principal/${bob}`)?.version ?? 0,
        notAfter: Math.floor(world.ports.now()) + 60,
      },
      key,
      [next],
    );
    expect((await world.post('/log/requests', { request }, token)).status).toBe(201);
    expect((await world.get('/log/entries?from=0', token)).status).toBe(200);
  });

  it('reads the log, and is void while its person is suspended', async () => {
    const bob = await invited.provision('bob');
    const code = await invited.newestCode();
    const key = newKey().signer;
    const proof = await login('idp-bob', key.publicKey.thumbprint, code);
    const done = await invited.complete(code, invited.request(bob, key, { login: proof }));
    const { read_token: token } = (await done.json()) as { read_token: string };
    const { world } = invited;
    const say = (op: Operation) => world.hosted.log.write(world.okta.signer, () => ({ ops: [op] }));
    expect((await world.get('/log/entries?from=0', token)).status).toBe(200);
    const stream = await world.get('/log/stream?from=0', token);
    await say({ type: 'principal.suspend', principal: bob });
    expect((await world.get('/log/entries?from=0', token)).status).toBe(401);
    const reader = stream.body?.getReader();
    let text = '';
    for (let chunk = await reader?.read(); chunk?.done === false; chunk = await reader?.read()) {
      text += Buffer.from(chunk.value).toString();
    }
    expect(text).not.toContain('principal.suspend');
    await say({ type: 'principal.resume', principal: bob, keys: [key.publicKey.thumbprint] });
    expect((await world.get('/log/entries?from=0', token)).status).toBe(200);
  });
});

describe("the page on the person's machine", () => {
  it('answers the browser that was opened, and nobody else of the machine or the Web', async () => {
    const at = await InvitedDesk.create();
    await at.invited.provision('bob');
    const statuses: Record<string, number> = {};
    await at.browse(['--insecure-plaintext-key', 'activate', await at.invitation()], async (browser) => {
      const { origin } = new URL(browser.url);
      const other = async (path: string): Promise<number> =>
        (await new PlainBrowser().open(`${origin}${path}`)).status;
      statuses['without cookie'] = await other('/');
      statuses['guessed ticket'] = await other(`/${randomCode()}`);
      statuses['callback of a stranger'] = await other('/callback?code=x&state=y');
      statuses['other host'] = await rawStatus(origin, 'localhost');
      await browser.submit({ way: 'login' }, 'https://mallory.example');
      statuses['form of another origin'] = browser.status;
      await browser.open(`${origin}/`);
      await browser.submit({ way: 'delegate' });
      statuses['way that is not offered'] = browser.status;
      await browser.open(`${origin}/`);
      await browser.submit({ way: 'login' });
      await at.logIn(browser, 'bob');
    });
    await at.close();
    expect(statuses).toEqual({
      'without cookie': 403,
      'guessed ticket': 403,
      'callback of a stranger': 403,
      'other host': 403,
      'form of another origin': 403,
      'way that is not offered': 404,
    });
  });
});

/** `fetch` does not let `Host` be set. */
function rawStatus(origin: string, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { host: `${host}:${new URL(origin).port}` };
    httpRequest(origin, { headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}
