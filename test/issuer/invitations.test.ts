import { readFileSync } from 'node:fs';
import { createIssuer } from '@bulla/issuer';
import { afterEach, describe, expect, it } from 'vitest';
import { InvitedWorld, invitationIn, scratch, sinkMails } from '../kit/invited.ts';
import { newSigner, testDomain } from '../kit/log.ts';
import { ScimWorld } from '../kit/scim.ts';

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

async function start(...options: Parameters<typeof InvitedWorld.create>): Promise<InvitedWorld> {
  const world = await InvitedWorld.create(...options);
  closing.push(() => world.close());
  return world;
}

const tick = async ({ world }: InvitedWorld): Promise<void> => world.hosted.invitations?.tick();

describe('an invitation', () => {
  it('goes by SMTP to whoever was provisioned, and says one command', async () => {
    const invited = await start();
    await invited.provision('bob');
    const code = await invited.newestCode();
    const [mail] = invited.mailbox.mails;
    expect(invited.mailbox.mails).toHaveLength(1);
    expect(mail?.to).toEqual([`bob@${testDomain}`]);
    expect(mail?.from).toBe('bulla@issuer.example');
    expect(mail?.text).toContain(`npx bulla activate ${invited.world.issuerId}/activate#${code}`);
  });

  it('is sent once, however often the outbox looks', async () => {
    const invited = await start();
    await invited.provision('bob');
    await Promise.all([tick(invited), tick(invited)]);
    await tick(invited);
    expect(invited.mailbox.mails).toHaveLength(1);
  });

  it('is sent by one of two issuers of one database', async () => {
    const invited = await start();
    await invited.provision('bob');
    const { config, ports, hosted } = invited.world;
    const second = await createIssuer(config, ports);
    closing.push(() => second.close());
    const other = second.accounts.get(hosted.log.account);
    await Promise.all([tick(invited), other?.invitations?.tick()]);
    expect(invited.mailbox.mails).toHaveLength(1);
  });

  it('is not made again for whoever is confirmed', async () => {
    const invited = await start();
    const bob = await invited.provision('bob');
    await new ScimWorld(invited.world, '').activate(bob, newSigner());
    await expect(invited.world.hosted.invitations?.invite(bob)).rejects.toMatchObject({
      code: 'person_confirmed',
    });
  });

  it('goes to the address under the domain of the log, whatever else the IdP writes first', async () => {
    const invited = await start();
    await invited.provision('bob', { email: 'bob@mallory.example' });
    await tick(invited);
    expect(invited.mailbox.mails.map(({ to }) => to)).toEqual([[`bob@${testDomain}`]]);
  });

  it.each(['bob@\uFF43orp.example', 'bob@co\u{AD}rp.example', 'bob@%63orp.example', 'bob@CORP.example'])(
    'goes to the domain of the log, not to what a mailer makes of %j',
    async (userName) => {
      const invited = await start();
      await invited.provision('bob', { userName, email: 'bob@mallory.example' });
      await tick(invited);
      expect(invited.mailbox.mails.map(({ to }) => to)).toEqual([['bob@corp.example']]);
    },
  );

  it.each(['bob%mallory.example@corp.example', 'mallory.example!bob@corp.example', 'bo\u{0}b@corp.example'])(
    'is not sent to %j, which is more than a mailbox',
    async (userName) => {
      const invited = await start();
      await invited.provision('bob', { userName, email: 'bob@mallory.example' });
      await tick(invited);
      expect(invited.mailbox.mails).toHaveLength(0);
      expect(invited.world.lines.map(({ event }) => event)).toContain('invitation.dropped');
    },
  );

  it("does not leave the connection's own domain for an address that the IdP made up", async () => {
    const invited = await start({ connection: { defaultDomain: testDomain } });
    const { people, log } = invited.world.hosted;
    const provision = async (name: string, address: string): Promise<string> => {
      const body = { userName: name, emails: [{ value: address, primary: true }] };
      return (await people.provision(invited.world.okta, { userName: name, externalId: null, body })).id;
    };
    const zed = await provision('zed', 'zed@mallory.example');
    const ann = await provision('ann', `ann@${testDomain}`);
    await tick(invited);
    expect([zed, ann].map((id) => log.read(`principal/${id}`)?.domain)).toEqual([testDomain, testDomain]);
    expect(invited.mailbox.mails.map(({ to }) => to)).toEqual([[`ann@${testDomain}`]]);
  });

  it('is tried again later when the mail server refuses, with another code', async () => {
    const invited = await start();
    await invited.provision('bob');
    invited.mailbox.refuse(1);
    await tick(invited);
    await tick(invited);
    expect(invited.mailbox.mails).toHaveLength(0);
    invited.world.ahead += 31;
    const code = await invited.newestCode();
    expect((await invited.look(code)).status).toBe(200);
    expect(invited.world.lines.map(({ event }) => event)).toContain('invitation.not_sent');
  });

  it('is given up after so many tries, and an operator can have it sent again', async () => {
    const invited = await start();
    const bob = await invited.provision('bob');
    invited.mailbox.refuse(8);
    for (let attempt = 0; attempt < 9; attempt += 1) {
      await tick(invited);
      invited.world.ahead += 21_600;
    }
    expect(invited.mailbox.mails).toHaveLength(0);
    invited.world.ahead = 0;
    await invited.world.hosted.invitations?.invite(bob);
    await tick(invited);
    expect(invited.mailbox.mails).toHaveLength(1);
  });

  it('leaves no code in the database, nor in a log line', async () => {
    const invited = await start();
    await invited.provision('bob');
    const code = await invited.newestCode();
    const { database } = invited.world.config;
    for (const file of [database, `${database}-wal`]) {
      expect(readFileSync(file).includes(code)).toBe(false);
    }
    expect(JSON.stringify(invited.world.lines)).not.toContain(code);
  });

  it('stops at so many mails an hour', async () => {
    const invited = await start({}, { perHour: 2 });
    for (const name of ['bob', 'carol', 'dave']) await invited.provision(name);
    await tick(invited);
    expect(invited.mailbox.mails).toHaveLength(2);
    invited.world.ahead += 3601;
    await tick(invited);
    expect(invited.mailbox.mails).toHaveLength(3);
  });

  it('becomes a file in development', async () => {
    const { folder, remove } = scratch();
    closing.push(remove);
    const invited = await start({}, { smtpUrl: undefined, sinkFolder: folder });
    await invited.provision('bob');
    await tick(invited);
    const [mail = ''] = sinkMails(folder);
    expect(mail).toContain(`To: bob@${testDomain}`);
    expect((await invited.look(invitationIn(mail).code)).status).toBe(200);
  });

  it('is not sent where the connection does not welcome people', async () => {
    const invited = await start({ connection: { welcome: false } });
    await invited.provision('bob');
    await tick(invited);
    expect(invited.mailbox.mails).toHaveLength(0);
  });

  it('ends with its person', async () => {
    const invited = await start();
    const bob = await invited.provision('bob');
    const code = await invited.newestCode();
    await invited.world.hosted.people.deprovision(invited.world.okta, bob);
    expect((await invited.look(code)).status).toBe(403);
  });
});

describe('the page behind the link', () => {
  it('is a text with the command: no script, no form, no code', async () => {
    const { world } = await start();
    const response = await world.get('/activate', null);
    const page = await response.text();
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(page).toContain(`npx bulla activate ${world.issuerId}/activate#`);
    expect(page).not.toMatch(/<script|<form|<input/u);
  });
});
