import { createHash } from 'node:crypto';
import type { Ports } from '@bulla/verifier';
import { isJsonObject, type OutsideJwk, parseOutsideJwk, parseOutsideToken } from '@bulla/verifier/envelope';
import * as oauth from 'oauth4webapi';
import { CliError } from './errors.ts';

export interface LoginRequest {
  /** The IdP's issuer identifier: https, or http on this machine. */
  readonly issuer: string;
  /** Our name there: a public native client (RFC 8252), no secret. */
  readonly clientId: string;
  /** Loopback address that the IdP sends the browser back to: this one or, see {@link ownCallback}, one below it. */
  readonly redirectUri: string;
  /** What the ID token must repeat: it binds the token to a key or a session that only this process has. */
  readonly nonce: string;
  readonly ports: Ports;
}

/** An ID token whose signature, issuer, audience, times and nonce hold, and the key of the IdP that signed it. */
interface LoggedIn {
  readonly idToken: string;
  readonly jwk: OutsideJwk;
}

/**
 * Path below the loopback to which an IdP sends people back that does not say in its answers who it is (RFC 9207): one of its own,
 * registered there, so that a code of one IdP is never taken to another. Whoever chooses the IdP, an issuer in the wrong hands, could else
 * send people on to theirs with a nonce of its own, be brought the code, and have a log-in for its own key (RFC 9700 section 4.4).
 *
 * @param issuer the IdP's issuer identifier, as admins wrote it into the log.
 */
export function ownCallback(issuer: string): string {
  return `/callback/${createHash('sha256').update(issuer).digest('base64url')}`;
}

/** Whether an answer to a log-in comes in at this path. */
export function isCallback(path: string): boolean {
  return path === '/callback' || path.startsWith('/callback/');
}

/** A log-in under way. */
export interface Login {
  /** Where the browser goes. */
  readonly url: string;
  /**
   * Takes the answer that the browser brought back to the redirect URI, redeems it, checks the ID token.
   *
   * @throws {CliError} `login_refused`, `login_unreachable`.
   */
  finish(answer: URL): Promise<LoggedIn>;
}

const timeoutMilliseconds = 15_000;
const maxKeys = 64;

/**
 * Begins a log-in with OpenID Connect: authorization code, PKCE (S256), `state`, `nonce`, scope `openid` and nothing
 * else, so that the ID token tells no more of the person than it must.
 *
 * Does NOT ask whether the log trusts the IdP, nor whose account was used: the issuer and every verifier do.
 *
 * @throws {CliError} `login_unreachable`, `login_refused`.
 */
export async function startLogin(request: LoginRequest): Promise<Login> {
  const { ports, clientId, nonce } = request;
  const issuer = issuerUrl(request.issuer);
  const options = {
    [oauth.customFetch]: (url: string, init: oauth.CustomFetchOptions<string, unknown>) =>
      ports.fetch(url, {
        method: init.method,
        headers: init.headers,
        redirect: init.redirect,
        signal: AbortSignal.timeout(timeoutMilliseconds),
        ...(init.body instanceof URLSearchParams && { body: init.body }),
      }),
    // Only where the IdP is on this machine, as in development: see `issuerUrl`.
    [oauth.allowInsecureRequests]: issuer.protocol === 'http:',
  };
  const server = await asked(async () =>
    oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, options)),
  );
  const redirectUri = redirectFor(server, request);
  const client: oauth.Client = { client_id: clientId };
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const challenge = await oauth.calculatePKCECodeChallenge(verifier);
  return {
    url: authorizationUrl(server, {
      client_id: clientId,
      response_type: 'code',
      scope: 'openid',
      redirect_uri: redirectUri,
      state,
      nonce,
      code_challenge: challenge,
      code_challenge_method: 'S256',
    }),
    finish: (answer) =>
      asked(async () => {
        if (answer.origin + answer.pathname !== redirectUri) {
          throw new CliError('login_refused', 'the answer is not that of the IdP that was asked');
        }
        const parameters = oauth.validateAuthResponse(server, client, answer, state);
        const response = await oauth.authorizationCodeGrantRequest(
          server,
          client,
          oauth.None(),
          parameters,
          redirectUri,
          verifier,
          options,
        );
        const { id_token: idToken } = await oauth.processAuthorizationCodeResponse(server, client, response, {
          expectedNonce: nonce,
          requireIdToken: true,
        });
        if (idToken === undefined) throw new CliError('login_refused', 'the IdP gave no ID token');
        return { idToken, jwk: await signingKey(server, idToken, ports) };
      }),
  };
}

/** An IdP that says that it names itself must: `validateAuthResponse` takes no answer without, nor with another name. */
function redirectFor(server: oauth.AuthorizationServer, { issuer, redirectUri }: LoginRequest): string {
  return server.authorization_response_iss_parameter_supported === true
    ? redirectUri
    : new URL(ownCallback(issuer), redirectUri).href;
}

/** What travels to the IdP is worth an identity: https, or it stays on this machine. @throws {CliError} `login_refused`. */
function issuerUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const local = url?.protocol === 'http:' && ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  if (url === undefined || (url.protocol !== 'https:' && !local)) {
    throw new CliError('login_refused', 'the IdP is not reached over https');
  }
  return url;
}

function authorizationUrl(server: oauth.AuthorizationServer, parameters: Record<string, string>): string {
  const endpoint = server.authorization_endpoint ?? '';
  const origin = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (origin === undefined || origin.protocol !== new URL(server.issuer).protocol) {
    throw new CliError('login_refused', 'the IdP names no address to log in at');
  }
  for (const [name, value] of Object.entries(parameters)) origin.searchParams.set(name, value);
  return origin.href;
}

/** The published key that the token's signature verifies under; the log takes no other. */
async function signingKey(
  { jwks_uri: uri }: oauth.AuthorizationServer,
  idToken: string,
  ports: Ports,
): Promise<OutsideJwk> {
  const token = parseOutsideToken(idToken);
  const response = await ports.fetch(uri ?? '', {
    redirect: 'error',
    signal: AbortSignal.timeout(timeoutMilliseconds),
  });
  const set: unknown = await response.json();
  const keys: readonly unknown[] = isJsonObject(set) && Array.isArray(set['keys']) ? set['keys'] : [];
  for (const jwk of keys.slice(0, maxKeys)) {
    if (!isJsonObject(jwk) || (token.keyId !== undefined && jwk['kid'] !== token.keyId)) continue;
    try {
      const key = parseOutsideJwk(jwk);
      if (!key.algorithms.includes(token.algorithm)) continue;
      if (key.verify(token.algorithm, token.signingInput, token.signature)) return key.jwk;
    } catch {
      // A key of a kind that no log can pin.
    }
  }
  throw new CliError('login_refused', 'the ID token is not signed by a key that the IdP publishes');
}

/** What an IdP says goes into no message: it may quote what was sent. */
async function asked<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof CliError) throw cause;
    if (cause instanceof oauth.AuthorizationResponseError || cause instanceof oauth.ResponseBodyError) {
      throw new CliError('login_refused', 'the IdP refused to log you in', {
        cause,
        reason: word(cause.error),
      });
    }
    if (
      cause instanceof oauth.OperationProcessingError ||
      (cause instanceof Error && cause.name === 'Refusal')
    ) {
      throw new CliError('login_refused', 'what the IdP answered does not hold', { cause });
    }
    throw new CliError('login_unreachable', 'the IdP did not answer', { cause });
  }
}

function word(text: string): string | undefined {
  return /^[a-z_]{1,64}$/u.test(text) ? text : undefined;
}
