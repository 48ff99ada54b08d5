import type { JsonObject } from '@bulla/verifier/envelope';
import { IssuerRefusal } from '../errors.ts';
import { problemOf } from '../http/problem.ts';
import { scimTypeOf } from './refuse.ts';

/** One request, however it came: over HTTP, or as an operation of a bulk request. */
export interface ScimRequest {
  readonly method: string;
  /** What follows the base: `/Users/<id>`. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body?: JsonObject | undefined;
  readonly ifMatch?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
}

/** Its answer. */
export interface ScimAnswer {
  readonly status: number;
  readonly body?: JsonObject | undefined;
  readonly location?: string | undefined;
  /** Weak entity tag. */
  readonly version?: string | undefined;
  /** Code of the refusal, if it is one. */
  readonly code?: string | undefined;
  /** Of a refusal that waiting helps against. */
  readonly retryAfterSeconds?: number | undefined;
}

/**
 * What a refusal is as an Error message: RFC 7644 section 3.12. `detail` begins with the stable code and a colon, as strict
 * clients refuse members that the RFC does not have. A rule of the trust log that said no is 429 where waiting helps, else 403.
 * Nothing that was sent is quoted.
 */
export function errorAnswer(error: unknown): ScimAnswer {
  const { code, status: declared, detail, meaning, details } = problemOf(error);
  const status = code.startsWith('rule_') ? ruleStatus(declared) : declared;
  const scimType = scimTypeOf(code);
  const said = status >= 500 && !(error instanceof IssuerRefusal) ? meaning : detail;
  return {
    status,
    code,
    ...(status === 429 && { retryAfterSeconds: Number(details['retryAfterSeconds'] ?? ruleRetrySeconds) }),
    body: {
      schemas: ['urn:ietf:params:scim:api:messages:2.0:Error'],
      status: String(status),
      ...(scimType !== undefined && { scimType }),
      detail: `${code}: ${said}`,
    },
  };
}

/** How soon a cap of a lease may let another entry through is not worked out. */
const ruleRetrySeconds = 60;

/** The table of the log answers admins' tools; a client of SCIM is told that it may not, or not yet. */
function ruleStatus(declared: number): number {
  return declared === 429 || declared >= 500 ? declared : 403;
}
