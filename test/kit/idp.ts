import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { calculateJwkThumbprint, type JWK } from 'jose';
import { type JWKS, Provider } from 'oidc-provider';

/** A client of the IdP: an agent as it is before it knows of us. */
export interface IdpClient {
  readonly id: string;
  /** Default: random. */
  readonly secret?: string;
  /** Put into each access token: `owner`, `agent_type`, `azp`, … */
  readonly claims?: Readonly<Record<string, unknown>>;
}

export interface IdpOptions {
  readonly clients?: readonly IdpClient[];
  /** Scopes that a client may ask for at any resource. Default `read write`. */
  readonly scopes?: string;
  /** The key that tokens are signed with. Default `RS256`. */
  readonly algorithm?: IdpAlgorithm;
  /** Of an access token. Default 600. */
  readonly lifetimeSeconds?: number;
}

type IdpAlgorithm = 'RS256' | 'PS256' | 'ES256' | 'ES384' | 'EdDSA';

/** An unmodified `oidc-provider` on loopback. */
export interface Idp {
  readonly issuer: string;
  readonly tokenEndpoint: string;
  readonly jwksUri: string;
  /** The key that tokens are signed with, and its RFC 7638 thumbprint, as an admin pins it. */
  readonly jwk: JWK;
  readonly thumbprint: string;
  secretOf(clientId: string): string;
  /** An access token (RFC 9068 JWT) by `client_credentials`. @throws {Error} where the IdP refuses. */
  accessToken(clientId: string, request?: IdpTokenRequest): Promise<string>;
  close(): Promise<void>;
}

interface IdpTokenRequest {
  /** The token's `aud`. Default `https://issuer.example`. */
  readonly resource?: string;
  readonly scope?: string;
}

const autonomousAgent: IdpClient = {
  id: 'reports-agent',
  claims: { owner: 'alice@corp.example', agent_type: 'autonomous', azp: 'reports-agent' },
};

/**
 * Starts an IdP whose M2M access tokens have the shape of Auth0's: `client_credentials` with a client secret, JWTs whose
 * `aud` is the `resource` asked for, with `azp`, `scope` and the client's own claims. Close it in `afterEach`.
 */
export async function startIdp(options: IdpOptions = {}): Promise<Idp> {
  const { clients = [autonomousAgent], algorithm = 'RS256' } = options;
  let handle: RequestListener | undefined;
  const server = createServer((request, response) => handle?.(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  const secrets = new Map(
    clients.map(({ id, secret }) => [id, secret ?? randomBytes(32).toString('base64url')]),
  );
  const { privateJwk, jwk } = signingKey(algorithm);
  // It would warn on the console that it keeps nothing beyond its own life.
  const { warn } = console;
  console.warn = () => undefined;
  const provider = createProvider(issuer, { ...options, clients, algorithm }, secrets, {
    keys: [privateJwk],
  });
  console.warn = warn;
  handle = provider.callback();
  const tokenEndpoint = `${issuer}/token`;
  return {
    issuer,
    tokenEndpoint,
    jwksUri: `${issuer}/jwks`,
    jwk,
    thumbprint: await calculateJwkThumbprint(jwk),
    secretOf: (clientId) => secrets.get(clientId) ?? '',
    accessToken: (clientId, request) =>
      askForToken(tokenEndpoint, clientId, secrets.get(clientId) ?? '', request),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function createProvider(
  issuer: string,
  options: Required<Pick<IdpOptions, 'clients' | 'algorithm'>> & IdpOptions,
  secrets: ReadonlyMap<string, string>,
  jwks: JWKS,
): Provider {
  const { clients, scopes = 'read write', algorithm, lifetimeSeconds = 600 } = options;
  return new Provider(issuer, {
    jwks,
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    clients: clients.map(({ id }) => ({
      client_id: id,
      client_secret: secrets.get(id) ?? '',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      id_token_signed_response_alg: algorithm,
    })),
    clientAuthMethods: ['client_secret_basic', 'client_secret_post'],
    enabledJWA: { idTokenSigningAlgValues: [algorithm] },
    clientDefaults: { id_token_signed_response_alg: algorithm },
    ttl: { ClientCredentials: lifetimeSeconds },
    scopes: scopes.split(' '),
    extraTokenClaims: (_ctx, token) => ({ ...clients.find(({ id }) => id === token.clientId)?.claims }),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'https://issuer.example',
        getResourceServerInfo: (_ctx, resource) => ({
          scope: scopes,
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: lifetimeSeconds,
          jwt: { sign: { alg: algorithm } },
        }),
      },
    },
  });
}

function signingKey(alg: IdpAlgorithm): { readonly privateJwk: JWK; readonly jwk: JWK } {
  const encoding = { publicKeyEncoding: { format: 'jwk' }, privateKeyEncoding: { format: 'jwk' } } as const;
  const pair = (): { readonly privateKey: unknown; readonly publicKey: unknown } => {
    if (alg === 'EdDSA') return generateKeyPairSync('ed25519', encoding as never);
    if (alg === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256', ...encoding } as never);
    if (alg === 'ES384') return generateKeyPairSync('ec', { namedCurve: 'P-384', ...encoding } as never);
    return generateKeyPairSync('rsa', { modulusLength: 2048, ...encoding } as never);
  };
  const { privateKey, publicKey } = pair();
  return { privateJwk: { ...(privateKey as JWK), alg, use: 'sig', kid: 'idp' }, jwk: publicKey as JWK };
}

async function askForToken(
  endpoint: string,
  clientId: string,
  secret: string,
  { resource = 'https://issuer.example', scope }: IdpTokenRequest = {},
): Promise<string> {
  const form = { grant_type: 'client_credentials', resource, ...(scope !== undefined && { scope }) };
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${clientId}:${secret}`).toString('base64')}` },
    body: new URLSearchParams(form),
  });
  const { access_token } = (await response.json()) as { readonly access_token?: string };
  if (access_token === undefined) throw new Error(`the IdP answered ${String(response.status)}`);
  return access_token;
}
