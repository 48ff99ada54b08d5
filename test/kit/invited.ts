import { hash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IssuerConfig } from '@bulla/issuer';
import type { Signer } from '@bulla/verifier';
import { type Operation, signRequest } from '@bulla/verifier/log';
import { SMTPServer } from 'smtp-server';
import { IssuerWorld, type IssuerWorldOptions } from './issuer.ts';
import { rememberWord } from './leaks.ts';
import { testDomain } from './log.ts';
import { type LoginIdp, startLoginIdp } from './login-idp.ts';

/** Of the operator `script`. */
export const operatorToken = 'operator-token-of-a-test';

type Activate = Extract<Operation, { readonly type: 'principal.activate' }>;

/** A mail as it arrived. */
interface Received {
  readonly to: readonly string[];
  readonly from: string;
  /** Header and text, line ends as `\n`, quoted-printable undone. */
  readonly text: string;
}

/** A real SMTP server on loopback that keeps what it is given. */
export interface Mailbox {
  readonly url: string;
  readonly mails: readonly Received[];
  /** Refuses the next so many mails with a temporary error. */
  refuse(count: number): void;
  close(): Promise<void>;
}

async function startMailbox(): Promise<Mailbox> {
  const mails: Received[] = [];
  let refusals = 0;
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    onData: (stream, session, callback) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        if (refusals > 0) {
          refusals -= 1;
          callback(Object.assign(new Error('try again later'), { responseCode: 451 }));
          return;
        }
        const { mailFrom, rcptTo } = session.envelope;
        mails.push({
          to: rcptTo.map(({ address }) => address),
          from: mailFrom === false ? '' : mailFrom.address,
          text: plain(Buffer.concat(chunks).toString('utf8')),
        });
        callback();
      });
    },
  });
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  return {
    url: `smtp://127.0.0.1:${String((server.server.address() as AddressInfo).port)}`,
    mails,
    refuse: (count) => {
      refusals = count;
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** The mails that a sink folder holds, oldest first. */
export function sinkMails(folder: string): readonly string[] {
  const files = readdirSync(folder).filter((file) => file.endsWith('.eml'));
  return files.sort().map((file) => readFileSync(join(folder, file), 'utf8'));
}

function plain(message: string): string {
  return message
    .replaceAll('\r\n', '\n')
    .replaceAll('=\n', '')
    .replaceAll(/=([0-9A-F]{2})/gu, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** The invitation of a mail: address and code. @throws {Error} where there is none. */
export function invitationIn(mail: string): { readonly url: string; readonly code: string } {
  const [, url = '', code = ''] = /npx bulla activate ((?:https?:\/\/\S+)#(\S+))/u.exec(mail) ?? [];
  if (code === '') throw new Error('mail holds no invitation');
  rememberWord(code, 'the code of an invitation');
  return { url, code };
}

/** An issuer with the connection `okta`, whose people log in at a real IdP, and a real mailbox. */
export class InvitedWorld {
  readonly world: IssuerWorld;
  readonly idp: LoginIdp;
  readonly mailbox: Mailbox;

  private constructor(world: IssuerWorld, idp: LoginIdp, mailbox: Mailbox) {
    this.world = world;
    this.idp = idp;
    this.mailbox = mailbox;
  }

  static async create(
    options: IssuerWorldOptions = {},
    invitations: Partial<NonNullable<IssuerConfig['accounts'][number]['invitations']>> = {},
  ): Promise<InvitedWorld> {
    const idp = await startLoginIdp({ clients: ['bulla-people', 'bulla-operators'] });
    const mailbox = await startMailbox();
    const world = await IssuerWorld.create({
      ...options,
      connection: { login: { trust: 'corp', from: 'externalId' }, ...options.connection },
      account: {
        invitations: {
          smtpUrl: mailbox.url,
          from: 'bulla@issuer.example',
          lifetimeSeconds: 3600,
          perHour: 100,
          ...invitations,
        },
        operators: {
          tokens: [{ name: 'script', sha256: hash('sha256', operatorToken, 'base64url') }],
          login: {
            issuer: idp.issuer,
            clientId: 'bulla-operators',
            subjects: ['idp-olga'],
            sessionSeconds: 3600,
            dangerouslyAllowPrivateAddresses: true,
          },
        },
        ...options.account,
      },
    });
    world.ledger.do({
      type: 'login.trust',
      name: 'corp',
      issuer: idp.issuer,
      keys: [idp.thumbprint],
      audience: 'bulla-people',
      claim: 'sub',
    });
    await world.appended(world.ledger.lastLeaf);
    return new InvitedWorld(world, idp, mailbox);
  }

  /** Provisions a person over the connection. @returns their id. */
  async provision(
    name: string,
    more: { readonly email?: string; readonly userName?: string } = {},
  ): Promise<string> {
    const email = more.email ?? `${name}@${testDomain}`;
    const userName = more.userName ?? `${name}@${testDomain}`;
    const { id } = await this.world.hosted.people.provision(this.world.okta, {
      userName,
      externalId: `idp-${name}`,
      body: { userName, emails: [{ value: email, primary: true }] },
    });
    return id;
  }

  /** An active person with a key, who may confirm others. Before anybody is provisioned: the ledger is its own copy of the log. */
  async sponsor(signer: Signer): Promise<string> {
    const { ledger } = this.world;
    const from = ledger.leaves.length;
    const { id } = ledger.person({ sponsor: true, signer });
    for (const leaf of ledger.leaves.slice(from)) await this.world.appended(leaf);
    return id;
  }

  /** Sends what is due. @returns the code of the newest mail. */
  async newestCode(): Promise<string> {
    await this.world.hosted.invitations?.tick();
    return invitationIn(this.mailbox.mails.at(-1)?.text ?? '').code;
  }

  async look(code: string): Promise<Response> {
    return this.world.post('/activation/look', { code }, null);
  }

  async complete(code: string, request: string): Promise<Response> {
    return this.world.post('/activation/complete', { code, request }, null);
  }

  /** The request of a key to be the person's, by that key; `change` before it is signed. */
  request(principal: string, key: Signer, change: Partial<Activate> = {}): string {
    const { world } = this;
    const version = world.hosted.log.read(`principal/${principal}`)?.version ?? 0;
    return signRequest(
      {
        account: world.ledger.account,
        op: { type: 'principal.activate', principal, key: key.publicKey.jwk, ...change },
        subject: `principal/${principal}`,
        subjectVersion: version,
        notAfter: Math.floor(world.ports.now()) + 300,
      },
      key,
    );
  }

  async close(): Promise<void> {
    await this.world.remove();
    await this.mailbox.close();
    await this.idp.close();
  }
}

/** A folder that is gone after the test. */
export function scratch(): { readonly folder: string; readonly remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'bulla-mail-'));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
