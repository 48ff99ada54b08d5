import type { Ports } from '@bulla/verifier';
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
  let response: Response;
  let code: string | undefined;
  try {
    response = await ports.fetch(`${url}/a/${account}/log/entries`, {
      method: 'POST',
      headers: { authorization: `Bearer ${readToken}`, 'content-type': 'application/json' },
      body: JSON.stringify(entry.documents.length === 0 ? { leaf: entry.leaf } : entry),
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutSeconds * 1000),
    });
    code = codeOf(await response.text());
  } catch (cause) {
    throw new CliError('issuer_unreachable', `the issuer at \`${url}\` did not answer`, {
      cause,
      hint: 'the entry may still have been appended: look with `bulla log show` before you repeat it',
    });
  }
  if (response.ok) return 'accepted';
  if (response.status === 409 && code === 'head_moved') return 'head_moved';
  const unavailable = response.status >= 500 || response.status === 429;
  throw new CliError(
    unavailable ? 'issuer_unreachable' : 'issuer_refused',
    `the issuer answered ${response.status}`,
    { reason: code },
  );
}

/** `code` of a problem (RFC 9457); anything that is not a short word is dropped. */
function codeOf(text: string): string | undefined {
  try {
    const { code } = JSON.parse(text) as { readonly code?: unknown };
    return typeof code === 'string' && /^[a-z0-9_]{1,64}$/u.test(code) ? code : undefined;
  } catch {
    return undefined;
  }
}
