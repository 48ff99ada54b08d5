import { existsSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { InvitedDesk } from '../cli/invited-desk.ts';

const executablePath = ['/usr/bin/chromium', '/usr/bin/google-chrome'].find((file) => existsSync(file));

let at: InvitedDesk;
let browser: Browser;
beforeEach(async () => {
  if (executablePath === undefined)
    throw new Error('needs Chromium, which `.ci/run` installs: chromium of Debian');
  at = await InvitedDesk.create();
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
});
afterEach(async () => {
  await browser.close();
  await at.close();
});

/** The IdP's own pages: log-in, then consent. */
async function logIn(page: Page, name: string): Promise<void> {
  await page.fill('input[name=login]', name);
  await page.fill('input[name=password]', 'any');
  await page.click('button[type=submit]');
  await page.waitForSelector('input[name=prompt][value=consent]', { state: 'attached' });
  await page.click('button[type=submit]');
}

describe('in a real browser', () => {
  test('a person makes a key under a passphrase, logs in at a real IdP and is confirmed', async () => {
    const bob = await at.invited.provision('bob');
    const url = await at.invitation();
    const violations: string[] = [];
    const ran = at.desk.run(['--json', 'activate', url], {
      ...at.options(),
      openBrowser: (address) => void walk(address, violations),
    });
    const { exit, stdout } = await ran;
    expect(JSON.parse(stdout)).toMatchObject({ principal: bob, assurance: 'login' });
    expect(exit).toBe(0);
    expect(violations).toEqual([]);
    expect(JSON.parse(at.desk.read('home/keys/me.json'))).toMatchObject({ protection: 'passphrase' });
  });

  async function walk(address: string, violations: string[]): Promise<void> {
    const page = await browser.newPage();
    page.on('console', (message) => {
      if (/Content.Security.Policy|Refused/iu.test(message.text())) violations.push(message.text());
    });
    await page.goto(address);
    const { origin } = new URL(address);
    // The ticket is not in the address any more: not in the history, not for who looks over a shoulder.
    if (page.url() !== `${origin}/`) violations.push('the address still holds the ticket');
    await page.fill('input[name=passphrase]', 'correct horse battery');
    await page.fill('input[name=again]', 'correct horse battery');
    await page.click('button[value=login]');
    await page.waitForURL((url) => url.origin !== origin);
    await logIn(page, 'idp-bob');
    await page.waitForSelector('text=You are confirmed');
  }
});
