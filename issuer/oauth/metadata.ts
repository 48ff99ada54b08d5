import { signatureAlgorithms } from '@bulla/verifier';
import { grantTypes } from './parameters.ts';

/** Where one account of this issuer is. */
export interface Endpoints {
  /** Issuer identifier (RFC 8414): `<publicUrl>/a/<account>`. */
  readonly issuer: string;
  readonly token: string;
}

export function endpointsOf(publicUrl: string, account: string): Endpoints {
  const issuer = `${publicUrl}/a/${account}`;
  return { issuer, token: `${issuer}/oauth/token` };
}

/** Authorization-server metadata (RFC 8414, RFC 8693, RFC 9449 section 5.1, RFC 9396 section 10). */
export function authorizationServerMetadata({ issuer, token }: Endpoints): Readonly<Record<string, unknown>> {
  return {
    issuer,
    token_endpoint: token,
    response_types_supported: [],
    grant_types_supported: [grantTypes.credentials, grantTypes.exchange],
    // `none`: in an exchange the subject token is the credential.
    token_endpoint_auth_methods_supported: [
      'private_key_jwt',
      'client_secret_basic',
      'client_secret_post',
      'none',
    ],
    token_endpoint_auth_signing_alg_values_supported: signatureAlgorithms,
    dpop_signing_alg_values_supported: signatureAlgorithms,
    authorization_details_types_supported: ['bulla'],
  };
}
