import type { Refusal, RouteOptions, WireRequest } from '@bulla/verifier';
import {
  createNonces,
  createSigner,
  generatePrivateJwk,
  memoryReplay,
  type Nonces,
  type ReplayStore,
  type Signer,
} from '@bulla/verifier';
import { checkProof, createProof, createPublicOrigins, readRequest } from '@bulla/verifier/envelope';
import type { Decider } from '@bulla/verifier/fetch';

/** The time at which everything in these tests happens. */
export const now = 1_800_000_000;
export const origin = 'https://api.example';
export const envelope = 'root~block';

export interface TestGrant {
  readonly action: string;
  readonly resource: string;
}

export interface ProofWorld {
  readonly alice: Signer;
  readonly verifier: Decider<TestGrant> & { readonly nonces: Nonces };
  readonly decided: { readonly wire: WireRequest; readonly options: RouteOptions | undefined }[];
}

export interface ProofWorldOptions {
  readonly origins?: readonly string[];
  readonly replay?: ReplayStore;
}

/** A verifier that checks proofs for real and believes every envelope: for tests of proof and adapters alone. */
export function createProofWorld(options: ProofWorldOptions = {}): ProofWorld {
  const alice = createSigner(generatePrivateJwk());
  const origins = createPublicOrigins(options.origins ?? [origin]);
  const replay = options.replay ?? memoryReplay({ processes: 1, startedAt: now - 3600 });
  const nonces = createNonces({ now: () => now });
  const decided: { wire: WireRequest; options: RouteOptions | undefined }[] = [];
  return {
    alice,
    decided,
    verifier: {
      nonces,
      decide: async (wire, access, route) => {
        decided.push({ wire, options: route });
        const checked = checkProof(readRequest(wire, origins), {
          holder: alice.publicKey,
          now,
          route: route ?? {},
          nonces,
        });
        await replay.claim(checked, now);
        const { id } = await access.resource();
        if (id === 'forbidden') {
          return {
            allowed: false,
            reasons: [{ layer: 'admin', policy: 'no', reason: 'not yours' }],
          };
        }
        return { allowed: true, grant: { action: access.action, resource: id } };
      },
    },
  };
}

export interface ProvenRequest {
  readonly method?: string;
  readonly url: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly nonce?: string;
}

/** Header fields of a request that alice proves. */
export function provenHeaders(signer: Signer, request: ProvenRequest): Record<string, string> {
  const headers = {
    ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
    ...request.headers,
  };
  const proof = createProof({
    method: request.method ?? 'GET',
    url: request.url,
    headers,
    envelope,
    signer,
    now,
    ...(request.body === undefined ? {} : { body: request.body }),
    ...(request.nonce === undefined ? {} : { nonce: request.nonce }),
  });
  return { ...headers, authorization: `DPoP ${envelope}`, dpop: proof };
}

/** The refusal's code, or `accepted`. */
export async function codeOf(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    if (error instanceof Error && error.name === 'Refusal') return (error as Refusal).code;
    throw error;
  }
  return 'accepted';
}
