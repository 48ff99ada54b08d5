import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JsonObject } from '@bulla/verifier/envelope';
import { githubClaims, OutsideIssuer } from './federation.ts';
import { published } from './outside-server.ts';

/**
 * A loopback endpoint with the form of GitHub Actions': a GET with `audience` and the job's bearer token gives `{"value"}`;
 * discovery and key set beside it. It is not GitHub's, and its key is the test's.
 */
export interface LoopbackGithub {
  readonly issuer: string;
  readonly outside: OutsideIssuer;
  /** What a job's environment holds. */
  readonly env: Readonly<Record<string, string>>;
  /** Requests for tokens, in order. */
  readonly requests: { readonly audience: string; readonly authorization: string }[];
  /** Answers in place of the token endpoint where it returns true. */
  respond: (request: IncomingMessage, response: ServerResponse) => boolean;
  /** Replaces claims. */
  claims: JsonObject;
  close(): Promise<void>;
}

export async function loopbackGithub(): Promise<LoopbackGithub> {
  const bearer = `job-${crypto.randomUUID()}-of-a-test`;
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const github: LoopbackGithub = {
    issuer,
    outside: new OutsideIssuer('RS256'),
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
    const { pathname } = new URL(request.url ?? '', issuer);
    if (pathname.startsWith('/.well-known/')) respondWith(response, metadataOf(github, pathname));
    else answerToken(github, bearer, request, response);
  });
  return github;
}

function metadataOf({ issuer, outside }: LoopbackGithub, pathname: string): object {
  return pathname.endsWith('openid-configuration')
    ? { issuer, jwks_uri: `${issuer}/.well-known/jwks`, response_types_supported: ['id_token'] }
    : { keys: [published(outside, 'k1')] };
}

function answerToken(
  github: LoopbackGithub,
  bearer: string,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { issuer, outside, claims } = github;
  const audience = new URL(request.url ?? '', issuer).searchParams.get('audience') ?? '';
  github.requests.push({ audience, authorization: request.headers.authorization ?? '' });
  if (github.respond(request, response)) return;
  if (request.headers.authorization !== `Bearer ${bearer}`) {
    response.writeHead(401).end();
    return;
  }
  const now = Math.floor(Date.now() / 1000);
  const value = outside.token(githubClaims(audience, now, { iss: issuer, ...claims }));
  respondWith(response, { value, count: 1 });
}

function respondWith(response: ServerResponse, document: object): void {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(document));
}
