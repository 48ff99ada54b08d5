import { randomBytes } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createTransport, type SendMailOptions, type Transporter } from 'nodemailer';
import { ConfigError } from '../errors.ts';
import { loadSecret } from '../secrets.ts';
import type { InvitationsConfig } from './config.ts';

/** A mail of ours: text only, one recipient. */
export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
}

/** Hands mails over. Resolves when the server has taken one, or its file is there. */
export interface MailTransport {
  send(mail: Mail): Promise<void>;
  close(): void;
}

const timeoutMilliseconds = 20_000;
const loopback: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

/** @throws {ConfigError} for a password file that cannot be used. */
export function createMailTransport(config: InvitationsConfig): MailTransport {
  const transporter =
    config.smtpUrl === undefined ? composer() : smtp(config.smtpUrl, config.smtpPasswordFile);
  return {
    send: async ({ to, subject, text }) => {
      // An object, never text that a mailer would read as a list of recipients.
      const options: SendMailOptions = {
        from: { name: '', address: config.from },
        to: { name: '', address: to },
        subject,
        text,
        headers: { 'Auto-Submitted': 'auto-generated' },
        disableFileAccess: true,
        disableUrlAccess: true,
      };
      const sent: unknown = await transporter.sendMail(options);
      if (config.sinkFolder !== undefined) keep(config.sinkFolder, legible(messageOf(sent), text));
    },
    close: () => transporter.close(),
  };
}

function smtp(text: string, passwordFile: string | undefined): Transporter {
  const url = new URL(text);
  const secure = url.protocol === 'smtps:';
  const user = decodeURIComponent(url.username);
  if (user !== '' && passwordFile === undefined) {
    throw new ConfigError('`invitations.smtpPasswordFile` is missing: `smtpUrl` names a user');
  }
  return createTransport({
    host: url.hostname.replaceAll(/^\[|\]$/gu, ''),
    port: url.port === '' ? (secure ? 465 : 587) : Number(url.port),
    secure,
    // A code in the clear on a network is a code that others use.
    requireTLS: !loopback.has(url.hostname),
    ignoreTLS: loopback.has(url.hostname) && !secure,
    connectionTimeout: timeoutMilliseconds,
    greetingTimeout: timeoutMilliseconds,
    socketTimeout: timeoutMilliseconds,
    ...(user !== '' && {
      auth: { user, pass: loadSecret('invitations.smtpPasswordFile', passwordFile ?? '') },
    }),
  });
}

/** Writes messages as they would travel, and sends none. */
function composer(): Transporter {
  return createTransport({ streamTransport: true, buffer: true, newline: 'unix' });
}

function messageOf(sent: unknown): Buffer {
  const { message } = sent as { readonly message?: unknown };
  return Buffer.isBuffer(message) ? message : Buffer.alloc(0);
}

/** As it would travel, but with the text as it is: somebody copies the command out of it. */
function legible(message: Buffer, text: string): string {
  const [head = ''] = message.toString('utf8').split('\n\n', 1);
  return `${head.replace(/^(Content-Transfer-Encoding: ).*$/mu, '$18bit')}\n\n${text}`;
}

/** Whole or not at all: somebody may be watching the folder. */
function keep(folder: string, message: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const name = path.join(folder, `${Date.now()}-${randomBytes(4).toString('hex')}`);
  writeFileSync(`${name}.part`, message, { mode: 0o600 });
  renameSync(`${name}.part`, `${name}.eml`);
}
