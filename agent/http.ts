import type { Json } from '@bulla/verifier/envelope';
import type { AgentConfig } from './config.ts';
import { AgentError } from './errors.ts';

/** An issuer's answer, read whole. `body` is undefined where it is not JSON or too long. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Json | undefined;
}

const maxAnswerBytes = 65_536;

/**
 * Sends one request to the issuer and reads the answer whole, capped and timed. Redirects are not followed.
 *
 * @throws {AgentError} `issuer_unreachable` for no answer, 429 and 5xx.
 */
export async function readAnswer(config: AgentConfig, url: URL, init: RequestInit): Promise<Answer> {
  const signal = AbortSignal.timeout(config.exchangeTimeoutSeconds * 1000);
  let answer: Answer;
  try {
    const response = await config.ports.fetch(url, { ...init, redirect: 'manual', signal });
    answer = {
      status: response.status,
      headers: response.headers,
      body: parse(await readCapped(response, maxAnswerBytes)),
    };
  } catch (cause) {
    throw new AgentError('issuer_unreachable', `no answer from the issuer at \`${url.origin}\``, { cause });
  }
  if (answer.status === 429 || answer.status >= 500) {
    const { status } = answer;
    throw new AgentError('issuer_unreachable', `the issuer answered ${status}`, {
      status,
      reason: reasonOf(answer.body),
    });
  }
  return answer;
}

/** Reads a body as text; undefined where it is longer than `maxBytes`. */
export async function readCapped(response: Response, maxBytes: number): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  const reader = response.body?.getReader();
  let size = 0;
  for (;;) {
    const chunk = await reader?.read();
    if (chunk?.value === undefined) return Buffer.concat(chunks).toString('utf8');
    size += chunk.value.length;
    if (size > maxBytes) {
      // Not waited for: of a clone it ends only when the other half is cancelled too.
      reader?.cancel().catch(() => undefined);
      return undefined;
    }
    chunks.push(chunk.value);
  }
}

export function parse(text: string | undefined): Json | undefined {
  try {
    return text === undefined ? undefined : (JSON.parse(text) as Json);
  } catch {
    return undefined;
  }
}

/** The other side's code: problem `code` (RFC 9457) before OAuth `error`. Anything that is not a short word is dropped. */
export function reasonOf(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  const { code, error } = body as { readonly code?: unknown; readonly error?: unknown };
  const word = code ?? error;
  return typeof word === 'string' && /^[a-z0-9_]{1,64}$/u.test(word) ? word : undefined;
}
