import type { Answer } from '@bulla/verifier/adapter';
import { GuardRefusal } from './codes.ts';
import { type Judged, type JudgeOptions, judge, judgedBy } from './judge.ts';
import {
  asciiJson,
  contentless,
  type Headers,
  identityOf,
  proxyField,
  secretField,
  valuesOf,
  without,
} from './wire.ts';

/** Fields that only the proxy may set. `none` is what the documented configuration writes for a field that was not sent. */
const original = {
  method: 'x-original-method',
  target: 'x-original-uri',
  length: 'x-original-content-length',
  coding: 'x-original-transfer-encoding',
} as const;

const own: ReadonlySet<string> = new Set([
  ...Object.values(original),
  secretField,
  'connection',
  'content-length',
]);

/**
 * nginx `auth_request` (docs/spec/guard.md section 4): decides the request that the `X-Original-*` fields name, with all other
 * fields as the client sent them. Answers 204, 401 or 403, the only statuses that the module understands.
 */
export async function answerNginx(options: JudgeOptions, headers: Headers): Promise<Answer> {
  return inWords(await decide(options, headers));
}

async function decide(options: JudgeOptions, headers: Headers): Promise<Judged> {
  try {
    const method = proxyField(headers, original.method);
    const target = proxyField(headers, original.target);
    const length = proxyField(headers, original.length);
    const coding = proxyField(headers, original.coding);
    const announced = valuesOf(headers, 'content-length').some((value) => value !== '0');
    const chunked = valuesOf(headers, 'transfer-encoding').length > 0;
    if (
      !contentless.has(method) ||
      announced ||
      chunked ||
      coding !== 'none' ||
      !/^(?:none|0)$/u.test(length)
    ) {
      throw new GuardRefusal(
        'content_unseen',
        'this proxy shows no content, and the request has, or may have, some',
      );
    }
    return await judge(options, { method, target, headers: without(headers, own), body: new Uint8Array(0) });
  } catch (error) {
    return judgedBy(error, options);
  }
}

/** nginx drops the content of a refusal: the problem travels in a field, and the configuration makes it the content again. */
function inWords(judged: Judged): Answer {
  if (judged.allowed) return { status: 204, headers: identityOf(judged.grant), body: '' };
  const { status, headers, body } = judged.problem;
  const { 'content-type': _, ...kept } = headers;
  return {
    status: status === 401 ? 401 : 403,
    headers: {
      ...kept,
      'bulla-code': judged.code,
      'bulla-status': String(status),
      'bulla-problem': problemField(body),
    },
    body: '',
  };
}

/** `proxy_buffer_size` is 4 or 8 KiB for all fields together. */
const maxProblemBytes = 2048;

function problemField(body: string): string {
  const problem = JSON.parse(body) as Readonly<Record<string, unknown>>;
  const whole = asciiJson(problem);
  if (whole.length <= maxProblemBytes) return whole;
  const { type, status, code, title, layer, next } = problem;
  const shorter = asciiJson({ type, status, code, title, layer, next });
  return shorter.length <= maxProblemBytes ? shorter : asciiJson({ type, status, code, title, layer });
}
