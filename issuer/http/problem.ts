import { describeCode, Refusal } from '@bulla/verifier';
import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { IssuerRefusal, issuerCodes } from '../errors.ts';

/** What an answer may tell about a failure. */
export interface Problem {
  readonly status: number;
  readonly code: string;
  readonly meaning: string;
  readonly oauth?: string;
  readonly detail: string;
  readonly details: Readonly<Record<string, string | number>>;
}

/**
 * What may be said about an error. Anything but a refusal is `internal`: its message and stack stay here.
 */
export function problemOf(error: unknown): Problem {
  if (error instanceof IssuerRefusal) {
    const detail = error.message;
    return { code: error.code, ...issuerCodes[error.code], detail, details: error.details };
  }
  if (error instanceof Refusal) {
    const { status, ...entry } = describeCode(error.code);
    // The verifier's table answers guarded requests; here nobody is asked to authenticate by an envelope.
    return {
      ...entry,
      code: error.code,
      status: status === 401 ? 400 : status,
      detail: error.message,
      details: {},
    };
  }
  return { code: 'internal', ...issuerCodes.internal, detail: 'issuer failed', details: {} };
}

/** RFC 9457 problem details, with the stable code as member `code`. */
export function problemResponse(c: Context, error: unknown): Response {
  const problem = problemOf(error);
  const body = {
    type: 'about:blank',
    title: problem.meaning,
    status: problem.status,
    detail: problem.detail,
    code: problem.code,
    ...problem.details,
  };
  if (problem.status === 401) c.header('WWW-Authenticate', 'Bearer');
  if (problem.status === 429) {
    c.header('Retry-After', String(problem.details['retryAfterSeconds'] ?? 1));
  }
  c.header('Cache-Control', 'no-store');
  return c.body(JSON.stringify(body), problem.status as ContentfulStatusCode, {
    'Content-Type': 'application/problem+json',
  });
}
