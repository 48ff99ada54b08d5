import type { Ports } from '@bulla/verifier';
import { isJsonObject } from '@bulla/verifier/envelope';
import { CliError } from '../errors.ts';
import { ask } from '../issuer-client.ts';

/** An invitation as it came by mail. */
export interface Invitation {
  /** Origin of the issuer. */
  readonly url: string;
  readonly account: string;
  readonly code: string;
}

/** Whom an invitation is for, as the issuer says it. */
export interface Invited {
  readonly account: string;
  readonly host: string;
  readonly principal: string;
  readonly status: 'pending' | 'active';
  /** Whether a sponsor or an admin has let a key in: what is left to get is the read token. */
  readonly confirmed: boolean;
  readonly subjectVersion: number;
  /** For the person to recognise themselves; in no log. */
  readonly name: string | null;
  readonly login: InvitedLogin | null;
}

/** Where the person logs in, and what makes the log's commitment to their name there. */
interface InvitedLogin {
  readonly issuer: string;
  readonly audience: string;
  readonly salt: string;
}

/** What the issuer answers to an activation that the log took. */
export interface Activated {
  readonly readToken: string;
}

const form =
  /^(?<origin>https?:\/\/[^/?#]+)\/a\/(?<account>acct_[A-Za-z0-9_-]{43})\/activate#(?<code>[A-Za-z0-9_-]{43})$/u;

/** @throws {CliError} `invitation_invalid`. */
export function parseInvitation(text: string): Invitation {
  const { origin = '', account = '', code = '' } = form.exec(text.trim())?.groups ?? {};
  const url = URL.canParse(origin) ? new URL(origin) : undefined;
  if (url === undefined || !isSafe(url)) {
    throw new CliError('invitation_invalid', 'this is not an invitation', {
      hint: 'copy the whole address of the mail, with what follows `#`, in quotes',
    });
  }
  return { url: url.origin, account, code };
}

function isSafe({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || ['localhost', '127.0.0.1', '[::1]'].includes(hostname);
}

/** Asks whom the invitation is for. Spends nothing. @throws {CliError} `invitation_invalid`, `issuer_refused`, `issuer_unreachable`. */
export async function look(invitation: Invitation, ports: Ports): Promise<Invited> {
  const body = await send(invitation, ports, 'look', { code: invitation.code });
  const { principal, status, confirmed, subjectVersion, name = null, login = null } = body;
  const isStatus = status === 'pending' || status === 'active';
  if (typeof principal !== 'string' || !isStatus || typeof subjectVersion !== 'number') throw odd();
  return {
    account: invitation.account,
    host: new URL(invitation.url).host,
    principal,
    status,
    confirmed: confirmed === true,
    subjectVersion,
    name: typeof name === 'string' ? name : null,
    login: login === null ? null : readLogin(login),
  };
}

function readLogin(value: unknown): InvitedLogin {
  const { issuer, audience, salt } = isJsonObject(value) ? value : {};
  if (typeof issuer !== 'string' || typeof audience !== 'string' || typeof salt !== 'string') throw odd();
  return { issuer, audience, salt };
}

/**
 * Hands in the request that activates the person. The issuer wraps it, and the code is spent.
 *
 * @throws {CliError} `invitation_invalid`, `issuer_refused` with the rule, `issuer_unreachable`.
 */
export async function complete(invitation: Invitation, request: string, ports: Ports): Promise<Activated> {
  const { read_token: readToken } = await send(invitation, ports, 'complete', {
    code: invitation.code,
    request,
  });
  if (typeof readToken !== 'string') throw odd();
  return { readToken };
}

async function send(
  { url, account }: Invitation,
  ports: Ports,
  step: 'look' | 'complete',
  body: object,
): Promise<Readonly<Record<string, unknown>>> {
  try {
    return await ask(ports, { url: `${url}/a/${account}/activation/${step}`, body });
  } catch (error) {
    if (!(error instanceof CliError) || error.reason !== 'activation_code_invalid') throw error;
    throw new CliError('invitation_invalid', 'the issuer does not take this invitation', {
      hint: 'it may be used, expired, or replaced by a newer mail; ask for another',
    });
  }
}

function odd(): CliError {
  return new CliError('issuer_refused', 'the issuer answered something else than an invitation');
}
