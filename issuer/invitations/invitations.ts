import { domainToASCII } from 'node:url';
import { encodeBase64url, type JsonObject } from '@bulla/verifier/envelope';
import type { Read, Records } from '@bulla/verifier/log';
import { IssuerRefusal } from '../errors.ts';
import type { AccountLog } from '../log/account-log.ts';
import type { IssuerPorts } from '../ports.ts';
import type { OnProvisioned } from '../provisioning/people.ts';
import { addressRows, userNameOf } from '../provisioning/person.ts';
import { secretHash } from '../secrets.ts';
import { resources } from '../store/directory.ts';
import { type InvitationRow, invitations } from '../store/invitations.ts';
import type { AccountStore } from '../store/store.ts';
import { changeRows, expectRows, putRow, type RowWrite, removeRows } from '../store/table.ts';
import type { InvitationsConfig } from './config.ts';
import { invitationMail } from './mail.ts';
import type { MailTransport } from './transport.ts';

export interface InvitationsOptions {
  readonly config: InvitationsConfig;
  /** `<publicUrl>/a/<account>/activate`. */
  readonly page: string;
  readonly log: AccountLog;
  readonly store: AccountStore;
  readonly ports: IssuerPorts;
  readonly transport: MailTransport;
}

type PrincipalRecord = NonNullable<Records[`principal/${string}`]>;

const maxAttempts = 8;
const firstDelaySeconds = 30;
const maxDelaySeconds = 21_600;
/** Another process that took an invitation and died gives it back after so long. */
const claimSeconds = 300;
const mailsPerTick = 20;

/** Lets whoever a connection provisions be invited, where the connection says so: written together with the person. */
export const inviteProvisioned: (now: () => number) => OnProvisioned = (now) => (connection, id) =>
  connection.config.welcome ? [dueInvitation(id, now())] : [];

/** Replaces the person's invitation: the code of an older mail is void at once. */
function dueInvitation(principal: string, now: number): RowWrite {
  return putRow(invitations, {
    principal,
    state: 'due',
    code: null,
    expires: null,
    attempts: 0,
    due: Math.floor(now),
  });
}

/**
 * The outbox: invitations become mails, one after the other, at least once. The code is made when a mail is made, and only
 * its hash is kept: the database gives nobody a code. A mail goes to an address whose domain the log has for this person, and to
 * no other: whoever can write addresses cannot have codes sent elsewhere.
 */
export class Invitations {
  readonly #options: InvitationsOptions;
  #sending: Promise<void> | undefined;
  #closed = false;
  /** Mails of the last hour, by the time they were tried. */
  #tried: number[] = [];

  constructor(options: InvitationsOptions) {
    this.#options = options;
  }

  /** Sends what is due. Never throws; a second call meanwhile waits for the first. */
  tick(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined;
    });
    return this.#sending;
  }

  /** Waits for the mail that is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#sending;
    this.#options.transport.close();
  }

  /** Invites a person again; what they had is void. @throws {IssuerRefusal} `person_unknown`, `person_confirmed`. */
  async invite(principal: string): Promise<void> {
    const { log, store, ports } = this.#options;
    const person = log.read(`principal/${principal}`);
    const row = await store.first(resources, { id: principal, kind: 'User' });
    if (person === undefined || row === undefined) {
      throw new IssuerRefusal('person_unknown', 'no such person in the directory');
    }
    if (!isToConfirm(person))
      throw new IssuerRefusal('person_confirmed', 'person is confirmed already, or gone');
    await store.writeRows([dueInvitation(principal, ports.now())]);
    void this.tick();
  }

  async #send(): Promise<void> {
    const { store, ports } = this.#options;
    try {
      const below = Math.floor(ports.now()) + 1;
      const due = await store.find(
        invitations,
        { state: 'due', due: { below } },
        { by: ['due'], limit: mailsPerTick },
      );
      for (const row of due) {
        if (this.#closed || !this.#mayTry()) return;
        await this.#sendOne(row);
      }
    } catch (error) {
      this.#tell('error', 'invitation.outbox_failed', error instanceof Error ? error.name : 'unknown');
    }
  }

  #mayTry(): boolean {
    const now = this.#options.ports.now();
    this.#tried = this.#tried.filter((at) => at > now - 3600);
    if (this.#tried.length >= this.#options.config.perHour) return false;
    this.#tried.push(now);
    return true;
  }

  async #sendOne(row: InvitationRow): Promise<void> {
    const { store, ports, log, config, page, transport } = this.#options;
    const { principal } = row;
    const to = await this.#addressFor(log.read, principal);
    if (to === undefined) {
      await store.writeRows([removeRows(invitations, { principal, due: row.due })]);
      this.#tell('warn', 'invitation.dropped', 'nobody to send it to');
      return;
    }
    const code = encodeBase64url(ports.randomBytes(32));
    const now = Math.floor(ports.now());
    const expires = now + config.lifetimeSeconds;
    const claimed: InvitationRow = {
      principal,
      state: 'due',
      code: secretHash(code),
      expires,
      attempts: row.attempts + 1,
      due: now + claimSeconds,
    };
    // Durable before it is sent: a mail never has a code that nobody knows.
    const same = { principal, state: row.state, due: row.due, attempts: row.attempts };
    if ((await store.writeRows([expectRows(invitations, same), putRow(invitations, claimed)])) === 'moved')
      return;
    const mine = { principal, code: claimed.code };
    try {
      await transport.send(invitationMail({ to, page, code, expires }));
      await store.writeRows([changeRows(invitations, mine, { state: 'sent' })]);
      this.#tell('info', 'invitation.sent');
    } catch (error) {
      const failed = claimed.attempts >= maxAttempts;
      const delay = Math.min(maxDelaySeconds, firstDelaySeconds * 2 ** row.attempts);
      await store.writeRows([
        changeRows(invitations, mine, failed ? { state: 'failed' } : { due: now + delay }),
      ]);
      // The code of a mail server's answer, never its text: that may quote the address.
      this.#tell(failed ? 'error' : 'warn', 'invitation.not_sent', errorCode(error));
    }
  }

  /** The person's first address under the domain that the log has for them; undefined where nobody is to be invited. */
  async #addressFor(read: Read, principal: string): Promise<string | undefined> {
    const person = read(`principal/${principal}`);
    const row = await this.#options.store.first(resources, { id: principal, kind: 'User' });
    if (person === undefined || row === undefined || !isToConfirm(person)) return undefined;
    const data = {
      userName: userNameOf(row),
      externalId: row.externalId,
      body: JSON.parse(row.body) as JsonObject,
    };
    const { domain } = person;
    if (domain === null) return undefined;
    for (const { address } of addressRows(principal, data)) {
      const to = mailboxUnder(address, domain);
      if (to !== undefined) return to;
    }
    return undefined;
  }

  #tell(level: 'info' | 'warn' | 'error', event: string, reason?: string): void {
    this.#options.ports.log({ level, event, account: this.#options.log.account, reason });
  }
}

/** Whether there is anything left to confirm. */
export function isToConfirm(person: PrincipalRecord): boolean {
  return person.status === 'pending' || (person.status === 'active' && person.assurance === 'delegate');
}

/**
 * Attacker-controlled: an address that is more than one plain mailbox, or names a way to it (`%`, `!`), is none. The domain of the
 * log is put in, not the one that was written: `%63orp`, soft hyphens and wide letters mean it here, and another to a mailer.
 */
function mailboxUnder(address: string, domain: string): string | undefined {
  const [, local, host = ''] = /^([^\s\p{C}@"<>,;:()[\]\\%!]{1,64})@([^\s@]{1,255})$/u.exec(address) ?? [];
  return local !== undefined && domainToASCII(host) === domain ? `${local}@${domain}` : undefined;
}

function errorCode(error: unknown): string {
  const { code } = error as { readonly code?: unknown };
  return typeof code === 'string' && /^[A-Z_]{1,32}$/u.test(code) ? code : 'unknown';
}
