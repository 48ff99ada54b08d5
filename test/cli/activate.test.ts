import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { systemPorts } from '@bulla/verifier';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PlainBrowser } from '../kit/browser.ts';
import { InvitedWorld, invitationIn } from '../kit/invited.ts';
import { Desk, type Ran, type RunOptions } from './desk.ts';

let invited: InvitedWorld;
let desk: Desk;
beforeEach(async () => {
  invited = await InvitedWorld.create();
  desk = new Desk();
});
afterEach(async () => {
  await desk.close();
  await invited.close();
});

const plainKey = '--insecure-plaintext-key';

/** Reaches the issuer without a network, and the IdP with one. */
function options(more: RunOptions = {}): RunOptions {
  const { world } = invited;
  return {
    ports: {
      now: world.ports.now,
      fetch: async (input, init) => {
        const url = input instanceof Request ? input.url : String(input);
        return url.startsWith(world.config.publicUrl)
          ? world.issuer.app.request(url, init)
          : systemPorts.fetch(input, init);
      },
    },
    stopped: new AbortController().signal,
    ...more,
  };
}

async function invitation(): Promise<string> {
  await invited.world.hosted.invitations?.tick();
  return invitationIn(invited.mailbox.mails.at(-1)?.text ?? '').url;
}

/** Runs the command, and does in the browser it opens what `person` does. */
async function activate(
  url: string,
  person: (browser: PlainBrowser) => Promise<unknown>,
  ...more: readonly string[]
): Promise<Ran> {
  const stop = new AbortController();
  let failure: unknown;
  const ran = await desk.run(['--json', 'activate', url, ...more], {
    ...options(),
    stopped: stop.signal,
    openBrowser: (address) => {
      new PlainBrowser()
        .open(address)
        .then(person)
        .catch((error: unknown) => {
          failure = error;
          stop.abort();
        });
    },
  });
  if (failure !== undefined) throw failure;
  return ran;
}

const logIn = (name: string) => async (browser: PlainBrowser) => {
  await browser.submit({ way: 'login' });
  if (browser.refresh === '') throw new Error(`${browser.status} ${browser.page}`);
  return browser.open(await invited.idp.logIn(browser.refresh, `idp-${name}`));
};

describe('bulla activate', () => {
  it('makes the key here, and the log has it after a log-in whose nonce it is', async () => {
    const bob = await invited.provision('bob');
    let last = '';
    const { exit, stdout } = await activate(
      await invitation(),
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
    expect(invited.world.hosted.log.read(`principal/${bob}`)).toMatchObject({
      status: 'active',
      assurance: 'login',
      keys: [result.key],
    });
    expect(last).toContain('You are confirmed');
    expect(readdirSync(join(desk.home, 'keys'))).toEqual(['me.json']);
    const me = await desk.run(['--json', 'me'], options());
    expect(JSON.parse(me.stdout)).toMatchObject({ id: bob, status: 'active', assurance: 'login' });
  });

  it('keeps the key under the passphrase that was typed into the page', async () => {
    await invited.provision('bob');
    const { exit } = await activate(await invitation(), async (browser) => {
      await browser.submit({ way: 'login', passphrase: 'one of them', again: 'another one' });
      expect(browser.page).toContain('the two passphrases differ');
      await browser.submit({ way: 'login', passphrase: 'correct horse', again: 'correct horse' });
      await browser.open(await invited.idp.logIn(browser.refresh, 'idp-bob'));
    });
    expect(exit).toBe(0);
    expect(JSON.parse(desk.read('home/keys/me.json'))).toMatchObject({ protection: 'passphrase' });
    const ask = ['agent', 'add', '--key', 'bot', plainKey];
    expect(await desk.failure(ask, options())).toBe('6 passphrase_missing');
  });

  it('is refused by the log where somebody else logs in, and the invitation still works', async () => {
    const bob = await invited.provision('bob');
    const url = await invitation();
    const mallory = await activate(url, logIn('mallory'), plainKey);
    expect(JSON.parse(mallory.stdout)).toMatchObject({
      error: { code: 'issuer_refused', reason: 'rule_login_mismatch' },
    });
    expect(invited.world.hosted.log.read(`principal/${bob}`)?.status).toBe('pending');
    expect((await activate(url, logIn('bob'), plainKey)).exit).toBe(0);
  });

  it('goes once: the invitation is spent', async () => {
    await invited.provision('bob');
    const url = await invitation();
    await activate(url, logIn('bob'), plainKey);
    expect(await desk.failure(['activate', url], options())).toBe('3 invitation_invalid');
  });

  it('lets the person try the log-in again', async () => {
    await invited.provision('bob');
    const { exit } = await activate(
      await invitation(),
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
    const bob = await invited.provision('bob');
    const { exit } = await activate(await invitation(), logIn('bob'), plainKey, '--recovery', 'spare');
    expect(exit).toBe(0);
    expect(invited.world.hosted.log.read(`principal/${bob}`)?.recovery).not.toBeNull();
  });

  it('ends when it is told to, with nothing confirmed', async () => {
    await invited.provision('bob');
    const stop = new AbortController();
    const url = await invitation();
    const failed = await desk.failure([plainKey, 'activate', url], {
      ...options(),
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
    expect(await desk.failure(['activate', text], options())).toBe('3 invitation_invalid');
  });
});
