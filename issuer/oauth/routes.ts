import type { Nonces } from '@bulla/verifier';
import type { Context, Hono } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { Account } from '../account.ts';
import { readBody, requireMediaType } from '../http/body.ts';
import { type Problem, problemOf } from '../http/problem.ts';
import { authorizationServerMetadata } from './metadata.ts';
import { exchange } from './token.ts';

const maxFormBytes = 65_536;
const metadataSeconds = 300;

export type FindAccount = (c: Context) => Account;

/** Token endpoint and metadata of every account. */
export function addOauthRoutes(app: Hono, find: FindAccount, nonces: Nonces): void {
  const metadata = (c: Context): Response => {
    c.header('Cache-Control', `public, max-age=${metadataSeconds}`);
    return c.json(authorizationServerMetadata(find(c).endpoints));
  };
  app.get('/.well-known/oauth-authorization-server/a/:account', metadata);
  // Where OpenID Connect clients look first.
  app.get('/a/:account/.well-known/openid-configuration', metadata);
  app.post('/a/:account/oauth/token', async (c) => tokenResponse(c, find(c), nonces));
}

async function tokenResponse(c: Context, account: Account, nonces: Nonces): Promise<Response> {
  c.header('Cache-Control', 'no-store');
  c.header('DPoP-Nonce', nonces.issue());
  try {
    requireMediaType(c.req.raw, 'application/x-www-form-urlencoded');
    return c.json(
      await exchange(account, nonces, {
        body: await readBody(c.req.raw, maxFormBytes),
        authorization: c.req.header('authorization'),
        proof: c.req.header('dpop'),
      }),
    );
  } catch (error) {
    return tokenError(c, account, error);
  }
}

/** RFC 6749 section 5.2: says what to do about it, never what was sent. */
export function tokenError(c: Context, { ports, log }: Account, error: unknown): Response {
  const problem = problemOf(error);
  const level = problem.status >= 500 ? 'error' : 'info';
  ports.log({ level, event: 'token.refused', account: log.account, code: problem.code });
  if (problem.status === 429) {
    c.header('Retry-After', String(problem.details['retryAfterSeconds'] ?? 1));
  }
  // RFC 6749 section 5.2, for those who came with the field; stock clients read a challenge before the body.
  if (problem.status === 401 && c.req.header('authorization') !== undefined) {
    c.header('WWW-Authenticate', 'Basic realm="bulla"');
  }
  const body = {
    error: tokenErrorOf(problem),
    error_description: problem.detail,
    code: problem.code,
  };
  return c.json(body, problem.status as ContentfulStatusCode);
}

/** Some codes of the verifier come with an error of protected resources (RFC 6750); here the subject token is a parameter (RFC 8693 section 2.2.2). */
function tokenErrorOf({ oauth }: Problem): string {
  return oauth === undefined || oauth === 'invalid_token' || oauth === 'insufficient_scope'
    ? 'invalid_request'
    : oauth;
}
