import { fingerprintWords } from 'bulla';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PlainBrowser } from '../kit/browser.ts';
import { InvitedWorld, invitationIn } from '../kit/invited.ts';
import { newKey, readToken } from '../kit/issuer.ts';
import { Desk, type RunOptions } from './desk.ts';

let invited: InvitedWorld;
let desk: Desk;
let sponsor: readonly string[];
let stranger: readonly string[];
beforeEach(async () => {
  invited = await InvitedWorld.create({ connection: { login: undefined } });
  desk = new Desk();
  sponsor = await homeOf(true);
  stranger = await homeOf(false);
});
afterEach(async () => {
  await desk.close();
  await invited.close();
});

const plain = '--insecure-plaintext-key';

function options(more: RunOptions = {}): RunOptions {
  const { world } = invited;
  const fetch: typeof globalThis.fetch = async (input, init) =>
    world.issuer.app.request(input instanceof Request ? input.url : String(input), init);
  return { ports: { now: world.ports.now, fetch }, stopped: new AbortController().signal, ...more };
}

/** Somebody of the account with a home beside that of the desk. */
async function homeOf(isSponsor: boolean): Promise<readonly string[]> {
  const { world } = invited;
  const key = newKey();
  const { id } = world.ledger.person({ sponsor: isSponsor, signer: key.signer });
  for (const leaf of world.ledger.leaves.slice(-2)) await world.appended(leaf);
  const { account } = world.ledger;
  const folder = desk.fresh('home');
  desk.write(`${folder}/keys/me.json`, JSON.stringify(key.jwk));
  const home = ['--json', '--home', desk.path(folder)];
  const where = ['--issuer-url', world.config.publicUrl, '--person', id, '--key', 'me'];
  const { exit } = await desk.run([...home, 'admin', 'account', 'add', account, ...where], {
    ...options(),
    stdin: readToken,
  });
  expect(exit).toBe(0);
  return home;
}

test('who they are in the account is noted with a key that is there, or not at all', async () => {
  const { account } = invited.world.ledger;
  const note = (...more: readonly string[]): Promise<string> =>
    desk.failure(['admin', 'account', 'add', account, '--issuer-url', 'https://issuer.example', ...more], {
      ...options(),
      stdin: readToken,
    });
  const id = `prn_${'0'.repeat(32)}`;
  expect(await note('--person', id)).toBe('2 argument_invalid');
  expect(await note('--key', 'me')).toBe('2 argument_invalid');
  expect(await note('--person', 'prn_3f2a9c', '--key', 'me')).toBe('2 argument_invalid');
  expect(await note('--person', id, '--key', 'nobodys')).toMatch(/key_missing$/u);
  expect(await desk.failure(['me'], options())).toMatch(/home_missing$/u);
});

/** Bob gets as far as the text for a sponsor. */
async function handOver(): Promise<{
  readonly bob: string;
  readonly url: string;
  readonly file: string;
  readonly words: string[];
}> {
  const bob = await invited.provision('bob');
  await invited.world.hosted.invitations?.tick();
  const { url } = invitationIn(invited.mailbox.mails.at(-1)?.text ?? '');
  const { stdout } = await desk.run([plain, '--json', 'activate', url], {
    ...options(),
    openBrowser: (address) => {
      const browser = new PlainBrowser();
      void browser.open(address).then(() => browser.submit({ way: 'sponsor' }));
    },
  });
  const { handOver: text } = JSON.parse(stdout) as { handOver: string };
  const { thumbprint } = JSON.parse(desk.read('home/keys/me.json')) as { thumbprint: string };
  return {
    bob,
    url,
    file: desk.write('hand-over.txt', `${text}\n`),
    words: [...fingerprintWords(thumbprint)],
  };
}

test('a sponsor who heard the words confirms somebody, who then finishes with their invitation', async () => {
  const { bob, url, file, words } = await handOver();
  const { exit, stdout } = await desk.run([...sponsor, 'sponsor', 'confirm', file, ...words], options());
  expect({ exit, principal: (JSON.parse(stdout) as { principal: string }).principal }).toEqual({
    exit: 0,
    principal: bob,
  });
  expect(invited.world.hosted.log.read(`principal/${bob}`)).toMatchObject({
    status: 'active',
    assurance: 'sponsor',
  });
  const finished = await desk.run([plain, '--json', 'activate', url], options());
  expect(JSON.parse(finished.stdout)).toMatchObject({ principal: bob, assurance: 'sponsor' });
  const me = await desk.run(['--json', 'me'], options());
  expect(JSON.parse(me.stdout)).toMatchObject({ id: bob, status: 'active' });
});

test('nobody is confirmed by other words, by somebody who is no sponsor, or with a text that is something else', async () => {
  const { bob, file, words } = await handOver();
  const confirm = async (home: readonly string[], ...given: readonly string[]): Promise<string> =>
    desk.failure([...home.slice(1), 'sponsor', 'confirm', ...given], options());
  expect(await confirm(sponsor, file, ...words.toReversed())).toBe('7 key_differs');
  expect(await confirm(sponsor, desk.write('other.txt', 'e30.e30.e30'), ...words)).toBe('2 argument_invalid');
  expect(await confirm(stranger, file, ...words)).toBe('3 issuer_refused rule_not_sponsor');
  expect(invited.world.hosted.log.read(`principal/${bob}`)?.status).toBe('pending');
});
