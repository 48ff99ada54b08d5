import { parsePublicJwk } from '@bulla/verifier';
import { encodeBase64url, verifyJws } from '@bulla/verifier/envelope';
import { parseRequest, type Records, type UnverifiedRequest } from '@bulla/verifier/log';
import type { Account } from '../account.ts';
import { IssuerRefusal } from '../errors.ts';
import { userNameOf } from '../provisioning/person.ts';
import { secretHash } from '../secrets.ts';
import { resources } from '../store/directory.ts';
import { type InvitationRow, invitations, readers } from '../store/invitations.ts';
import { addRow, expectRows, type RowWrite, removeRows } from '../store/table.ts';
import { isToConfirm } from './invitations.ts';

/** Whom an invitation is for, and what they need to confirm themselves. */
export interface Looked {
  readonly account: string;
  readonly principal: string;
  readonly status: 'pending' | 'active';
  /** Whether there is nothing left to confirm: a sponsor or an admin has done it. */
  readonly confirmed: boolean;
  readonly subjectVersion: number;
  /** `userName`, for the person to recognise themselves. */
  readonly name: string | null;
  /** Null: nobody but a sponsor or an admin can confirm them. */
  readonly login: { readonly issuer: string; readonly audience: string; readonly salt: string } | null;
}

type PrincipalRecord = NonNullable<Records[`principal/${string}`]>;

interface Found {
  readonly row: InvitationRow;
  readonly status: Looked['status'];
  readonly person: PrincipalRecord;
}

const form = /^[A-Za-z0-9_-]{43}$/u;

/** Says whom a code is for. Spends nothing. @throws {IssuerRefusal} `activation_code_invalid`. */
export async function lookAt(account: Account, code: string): Promise<Looked> {
  const { row, status, person } = await find(account, code);
  const user = await account.store.first(resources, { id: row.principal, kind: 'User' });
  return {
    account: account.log.account,
    principal: row.principal,
    status,
    confirmed: !isToConfirm(person),
    subjectVersion: person.version,
    name: user === undefined ? null : userNameOf(user),
    login: loginOf(account, person, user?.salt ?? null),
  };
}

/**
 * Wraps the request by which a key becomes the person's, spends the code and makes a personal read token, all in one
 * transaction. Where the key is the person's already (a sponsor has confirmed them), there is nothing to wrap: the request then
 * shows that whoever asks holds that key.
 *
 * @returns the read token.
 * @throws {IssuerRefusal} `activation_code_invalid`, `body_invalid`, `relay_unavailable`.
 * @throws {Refusal} the rule of the log that says no; the code is not spent then.
 */
export async function completeActivation(account: Account, code: string, request: string): Promise<string> {
  const parsed = parseRequest(request);
  const { row } = await find(account, code);
  const { op } = parsed;
  if (op.type !== 'principal.activate' || op.principal !== row.principal) {
    throw new IssuerRefusal('body_invalid', '`request` is not the activation of the person who was invited');
  }
  const { thumbprint } = parsePublicJwk(op.key);
  const readToken = encodeBase64url(account.ports.randomBytes(32));
  const rows = (now: number): readonly RowWrite[] => [
    expectRows(invitations, { principal: row.principal, code: row.code }),
    removeRows(invitations, { principal: row.principal }),
    addRow(readers, {
      sha256: secretHash(readToken),
      principal: row.principal,
      key: thumbprint,
      created: Math.floor(now),
    }),
  ];
  await account.log.writeRelayed(async () => {
    // Again in the writer's turn: somebody may have spent the code meanwhile.
    const { person } = await find(account, code);
    const isTheirs = person.status === 'active' && person.keys.includes(thumbprint);
    if (isTheirs) requireHolder(account, parsed, thumbprint);
    return { ops: isTheirs ? [] : [{ request }], rows: () => rows(account.ports.now()) };
  });
  return readToken;
}

/** One answer to everything that is no good code: what was wrong with it is nobody's business. */
async function find(account: Account, code: string): Promise<Found> {
  const row = form.test(code)
    ? await account.store.first(invitations, { code: secretHash(code) })
    : undefined;
  const person = row && account.log.read(`principal/${row.principal}`);
  const inTime = row !== undefined && (row.expires ?? 0) > account.ports.now();
  if (!inTime || (person?.status !== 'pending' && person?.status !== 'active')) {
    throw new IssuerRefusal('activation_code_invalid', 'invitation is not good: ask for another');
  }
  return { row, person, status: person.status };
}

function loginOf({ log }: Account, { login }: PrincipalRecord, salt: string | null): Looked['login'] {
  const trust = login === null ? undefined : log.read(`login/${login.trust}`);
  if (salt === null || trust?.status !== 'trusted') return null;
  return { issuer: trust.issuer, audience: trust.audience, salt };
}

/** @throws {IssuerRefusal} `activation_code_invalid`; {Refusal} `jws_signature_invalid`. */
function requireHolder(account: Account, request: UnverifiedRequest, thumbprint: string): void {
  const { primary } = request.statement;
  const record = account.log.read(`key/${thumbprint}`);
  const fits =
    request.account === account.log.account &&
    request.notAfter >= account.ports.now() &&
    primary.thumbprint === thumbprint &&
    record?.status === 'active';
  if (!fits) throw new IssuerRefusal('activation_code_invalid', 'request is not by the key of this person');
  verifyJws(primary.jws, parsePublicJwk(record.jwk));
}
