import type { AwaitedApprovals } from './approvals.ts';
import type { ProvingConfig } from './config.ts';
import type { HeldEnvelope } from './envelope.ts';
import { AgentError } from './errors.ts';
import type { Holder } from './holder.ts';
import { parse, readCapped, reasonOf } from './http.ts';
import type { OriginNonces } from './nonces.ts';
import { type Prover, requireAllowedOrigin } from './prove.ts';

/** A request whose body is in memory, so that it can be digested and, if need be, sent again. */
interface BufferedRequest {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
  readonly body: Uint8Array<ArrayBuffer> | undefined;
  readonly approvals: readonly string[];
  readonly signal: AbortSignal;
}

const maxProblemBytes = 16_384;
const reserved = ['authorization', 'dpop', 'bulla-approval'];

/** `fetch`, and approvals of this exact request (see `RequestToProve.approvals`). */
export type ProvingFetch = (
  input: Parameters<typeof globalThis.fetch>[0],
  init?: RequestInit & { readonly approvals?: readonly string[] },
) => Promise<Response>;

/** What `agent.fetch` is made of. `fetch` here is the port; the one returned proves every request. */
export function createProvingFetch(
  config: ProvingConfig,
  holder: Holder,
  prover: Prover,
  nonces: OriginNonces,
  awaited: AwaitedApprovals,
): ProvingFetch {
  const send = async (request: BufferedRequest, held: HeldEnvelope): Promise<Response> => {
    const headers = new Headers(request.headers);
    const proof = prover({ ...request, headers: Object.fromEntries(request.headers) }, held);
    for (const [name, value] of Object.entries(proof)) headers.set(name, value);
    const { url, method, body, signal } = request;
    const init: RequestInit = { method, headers, redirect: 'manual', signal };
    const response = await config.ports.fetch(url, body === undefined ? init : { ...init, body });
    nonces.keep(url.origin, response.headers);
    return response;
  };
  return async (input, init) => {
    const request = await buffer(input, init);
    requireAllowedOrigin(config, request.url);
    const approved = request.approvals.length > 0;
    let held = await (approved ? awaited.holdFor(request.approvals) : holder.current());
    let response = await send(request, held);
    // Approvals are for the envelope that people were asked about, and for no other.
    if (!approved && (await isSuperseded(response))) {
      const renewed = await holder.replace(held);
      if (renewed !== undefined) {
        held = renewed;
        response = await send(request, held);
      }
    }
    if (isNonceDemand(response)) response = await send(request, held);
    if (response.status >= 300 && response.status < 400 && response.headers.has('location')) {
      if (redirectOf(input, init) !== 'manual') {
        const { status } = response;
        throw new AgentError('redirect_refused', 'the API redirects; call the new URL yourself', { status });
      }
    }
    return response;
  };
}

async function buffer(
  input: Parameters<ProvingFetch>[0],
  init: Parameters<ProvingFetch>[1],
): Promise<BufferedRequest> {
  const request = new Request(input, init);
  for (const name of reserved) {
    if (request.headers.has(name))
      throw new AgentError('header_reserved', `the request brings its own \`${name}\``);
  }
  const body = request.body === null ? undefined : new Uint8Array(await request.arrayBuffer());
  const { method, headers, signal } = request;
  return { url: new URL(request.url), method, headers, body, approvals: init?.approvals ?? [], signal };
}

function redirectOf(input: unknown, init: RequestInit | undefined): string | undefined {
  return init?.redirect ?? (input instanceof Request ? input.redirect : undefined);
}

/** RFC 9449 section 9. */
function isNonceDemand(response: Response): boolean {
  const challenge = response.headers.get('www-authenticate') ?? '';
  return (
    response.status === 401 &&
    /\berror="use_dpop_nonce"/u.test(challenge) &&
    response.headers.has('dpop-nonce')
  );
}

/** A problem (RFC 9457) that says the policy changed under the envelope: a new exchange cures it. */
async function isSuperseded(response: Response): Promise<boolean> {
  if (response.status !== 401 && response.status !== 403) return false;
  const type = response.headers.get('content-type') ?? '';
  if (!type.startsWith('application/problem+json')) return false;
  const problem = parse(await readCapped(response.clone(), maxProblemBytes));
  return reasonOf(problem) === 'policy_superseded';
}
