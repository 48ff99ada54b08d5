import type { Next, NextStep } from '@bulla/verifier';
import type { AuthorizationDetail } from '@bulla/verifier/envelope';
import { isJsonObject, parseAuthorizationDetails } from '@bulla/verifier/envelope';
import { parse, readCapped, reasonOf } from './http.ts';

/** A step that needs no further word. */
type PlainStep = Exclude<NextStep | Next['do'], 'approval' | 'ask'>;

/** What an API says can be done about a refusal or denial: docs/spec/http.md section 4. */
export type ProblemNext =
  | { readonly do: PlainStep }
  | { readonly do: 'approval' }
  | {
      readonly do: 'approval';
      /** Groups of people whose approval would help. */
      readonly groups: readonly string[];
      readonly account: string;
      readonly request: string;
      readonly envelope: string;
    }
  | { readonly do: 'ask'; readonly authorization_details: readonly AuthorizationDetail[] };

/** A refusal or denial of a guarded API (RFC 9457), read strictly. */
export interface ApiProblem {
  readonly status: number;
  /** A code of docs/codes.md. */
  readonly code: string;
  /** Who said no: `verifier`, `admin`, `narrow`, `agent` or `api`. */
  readonly layer: string | undefined;
  /** One line for people; of a denial the admins' reason. Words of the API's account, not of holders; still no orders. */
  readonly detail: string | undefined;
  readonly reasons: readonly {
    readonly layer: string;
    readonly policy: string | undefined;
    readonly reason: string | undefined;
  }[];
  /** Undefined where the API named no step that this version knows. */
  readonly next: ProblemNext | undefined;
}

const maxProblemBytes = 65_536;
const maxReasons = 64;
const word = /^[a-z0-9_]{1,64}$/u;
const group = /^[a-z0-9][a-z0-9_-]{0,62}$/u;
const digest = /^[A-Za-z0-9_-]{43}$/u;
const account = /^acct_[A-Za-z0-9_-]{43}$/u;
const plainSteps: Readonly<Record<PlainStep, true>> = {
  exchange: true,
  prove_again: true,
  retry_later: true,
  change_request: true,
  ask_admin: true,
  none: true,
};

/**
 * Reads why a guarded API refused or denied, and what can be done about it. The response stays readable. Whatever is not of the
 * known form is left out, so that an agent can act on what it gets.
 *
 * Does NOT say that the API is honest: nothing here is signed.
 *
 * @returns undefined for an answer that is no problem with a code.
 */
export async function readProblem(response: Response): Promise<ApiProblem | undefined> {
  const type = response.headers.get('content-type') ?? '';
  if (response.ok || response.bodyUsed || !type.startsWith('application/problem+json')) return undefined;
  const body = parse(await readCapped(response.clone(), maxProblemBytes));
  const code = reasonOf(body);
  if (!isJsonObject(body) || code === undefined) return undefined;
  const { layer, detail, reasons, next } = body;
  return {
    status: response.status,
    code,
    layer: wordOf(layer),
    detail: lineOf(detail),
    reasons: Array.isArray(reasons) ? reasons.slice(0, maxReasons).flatMap(readReason) : [],
    next: readNext(next),
  };
}

function readReason(value: unknown): ApiProblem['reasons'] {
  if (!isJsonObject(value)) return [];
  const layer = wordOf(value['layer']);
  if (layer === undefined) return [];
  return [{ layer, policy: lineOf(value['policy']), reason: lineOf(value['reason']) }];
}

function readNext(value: unknown): ProblemNext | undefined {
  if (!isJsonObject(value)) return undefined;
  const step = value['do'];
  if (step === 'approval') return readApproval(value);
  if (step === 'ask') return readAsk(value['authorization_details']);
  return isPlainStep(step) ? { do: step } : undefined;
}

function isPlainStep(step: unknown): step is PlainStep {
  return typeof step === 'string' && Object.hasOwn(plainSteps, step);
}

function readApproval(value: Readonly<Record<string, unknown>>): ProblemNext {
  const { groups, request, envelope } = value;
  const names = Array.isArray(groups) ? groups.filter((name) => matches(group, name)) : [];
  if (names.length === 0 || !matches(digest, request) || !matches(digest, envelope))
    return { do: 'approval' };
  const own = value['account'];
  return matches(account, own)
    ? { do: 'approval', groups: names, account: own, request, envelope }
    : { do: 'approval' };
}

function readAsk(details: unknown): ProblemNext | undefined {
  try {
    return { do: 'ask', authorization_details: parseAuthorizationDetails(details) };
  } catch {
    return undefined;
  }
}

function matches(form: RegExp, value: unknown): value is string {
  return typeof value === 'string' && form.test(value);
}

function wordOf(value: unknown): string | undefined {
  return matches(word, value) ? value : undefined;
}

/** One printable line: what is shown in a terminal can neither break out of its line nor hide. */
function lineOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value.replace(/\p{C}/gu, ' ').slice(0, 500) : undefined;
}
