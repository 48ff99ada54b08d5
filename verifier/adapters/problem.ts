import { describeCode, Refusal } from '../errors.ts';
import { signatureAlgorithms } from '../keys.ts';
import { type Next, type NextStep, nextStep } from '../next.ts';
import type { Reason } from '../receipt.ts';
import { type ProtectedResource, resourceMetadataUrl } from './metadata.ts';

/** What a guard answers instead of a handler, ready for any framework: a problem (RFC 9457), or a page of its own. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface ChallengeOptions {
  readonly protectedResource?: ProtectedResource;
}

/** A policy's no, as a decision has it. */
export interface Denial {
  readonly reasons: readonly Reason[];
  /** What could turn it into an allow. Absent where the verifier is not Bulla's own. */
  readonly next?: Next;
}

/** A policy's no: 403 with every reason. */
export function problemOfDenial({ reasons, next }: Denial, options: ChallengeOptions): Answer {
  const first = reasons[0];
  const { status, meaning } = describeCode('policy_denied');
  return render(status, {
    code: 'policy_denied',
    title: meaning,
    layer: first?.layer ?? 'admin',
    ...(first?.layer === 'admin' && first.reason !== undefined && { detail: first.reason }),
    reasons: reasons.map(shownReason),
    ...(next !== undefined && { next }),
    challenge: undefined,
    options,
  });
}

/** Ids and reasons of limits are written by holders; an agent that reads the answer must not take orders from them (F27). */
function shownReason(reason: Reason): Reason {
  return reason.layer === 'admin' || reason.layer === 'api' || reason.layer === 'builtin'
    ? reason
    : { layer: reason.layer };
}

/** A refusal, or anything else that was thrown: then `internal_error`, without detail. */
export function problemOfError(error: unknown, options: ChallengeOptions): Answer {
  const code = error instanceof Refusal ? error.code : 'internal_error';
  const entry = describeCode(code);
  const next = nextStep(code);
  return render(entry.status, {
    code,
    title: entry.meaning,
    layer: 'verifier',
    ...(error instanceof Refusal ? { detail: error.message } : {}),
    ...(next !== undefined && { next: { do: next } }),
    challenge: entry.status === 401 ? (entry.oauth ?? '') : undefined,
    options,
  });
}

interface Content {
  readonly code: string;
  readonly title: string;
  readonly layer: string;
  readonly detail?: string;
  readonly reasons?: readonly Reason[];
  readonly next?: Next | { readonly do: NextStep };
  /** `error` of the challenge; empty for a challenge without one; absent for no challenge. */
  readonly challenge: string | undefined;
  readonly options: ChallengeOptions;
}

function render(status: number, content: Content): Answer {
  const { challenge, options, ...members } = content;
  const headers: Record<string, string> = {
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
  };
  if (challenge !== undefined) headers['www-authenticate'] = challengeOf(challenge, options);
  return { status, headers, body: JSON.stringify({ type: 'about:blank', status, ...members }) };
}

/** RFC 9449 section 7.1. A request without credentials gets no `error` (RFC 6750 section 3). */
function challengeOf(error: string, options: ChallengeOptions): string {
  const parts = error === '' ? [] : [`error="${error}"`];
  parts.push(`algs="${signatureAlgorithms.join(' ')}"`);
  if (options.protectedResource !== undefined) {
    parts.push(`resource_metadata="${resourceMetadataUrl(options.protectedResource.resource).href}"`);
  }
  return `DPoP ${parts.join(', ')}`;
}
