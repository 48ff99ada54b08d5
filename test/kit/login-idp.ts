import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { type Configuration, Provider } from 'oidc-provider';

export interface LoginIdpOptions {
  /** Public native clients: code and PKCE, no secret, any port of the loopback. Default `bulla-people`. */
  readonly clients?: readonly string[];
  /** Put into every ID token beside what the protocol asks for. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Answered instead of the provider's own, such as a token endpoint that misbehaves. */
  readonly before?: (path: string) => unknown;
}

/** An unmodified `oidc-provider` on loopback at which people log in, with its own login and consent pages. */
export interface LoginIdp {
  readonly issuer: string;
  /** What ID tokens are signed with, and its RFC 7638 thumbprint, as an admin pins it. */
  readonly jwk: JWK;
  readonly thumbprint: string;
  /**
   * What a browser does: opens the authorization URL, types the name and any password, agrees.
   *
   * @returns where the IdP sends the browser in the end: the client's redirect URI with the answer.
   */
  logIn(authorizationUrl: string, name: string): Promise<string>;
  /** An ID token by the code flow of a client, as the IdP gives it to whoever logs in. Default client: `bulla-people`. */
  idToken(name: string, nonce: string, clientId?: string): Promise<string>;
  /** A token that it never would give out, signed as it signs. */
  sign(claims: Readonly<Record<string, unknown>>): Promise<string>;
  close(): Promise<void>;
}

/** Close it in `afterEach`. */
export async function startLoginIdp(options: LoginIdpOptions = {}): Promise<LoginIdp> {
  let handle: RequestListener | undefined;
  const server = createServer((request, response) => {
    const instead = options.before?.(new URL(request.url ?? '/', 'http://x').pathname);
    if (instead === undefined) handle?.(request, response);
    else response.setHeader('content-type', 'application/json').end(JSON.stringify(instead));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const [privateJwk, jwk] = [await exportJWK(privateKey), await exportJWK(publicKey)];
  const { warn, info } = console;
  // It would tell the console that it keeps nothing beyond its own life, and that its pages are for development.
  Object.assign(console, { warn: () => undefined, info: () => undefined });
  const provider = new Provider(
    issuer,
    settings(issuer, options, { ...privateJwk, alg: 'ES256', use: 'sig', kid: 'login' }),
  );
  Object.assign(console, { warn, info });
  handle = provider.callback();
  return {
    issuer,
    jwk,
    thumbprint: await calculateJwkThumbprint(jwk),
    logIn: (authorizationUrl, name) => logIn(issuer, authorizationUrl, name),
    idToken: (name, nonce, clientId = 'bulla-people') => idToken(issuer, name, nonce, clientId),
    sign: (claims) =>
      new SignJWT({ ...claims }).setProtectedHeader({ alg: 'ES256', kid: 'login' }).sign(privateKey),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function settings(
  issuer: string,
  { clients = ['bulla-people'], claims = {} }: LoginIdpOptions,
  key: JWK,
): Configuration {
  const own = createHash('sha256').update(issuer).digest('base64url');
  return {
    jwks: { keys: [key] as never },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    clients: clients.map((id) => ({
      client_id: id,
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code'],
      response_types: ['code'],
      redirect_uris: ['http://127.0.0.1/callback', `http://127.0.0.1/callback/${own}`],
      id_token_signed_response_alg: 'ES256',
    })),
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    ttl: {
      AuthorizationCode: 60,
      Interaction: 600,
      Session: 600,
      Grant: 600,
      AccessToken: 600,
      IdToken: 600,
    },
    pkce: { required: () => true },
    conformIdTokenClaims: false,
    claims: { openid: ['sub', ...Object.keys(claims)] },
    findAccount: (_context, sub) => ({ accountId: sub, claims: () => ({ sub, ...claims }) }),
  };
}

async function idToken(issuer: string, name: string, nonce: string, clientId: string): Promise<string> {
  const verifier = randomBytes(32).toString('base64url');
  const redirect = 'http://127.0.0.1:1/callback';
  const url = new URL(`${issuer}/auth`);
  url.search = new URLSearchParams({
    client_id: clientId,
    response_type: 'code',
    scope: 'openid',
    nonce,
    state: 'x',
    redirect_uri: redirect,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  }).toString();
  const back = new URL(await logIn(issuer, url.href, name));
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: clientId,
      code: back.searchParams.get('code') ?? '',
      code_verifier: verifier,
      redirect_uri: redirect,
    }),
  });
  const { id_token: token } = (await response.json()) as { readonly id_token: string };
  return token;
}

async function logIn(issuer: string, authorizationUrl: string, name: string): Promise<string> {
  const cookies = new Map<string, string>();
  let url = authorizationUrl;
  let form: URLSearchParams | undefined;
  for (let step = 0; step < 12; step += 1) {
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([key, value]) => `${key}=${value}`).join('; ') },
      ...(form !== undefined && { method: 'POST', body: form }),
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [, key = '', value = ''] = /^([^=]+)=([^;]*)/u.exec(cookie) ?? [];
      cookies.set(key, value);
    }
    form = undefined;
    const location = response.headers.get('location');
    if (location === null) {
      const page = await response.text();
      const [, action] = /<form[^>]* action="([^"]+)"/u.exec(page) ?? [];
      const [, prompt] = /name="prompt" value="([^"]+)"/u.exec(page) ?? [];
      if (action === undefined || prompt === undefined) {
        throw new Error(`the IdP answered ${String(response.status)} without a form`);
      }
      url = new URL(action, issuer).href;
      form = new URLSearchParams(prompt === 'login' ? { prompt, login: name, password: 'any' } : { prompt });
    } else {
      url = new URL(location, url).href;
      if (!url.startsWith(`${issuer}/`)) return url;
    }
  }
  throw new Error('the IdP asks for ever');
}
