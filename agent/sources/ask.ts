import { type Ports, systemPorts } from '@bulla/verifier';
import type { Json } from '@bulla/verifier/envelope';
import { AgentError } from '../errors.ts';
import { parse, readCapped, reasonOf } from '../http.ts';

/** What a source that asks over HTTP takes from its surroundings. */
export interface AskingOptions {
  /** Give up after this long, seconds. Default 10. */
  readonly timeoutSeconds?: number;
  readonly fetch?: Ports['fetch'];
}

const maxAnswerBytes = 65_536;

/**
 * Sends one request that carries a secret, and reads the JSON answer whole, capped and timed. Redirects are not
 * followed: the secret would go along.
 *
 * @throws {AgentError} `source_unavailable` for no answer, 429 and 5xx; `source_refused` for any other status but 200.
 */
export async function askForJson(
  url: URL,
  init: RequestInit,
  { timeoutSeconds = 10, fetch = systemPorts.fetch }: AskingOptions,
): Promise<Json | undefined> {
  const signal = AbortSignal.timeout(timeoutSeconds * 1000);
  let status: number;
  let body: Json | undefined;
  try {
    const response = await fetch(url, { ...init, redirect: 'manual', signal });
    ({ status } = response);
    body = parse(await readCapped(response, maxAnswerBytes));
  } catch {
    // The cause is dropped: it could quote the URL, which may be part of the secret.
    throw new AgentError('source_unavailable', `no answer from the credential's issuer at \`${url.origin}\``);
  }
  if (status === 200) return body;
  const away = status === 429 || status >= 500;
  throw new AgentError(
    away ? 'source_unavailable' : 'source_refused',
    `the credential's issuer answered ${status}`,
    {
      status,
      reason: reasonOf(body),
    },
  );
}
