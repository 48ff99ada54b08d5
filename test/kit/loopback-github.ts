import type { IncomingMessage, ServerResponse } from 'node:http';
import type { JsonObject } from '@bulla/verifier/envelope';
import { githubClaims, OutsideIssuer } from './federation.ts';
import { OutsideServer } from './outside-server.ts';

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
  const outside = new OutsideIssuer('RS256');
  const server = await OutsideServer.start([outside]);
  const issuer = server.url;
  const github: LoopbackGithub = {
    issuer,
    outside,
    env: {
      ACTIONS_ID_TOKEN_REQUEST_URL: `${issuer}/token?api-version=2.0`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: bearer,
    },
    requests: [],
    respond: () => false,
    claims: {},
    close: async () => server.close(),
  };
  server.beside.set('/token', (request, response) => answerToken(github, bearer, request, response));
  return github;
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
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ value, count: 1 }));
}
