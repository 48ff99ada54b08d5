import { type Grant, Refusal, type WireRequest } from '@bulla/verifier';
import { type Answer, type Decider, decideRow, mapRequest, problemOf } from '@bulla/verifier/adapter';
import { type PublicOrigins, readPlainRequest } from '@bulla/verifier/envelope';
import { GuardRefusal, guardCodes } from './codes.ts';
import type { FindRow } from './table.ts';

/** Guard's answer about one request, before a form puts it into words for its proxy. */
export type Judged =
  | { readonly allowed: true; readonly grant: Grant | undefined }
  | { readonly allowed: false; readonly code: string; readonly problem: Answer };

/** What a caller says beforehand about what it asks; checked on the way. */
export interface Expectation {
  /** @throws {GuardRefusal} where the row asks for another action; `undefined` is a public row. */
  readonly action?: (action: string | undefined) => void;
  /** Called once the proof is claimed. @throws {GuardRefusal}. */
  readonly resource?: (resource: { readonly type: string; readonly id: string }) => void;
}

/** What judging needs. `onError` hears of failures that are no refusals. */
export interface JudgeOptions {
  readonly verifier: Decider;
  readonly origins: PublicOrigins;
  readonly find: FindRow;
  readonly onError?: (error: unknown) => void;
}

/**
 * Decides one request as it stood on the wire, as the adapters do: row, one reading, verifier. Never throws. The caller (a form)
 * has made sure that `wire.body` is the whole content.
 */
export async function judge(
  options: JudgeOptions,
  wire: WireRequest,
  expected: Expectation = {},
): Promise<Judged> {
  const { verifier } = options;
  let mismatch: GuardRefusal | undefined;
  try {
    // A public row has to be read in one way too, or its path would lead the API to another route.
    const { path } = readPlainRequest(wire, options.origins);
    // Servlet containers take `;…` out of each segment before they look at it: `/files/..;/admin` is their `/admin`.
    if (path.includes(';')) throw new Refusal('request_target_invalid', '`;` in a path is read in two ways');
    const { route, params } = options.find(wire.method, path);
    if ((wire.method === 'GET' || wire.method === 'HEAD') && wire.body.length > 0) {
      throw new Refusal('content_refused', 'method carries no content');
    }
    expected.action?.(route === 'public' ? undefined : route.action);
    if (route === 'public') return { allowed: true, grant: undefined };
    const row = {
      ...route,
      resource: async (request: Parameters<typeof route.resource>[0]) => {
        const resource = await route.resource(request);
        try {
          expected.resource?.(resource);
        } catch (error) {
          if (error instanceof GuardRefusal) mismatch = error;
          throw new Refusal('route_input_invalid', 'resource is not the one that the caller named', {
            cause: error,
          });
        }
        return resource;
      },
    };
    const outcome = await decideRow(verifier, row, mapRequest(wire, params, row), wire, options);
    if ('grant' in outcome) return { allowed: true, grant: outcome.grant };
    if (mismatch !== undefined) return refused(mismatch);
    return { allowed: false, code: codeOf(outcome.problem), problem: outcome.problem };
  } catch (error) {
    return judgedBy(error, options);
  }
}

/** The answer to whatever was thrown. */
export function judgedBy(error: unknown, options: JudgeOptions): Judged & { readonly allowed: false } {
  if (error instanceof GuardRefusal) return refused(error);
  const problem = problemOf(error, options.verifier, options);
  return { allowed: false, code: codeOf(problem), problem };
}

/** Guard's own no, in the form of every other. */
export function refused({ code, message }: GuardRefusal): Judged & { readonly allowed: false } {
  const { status, meaning } = guardCodes[code];
  const members = { type: 'about:blank', status, code, title: meaning, layer: 'guard', detail: message };
  const headers = { 'content-type': 'application/problem+json', 'cache-control': 'no-store' };
  return { allowed: false, code, problem: { status, headers, body: JSON.stringify(members) } };
}

function codeOf({ body }: Answer): string {
  const { code } = JSON.parse(body) as { readonly code: string };
  return code;
}
