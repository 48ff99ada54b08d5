import { type JsonObject, signJws } from '@bulla/verifier/envelope';
import { fingerprintWords } from 'bulla';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { PlainBrowser } from '../kit/browser.ts';
import { newKey, readToken } from '../kit/issuer.ts';
import { Desk } from './desk.ts';
import { InvitedDesk } from './invited-desk.ts';

const plainKey = '--insecure-plaintext-key';

let at: InvitedDesk;
/** Of alice, a sponsor. */
let hers: Desk;
let bob: string;
beforeEach(async () => {
  at = await InvitedDesk.create({ connection: { login: undefined }, relayed: ['principal.activate'] });
  hers = new Desk();
  const key = newKey();
  const id = await at.invited.sponsor(key.signer);
  const { account } = at.invited.world.ledger;
  const entry = {
    account,
    url: 'https://issuer.example',
    readToken,
    adminKeys: [],
    person: { id, key: 'me' },
  };
  hers.write('home/keys/me.json', JSON.stringify(key.jwk));
  hers.write('home/home.json', JSON.stringify({ version: 1, current: account, accounts: [entry] }));
  bob = await at.invited.provision('bob');
});
afterEach(async () => {
  await hers.close();
  await at.close();
});

const goWay = (way: string) => async (browser: PlainBrowser) => browser.submit({ way });
const record = () => at.invited.world.hosted.log.read(`principal/${bob}`);

async function handOver(url: string): Promise<{ readonly handOver: string; readonly key: string }> {
  const argv = ['--json', plainKey, 'activate', url, '--recovery', 'spare'];
  let shown = '';
  const { stdout } = await at.browse(argv, async (browser) => {
    shown = (await goWay('sponsor')(browser)).page;
  });
  const made = JSON.parse(stdout) as { handOver: string; key: string };
  expect(shown).toContain(fingerprintWords(made.key).join(' '));
  return made;
}

/** Somebody read the mail, knows the key by the log, and asks for the read token with a signature of their own. */
async function stranger(url: string, key: string, claimedKey?: string): Promise<string> {
  const { invited } = at;
  const { jwk } = invited.world.hosted.log.read(`key/${key}`) ?? {};
  const { signer } = newKey();
  const honest = invited.request(bob, signer, jwk === undefined ? {} : { key: jwk });
  const payload = JSON.parse(Buffer.from(honest.split('.')[1] ?? '', 'base64url').toString()) as JsonObject;
  const request =
    claimedKey === undefined ? honest : signJws('bulla-request+jwt', { kid: claimedKey }, payload, signer);
  const response = await invited.complete(url.split('#')[1] ?? '', request);
  return ((await response.json()) as { code: string }).code;
}

test('a sponsor signs beside key and recovery key, and nobody but the holder gets the read token', async () => {
  const url = await at.invitation();
  const { handOver: text, key } = await handOver(url);
  expect(record()?.status).toBe('pending');
  const file = hers.write('bob.txt', text);
  const argv = ['--json', 'sponsor', 'confirm', file, ...fingerprintWords(key)];
  expect((await hers.run(argv, at.options())).exit).toBe(0);
  expect(record()).toMatchObject({ status: 'active', assurance: 'sponsor', keys: [key] });
  expect(record()?.recovery).not.toBeNull();
  expect(await stranger(url, key)).toBe('activation_code_invalid');
  expect(await stranger(url, key, key)).toBe('jws_signature_invalid');
  const again = await at.desk.run(['--json', 'activate', url], at.options());
  expect(JSON.parse(again.stdout)).toMatchObject({ principal: bob, assurance: 'sponsor', key });
});

test('the lowest assurance is what the service alone can give', async () => {
  const argv = ['--json', plainKey, 'activate', await at.invitation()];
  const { stdout } = await at.browse(argv, goWay('delegate'));
  expect(JSON.parse(stdout)).toMatchObject({ principal: bob, assurance: 'delegate' });
  expect(record()?.assurance).toBe('delegate');
});
