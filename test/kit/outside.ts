import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createSigner, generatePrivateJwk, type PublicJwk, type Signer } from '@bulla/verifier';
import { type JsonObject, signJws } from '@bulla/verifier/envelope';

/** An outside issuer whose key the test holds: it signs whatever it is told. */
export interface OutsideIssuer {
  readonly signer: Signer;
  readonly jwk: PublicJwk;
  readonly thumbprint: string;
  token(claims: JsonObject): string;
}

export function outsideIssuer(): OutsideIssuer {
  const signer = createSigner(generatePrivateJwk('P-256'));
  const { jwk, thumbprint } = signer.publicKey;
  return {
    signer,
    jwk,
    thumbprint,
    token: (claims) => signJws('JWT', { kid: thumbprint }, claims, signer),
  };
}

/** Claims of a GitHub Actions token as a push to `main` has them. */
export function githubClaims(issuer: string, audience: string, more: JsonObject = {}): JsonObject {
  const now = Math.floor(Date.now() / 1000);
  return {
    iss: issuer,
    aud: audience,
    sub: 'repo:acme/orders:ref:refs/heads/main',
    repository: 'acme/orders',
    repository_id: '74',
    ref: 'refs/heads/main',
    event_name: 'push',
    job_workflow_ref: 'acme/orders/.github/workflows/deploy.yml@refs/heads/main',
    run_id: '42',
    iat: now,
    nbf: now,
    exp: now + 300,
    jti: crypto.randomUUID(),
    ...more,
  };
}

/**
 * A loopback endpoint with the form of GitHub's: a GET with `audience` and the job's bearer token gives `{"value"}`. It is
 * not GitHub's, and its key is the test's.
 */
export interface LoopbackGithub extends OutsideIssuer {
  readonly issuer: string;
  /** What a job's environment holds. */
  readonly env: Readonly<Record<string, string>>;
  readonly requests: { readonly audience: string; readonly authorization: string }[];
  /** Answers in place of the endpoint where it returns true. */
  respond: (request: IncomingMessage, response: ServerResponse) => boolean;
  claims: JsonObject;
  close(): Promise<void>;
}

export async function loopbackGithub(): Promise<LoopbackGithub> {
  const outside = outsideIssuer();
  const bearer = `job-${crypto.randomUUID()}-of-a-test`;
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const github: LoopbackGithub = {
    ...outside,
    issuer,
    env: {
      ACTIONS_ID_TOKEN_REQUEST_URL: `${issuer}/token?api-version=2.0`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: bearer,
    },
    requests: [],
    respond: () => false,
    claims: {},
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  server.on('request', (request, response) => {
    const audience = new URL(request.url ?? '', issuer).searchParams.get('audience') ?? '';
    github.requests.push({ audience, authorization: request.headers.authorization ?? '' });
    if (github.respond(request, response)) return;
    if (request.headers.authorization !== `Bearer ${bearer}`) {
      response.writeHead(401).end();
      return;
    }
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({ value: outside.token(githubClaims(issuer, audience, github.claims)), count: 1 }),
    );
  });
  return github;
}
