import { issuerCodes } from '@bulla/issuer';
import { codes, type Ports } from '@bulla/verifier';
import { isJsonObject } from '@bulla/verifier/envelope';
import type { PolicySetDocument } from '@bulla/verifier/policy';
import { CliError } from './errors.ts';

export interface IssuerAddress {
  readonly account: string;
  readonly url: string;
  readonly readToken: string;
}

const defaultTimeoutSeconds = 15;

/**
 * Hands an entry to the issuer. `accepted` is the issuer's word only.
 *
 * @returns `head_moved` where another entry was first.
 * @throws {CliError} `issuer_refused`, `issuer_unreachable`.
 */
export async function postEntry(
  { account, url, readToken }: IssuerAddress,
  ports: Ports,
  entry: { readonly leaf: string; readonly documents: readonly PolicySetDocument[] },
  timeoutSeconds: number = defaultTimeoutSeconds,
): Promise<'accepted' | 'head_moved'> {
  const body = entry.documents.length === 0 ? { leaf: entry.leaf } : entry;
  const answer = await post({ account, url, readToken }, ports, 'log/entries', body, timeoutSeconds);
  return answer.ok ? 'accepted' : 'head_moved';
}

/**
 * Hands a request to the issuer to wrap.
 *
 * @returns where it says that the entry stands: its word only.
 * @throws {CliError} `issuer_refused`, `issuer_unreachable`.
 */
export async function postRequest(
  address: IssuerAddress,
  ports: Ports,
  request: string,
): Promise<{ readonly seq: number; readonly hash: string }> {
  const { ok, text } = await post(address, ports, 'log/requests', { request }, defaultTimeoutSeconds);
  if (ok) {
    const { seq, head } = parsed(text);
    if (typeof seq === 'number' && Number.isSafeInteger(seq) && seq > 0 && typeof head === 'string') {
      return { seq, hash: head };
    }
  }
  throw new CliError('issuer_refused', 'the issuer did not say where the entry is');
}

/** @returns also for 409 `head_moved`, with `ok` false. */
async function post(
  { account, url, readToken }: IssuerAddress,
  ports: Ports,
  path: string,
  body: object,
  timeoutSeconds: number,
): Promise<{ readonly ok: boolean; readonly text: string }> {
  let response: Response;
  let text: string;
  try {
    response = await ports.fetch(`${url}/a/${account}/${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${readToken}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutSeconds * 1000),
    });
    text = await response.text();
  } catch (cause) {
    throw new CliError('issuer_unreachable', `the issuer at \`${url}\` did not answer`, {
      cause,
      hint: 'the entry may still have been appended: look with `bulla log show` before you repeat it',
    });
  }
  const code = codeOf(text);
  if (response.ok || (response.status === 409 && code === 'head_moved')) return { ok: response.ok, text };
  const unavailable = response.status >= 500 || response.status === 429;
  throw new CliError(
    unavailable ? 'issuer_unreachable' : 'issuer_refused',
    `the issuer answered ${response.status}${meaningOf(code)}`,
    { reason: code },
  );
}

/** One question to the issuer, JSON both ways. */
export interface Question {
  readonly url: string;
  /** Default: POST where there is a body, else GET. */
  readonly method?: 'GET' | 'POST' | 'DELETE';
  /** Sent as a bearer token. */
  readonly token?: string;
  readonly body?: object;
}

/**
 * Asks the issuer something other than to append an entry.
 *
 * @throws {CliError} `issuer_refused` with the issuer's code as reason, `issuer_unreachable`.
 */
export async function ask(
  ports: Ports,
  { url, method, token, body }: Question,
): Promise<Readonly<Record<string, unknown>>> {
  let response: Response;
  let text: string;
  try {
    response = await ports.fetch(url, {
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      redirect: 'manual',
      signal: AbortSignal.timeout(defaultTimeoutSeconds * 1000),
    });
    text = await response.text();
  } catch (cause) {
    throw new CliError('issuer_unreachable', `the issuer at \`${new URL(url).origin}\` did not answer`, {
      cause,
    });
  }
  if (!response.ok) {
    const away = response.status >= 500 || response.status === 429;
    const code = codeOf(text);
    throw new CliError(
      away ? 'issuer_unreachable' : 'issuer_refused',
      `the issuer answered ${response.status}${meaningOf(code)}`,
      { reason: code },
    );
  }
  return objectOf(text);
}

function objectOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = text === '' ? {} : JSON.parse(text);
    if (isJsonObject(value)) return value;
  } catch {
    // Falls through: the parser's message would quote the answer.
  }
  throw new CliError('issuer_refused', 'the issuer answered something that is not JSON');
}

/** What our own tables say of a code; no word of the issuer's gets into a message. */
function meaningOf(code: string | undefined): string {
  if (code === undefined) return '';
  const row = [issuerCodes, codes].find((table) => Object.hasOwn(table, code)) as
    | Readonly<Record<string, { readonly meaning: string }>>
    | undefined;
  return row?.[code] === undefined ? '' : `: ${row[code].meaning}`;
}

/** `code` of a problem (RFC 9457); anything that is not a short word is dropped. */
function codeOf(text: string): string | undefined {
  const { code } = parsed(text);
  return typeof code === 'string' && /^[a-z0-9_]{1,64}$/u.test(code) ? code : undefined;
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}
