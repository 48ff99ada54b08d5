import type { Access, RouteOptions, WireRequest } from '../access.ts';
import { type CodeEntry, describeCode, Refusal } from '../errors.ts';
import type { Grant as VerifiedGrant } from '../grant.ts';
import type { Next } from '../next.ts';
import type { Nonces } from '../proof/nonce.ts';
import { canonicalPath } from '../proof/target.ts';
import type { Reason } from '../receipt.ts';
import type { ContentLimits } from './body.ts';
import { requirePlainNames } from './member-names.ts';
import type { OwnPages } from './own.ts';
import { type Answer, problemOfDenial, problemOfError } from './problem.ts';

/** What an adapter needs of a verifier. `createVerifier` returns one. */
export interface Decider<Grant = VerifiedGrant> {
  decide(request: WireRequest, access: Access, options?: RouteOptions): Promise<AdapterDecision<Grant>>;
  /** Issues the `DPoP-Nonce` that goes with `use_dpop_nonce`; the same object must check it. */
  readonly nonces?: Nonces;
}

/** The part of a decision that an adapter needs. */
export type AdapterDecision<Grant> =
  | { readonly allowed: true; readonly grant: Grant }
  | { readonly allowed: false; readonly reasons: readonly Reason[]; readonly next?: Next };

/** A request as a row of the table sees it. Its content is what the proof covers. */
export interface MappedRequest {
  readonly method: string;
  /** Raw path, as verified. */
  readonly path: string;
  /** Decoded path parameters of the matched route. */
  readonly params: Readonly<Record<string, string>>;
  /** As handlers read it. @throws {Refusal} `route_input_invalid` where its escapes are not UTF-8, which is read in several ways. */
  readonly query: URLSearchParams;
  /** The very bytes that the proof's `content_digest` covers. */
  readonly body: Uint8Array;
  /** The content as JSON. @throws {Refusal} `route_input_invalid`, also for a member `__proto__`. */
  json(): unknown;
  /**
   * A field that the row lists in `bindHeaders`, hence bound by the proof; undefined where it was not sent.
   *
   * @throws {TypeError} for any other field: it is whatever the last proxy made of it.
   */
  header(name: string): string | undefined;
  /** A parameter that must be there. @throws {Refusal} `route_input_invalid`. */
  param(name: string): string;
}

/** One route: what it asks the policy. */
export interface RouteRow extends RouteOptions {
  /** Id of a Cedar action of the published schema. */
  readonly action: string;
  /** The resource, with every ancestor. May look it up in the API's own data. */
  readonly resource: (request: MappedRequest) => ReturnType<Access['resource']>;
  readonly context?: (request: MappedRequest) => ReturnType<NonNullable<Access['context']>>;
}

/** What every adapter may be told about its surroundings. */
export interface HttpOptions extends ContentLimits, OwnPages {
  /** A path prefix that a reverse proxy removed: it is put back before the proof is compared. `/api`, no trailing slash. */
  readonly publicPathPrefix?: string;
  /** Told of every failure that is not a refusal (a mapper that threw); the caller learns only `internal_error`. What it throws is dropped. */
  readonly onError?: (error: unknown) => void;
}

/** The row that a request belongs to, and the decoded path parameters that its handler will see. */
export interface FoundRow {
  readonly row: RouteRow | 'public';
  readonly params: Readonly<Record<string, string>>;
}

/**
 * Refuses what has two readings on any route, public ones too, before a route is looked for.
 *
 * @throws {Refusal} `request_target_invalid`, `request_field_refused`.
 */
export function requireForm({ target, headers }: Omit<WireRequest, 'body'>): void {
  canonicalPath(pathOf(target));
  if (headers.some(([name]) => name.toLowerCase() === 'upgrade')) {
    throw new Refusal('request_field_refused', '`upgrade` is not acceptable here');
  }
}

/** The raw path of a request-target. */
export function pathOf(target: string): string {
  const mark = target.indexOf('?');
  return mark < 0 ? target : target.slice(0, mark);
}

/** What a handler may run with: no grant on a public row; a problem where it may not run. */
export type Outcome<Grant> =
  | { readonly mapped: MappedRequest; readonly grant: Grant | undefined }
  | { readonly problem: Answer };

/** Decides a request whose row was found; a public row has nothing to decide. Never throws. */
export async function decideFound<Grant>(
  verifier: Decider<Grant>,
  { row, params }: FoundRow,
  wire: WireRequest,
  options: HttpOptions,
): Promise<Outcome<Grant>> {
  const mapped = mapRequest(wire, params, row === 'public' ? {} : row);
  if (row === 'public') return { mapped, grant: undefined };
  const outcome = await decideRow(verifier, row, mapped, wire, options);
  return 'problem' in outcome ? outcome : { mapped, grant: outcome.grant };
}

/**
 * Maps and decides one request. Never throws: whatever goes wrong is a problem to answer with (law 4).
 */
export async function decideRow<Grant>(
  verifier: Decider<Grant>,
  row: RouteRow,
  mapped: MappedRequest,
  wire: WireRequest,
  options: HttpOptions,
): Promise<{ readonly grant: Grant } | { readonly problem: Answer }> {
  try {
    const access: Access = {
      action: row.action,
      resource: () => row.resource(mapped),
      ...(row.context !== undefined && { context: () => row.context?.(mapped) ?? {} }),
    };
    const decision = await verifier.decide(wire, access, row);
    if (decision.allowed) return { grant: decision.grant };
    return { problem: problemOfDenial(decision, options) };
  } catch (error) {
    return { problem: problemOf(error, verifier, options) };
  }
}

/** The answer to anything thrown; failures that are not refusals go to `onError` and say nothing to the caller. Never throws. */
export function problemOf(error: unknown, verifier: Decider<unknown>, options: HttpOptions): Answer {
  if (!(error instanceof Refusal)) tell(options, error);
  else if (error.code === 'internal_error') tell(options, error.cause ?? error);
  const problem = problemOfError(error, options);
  const wantsNonce = describe(error)?.oauth === 'use_dpop_nonce';
  if (!wantsNonce || verifier.nonces === undefined) return problem;
  return { ...problem, headers: { ...problem.headers, 'dpop-nonce': verifier.nonces.issue() } };
}

/** A host that fails to hear of a failure still answers it (law 4). */
function tell({ onError }: HttpOptions, error: unknown): void {
  try {
    onError?.(error);
  } catch {
    // There is nobody else to tell, and the caller must not learn of it.
  }
}

function describe(error: unknown): CodeEntry | undefined {
  return error instanceof Refusal ? describeCode(error.code) : undefined;
}

/** `search` with its `?`: of a text that begins with one `URLSearchParams` drops it, and the query itself may begin with one. */
function readQuery(search: string): URLSearchParams {
  try {
    decodeURIComponent(search);
  } catch {
    throw new Refusal('route_input_invalid', 'query is not UTF-8');
  }
  return new URLSearchParams(search);
}

/**
 * The request as a row of the table reads it. Verifies nothing: what its members say counts once the verifier has decided.
 *
 * @throws {Refusal} from `query`, `json` and `param`, see {@link MappedRequest}.
 */
export function mapRequest(
  wire: WireRequest,
  params: Readonly<Record<string, string>>,
  route: RouteOptions = {},
): MappedRequest {
  const path = pathOf(wire.target);
  return {
    method: wire.method,
    path,
    params,
    get query() {
      return readQuery(wire.target.slice(path.length));
    },
    body: wire.body,
    json: () => {
      try {
        const text = new TextDecoder('utf-8', { fatal: true }).decode(wire.body);
        const value: unknown = JSON.parse(text);
        requirePlainNames(value, text);
        return value;
      } catch {
        throw new Refusal('route_input_invalid', 'content is not JSON');
      }
    },
    header: (name) => {
      const lower = name.toLowerCase();
      if (route.bindHeaders?.some((bound) => bound.toLowerCase() === lower) !== true) {
        throw new TypeError(`\`${name}\` is not among the route's \`bindHeaders\``);
      }
      return wire.headers.find(([field]) => field.toLowerCase() === lower)?.[1];
    },
    param: (name) => {
      const value = Object.hasOwn(params, name) ? params[name] : undefined;
      if (value === undefined) throw new Refusal('route_input_invalid', `no path parameter \`${name}\``);
      return value;
    },
  };
}
