import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PlainBrowser } from '../kit/browser.ts';
import type { Ran } from './desk.ts';
import { InvitedDesk } from './invited-desk.ts';

let at: InvitedDesk;
beforeEach(async () => {
  at = await InvitedDesk.create();
});
afterEach(() => at.close());

const plainKey = '--insecure-plaintext-key';

const activate = (
  url: string,
  person: (browser: PlainBrowser) => Promise<unknown>,
  ...more: readonly string[]
): Promise<Ran> => at.browse(['--json', 'activate', url, ...more], person);

const logIn = (name: string) => async (browser: PlainBrowser) => {
  await browser.submit({ way: 'login' });
  return at.logIn(browser, name);
};

describe('bulla activate', () => {
  it('makes the key here, and the log has it after a log-in whose nonce it is', async () => {
    const bob = await at.invited.provision('bob');
    let last = '';
    const { exit, stdout } = await activate(
      await at.invitation(),
      async (browser) => {
        expect(browser.page).toContain(bob);
        await logIn('bob')(browser);
        last = browser.page;
      },
      plainKey,
    );
    expect(exit).toBe(0);
    const result = JSON.parse(stdout) as { principal: string; assurance: string; key: string };
    expect(result).toMatchObject({ principal: bob, assurance: 'login', status: 'active' });
    expect(at.invited.world.hosted.log.read(`principal/${bob}`)).toMatchObject({
      status: 'active',
      assurance: 'login',
      keys: [result.key],
    });
    expect(last).toContain('You are confirmed');
    expect(readdirSync(join(at.desk.home, 'keys'))).toEqual(['me.json']);
    const me = await at.desk.run(['--json', 'me'], at.options());
    expect(JSON.parse(me.stdout)).toMatchObject({ id: bob, status: 'active', assurance: 'login' });
  });

  it('keeps the key under the passphrase that was typed into the page', async () => {
    await at.invited.provision('bob');
    const { exit } = await activate(await at.invitation(), async (browser) => {
      await browser.submit({ way: 'login', passphrase: 'one of them', again: 'another one' });
      expect(browser.page).toContain('the two passphrases differ');
      await browser.submit({ way: 'login', passphrase: 'correct horse', again: 'correct horse' });
      await at.logIn(browser, 'bob');
    });
    expect(exit).toBe(0);
    expect(JSON.parse(at.desk.read('home/keys/me.json'))).toMatchObject({ protection: 'passphrase' });
    const ask = ['agent', 'add', '--key', 'bot', plainKey];
    expect(await at.desk.failure(ask, at.options())).toBe('6 passphrase_missing');
  });

  it('is refused by the log where somebody else logs in, and the invitation still works', async () => {
    const bob = await at.invited.provision('bob');
    const url = await at.invitation();
    let shown = '';
    const mallory = await activate(
      url,
      async (browser) => {
        shown = (await logIn('mallory')(browser)).page;
      },
      plainKey,
    );
    expect(JSON.parse(mallory.stdout)).toMatchObject({
      error: { code: 'issuer_refused', reason: 'rule_login_mismatch' },
    });
    expect(shown).toContain('of somebody else than who was provisioned');
    expect(at.invited.world.hosted.log.read(`principal/${bob}`)?.status).toBe('pending');
    expect((await activate(url, logIn('bob'), plainKey)).exit).toBe(0);
  });

  it('goes once: the invitation is spent', async () => {
    await at.invited.provision('bob');
    const url = await at.invitation();
    await activate(url, logIn('bob'), plainKey);
    expect(await at.desk.failure(['activate', url], at.options())).toBe('3 invitation_invalid');
  });

  it('lets the person try the log-in again', async () => {
    await at.invited.provision('bob');
    const { exit } = await activate(
      await at.invitation(),
      async (browser) => {
        await browser.submit({ way: 'login' });
        const { origin } = new URL(browser.url);
        await browser.open(`${origin}/callback?error=access_denied&state=wrong`);
        expect(browser.page).toContain('login_refused');
        await browser.open(`${origin}/`);
        await logIn('bob')(browser);
      },
      plainKey,
    );
    expect(exit).toBe(0);
  });

  it('makes a recovery key at the same time', async () => {
    const bob = await at.invited.provision('bob');
    const { exit } = await activate(await at.invitation(), logIn('bob'), plainKey, '--recovery', 'spare');
    expect(exit).toBe(0);
    expect(at.invited.world.hosted.log.read(`principal/${bob}`)?.recovery).not.toBeNull();
  });

  it('ends when it is told to, with nothing confirmed', async () => {
    await at.invited.provision('bob');
    const stop = new AbortController();
    const url = await at.invitation();
    const failed = await at.desk.failure([plainKey, 'activate', url], {
      ...at.options(),
      stopped: stop.signal,
      openBrowser: () => stop.abort(),
    });
    expect(failed).toBe('7 not_confirmed');
  });

  it.each([
    'https://issuer.example/a/acct_x/activate#x',
    'ftp://issuer.example/a/x',
    'http://issuer.example/a/acct_0000000000000000000000000000000000000000000/activate#0000000000000000000000000000000000000000000',
    'nonsense',
  ])('does not take %s for an invitation', async (text) => {
    expect(await at.desk.failure(['activate', text], at.options())).toBe('3 invitation_invalid');
  });
});
