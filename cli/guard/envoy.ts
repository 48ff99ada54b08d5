import { Refusal } from '@bulla/verifier';
import type { Answer } from '@bulla/verifier/adapter';
import { GuardRefusal } from './codes.ts';
import { type Judged, type JudgeOptions, judge, judgedBy } from './judge.ts';
import {
  type Asked,
  contentless,
  identityFields,
  identityOf,
  secretField,
  valuesOf,
  without,
} from './wire.ts';

/** What guard must know of Envoy's configuration. */
export interface EnvoyOptions {
  /** Envoy's `path_prefix`; no slash at the end. */
  readonly pathPrefix: string;
  /** Envoy's `with_request_body.max_request_bytes`. */
  readonly maxRequestBytes: number;
}

const partial = 'x-envoy-auth-partial-body';
const own: ReadonlySet<string> = new Set([partial, secretField, 'connection']);

/**
 * Envoy `ext_authz`, HTTP service (docs/spec/guard.md section 5): the request to guard has the client's method, the path after
 * `path_prefix`, the allowed header fields and, with `with_request_body`, the content. 200 allows; every other status is the
 * client's answer, except that Envoy makes its own of 5xx.
 */
export async function answerEnvoy(options: JudgeOptions & EnvoyOptions, asked: Asked): Promise<Answer> {
  const judged = await decide(options, asked);
  if (!judged.allowed) {
    const { status, headers, body } = judged.problem;
    return { status, headers: { ...headers, 'bulla-code': judged.code }, body };
  }
  const removed =
    judged.grant === undefined ? { 'x-envoy-auth-headers-to-remove': identityFields.join(',') } : {};
  return { status: 200, headers: { ...identityOf(judged.grant), ...removed }, body: '' };
}

async function decide(options: JudgeOptions & EnvoyOptions, asked: Asked): Promise<Judged> {
  const { method, headers, body } = asked;
  try {
    requireWhole(asked, options.maxRequestBytes);
    return await judge(options, {
      method,
      target: asked.target.slice(options.pathPrefix.length),
      headers: without(headers, own),
      body,
    });
  } catch (error) {
    return judgedBy(error, options);
  }
}

/**
 * Envoy writes the field for every request whose content it buffered, over one that the client sent: content beside it is
 * whole where it says `false`. Where no content came, Envoy may simply not have been told to buffer it: that passes only for
 * methods that have a meaning without.
 */
function requireWhole({ method, headers, body }: Asked, maxRequestBytes: number): void {
  const said = valuesOf(headers, partial);
  const chunked = valuesOf(headers, 'transfer-encoding').length > 0;
  const whole = body.length > 0 ? said.length === 1 && said[0] === 'false' : said.length === 0;
  if (chunked || !whole || (body.length === 0 && !contentless.has(method))) {
    throw new GuardRefusal(
      'content_unseen',
      'the proxy did not show the whole content, or has not been told to',
    );
  }
  if (body.length > maxRequestBytes) throw new Refusal('content_too_large', 'content is too large');
}
