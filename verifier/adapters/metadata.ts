import { signatureAlgorithms } from '../keys.ts';

/** RFC 9728: who protects this API. */
export interface ProtectedResource {
  /** The API's identifier: its audience, an https URL. */
  readonly resource: string;
  readonly authorization_servers: readonly string[];
  readonly [member: string]: unknown;
}

/** RFC 9728 section 3.1: the well-known path goes between host and path of the resource. */
export function resourceMetadataUrl(resource: string): URL {
  const url = new URL(resource);
  const path = url.pathname === '/' ? '' : url.pathname;
  return new URL(`/.well-known/oauth-protected-resource${path}`, url.origin);
}

/** The metadata document, with what this verifier adds to it. */
export function resourceMetadata(resource: ProtectedResource): string {
  return JSON.stringify({
    ...resource,
    bearer_methods_supported: ['header'],
    dpop_signing_alg_values_supported: signatureAlgorithms,
    dpop_bound_access_tokens_required: true,
  });
}
