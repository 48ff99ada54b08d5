import type { Account } from '../account.ts';
import { IssuerRefusal } from '../errors.ts';
import { grantTypes, readClient, readScope, single } from '../oauth/parameters.ts';
import type { AuthenticatedApiClient } from './client.ts';
import type { ApiScope } from './scopes.ts';
import { makeAccessToken, type UsersApi } from './users-api.ts';

/** RFC 6749 section 5.1. */
interface ApiTokenResponse {
  readonly access_token: string;
  readonly token_type: 'Bearer';
  readonly expires_in: number;
  readonly scope: string;
}

/**
 * Gives a client an access token for the Users API (RFC 6749 section 4.4): the scopes that it asks for, or all it has.
 *
 * @param audiences issuer identifier and token endpoint URL of the Users API, for assertions.
 * @throws {IssuerRefusal} `parameter_invalid`, `grant_type_unsupported`, `client_unauthenticated`, `scope_refused`,
 * `rate_limited`, `store_unavailable`.
 */
export async function issueAccessToken(
  { store, ports }: Pick<Account, 'store' | 'ports'>,
  api: UsersApi,
  request: {
    readonly body: Uint8Array;
    readonly authorization: string | undefined;
    readonly audiences: readonly string[];
  },
): Promise<ApiTokenResponse> {
  const form = new URLSearchParams(new TextDecoder().decode(request.body));
  const grantType = single(form, 'grant_type');
  if (grantType === undefined) throw new IssuerRefusal('parameter_invalid', 'no `grant_type`');
  if (grantType !== grantTypes.credentials) {
    throw new IssuerRefusal('grant_type_unsupported', `\`grant_type\` is not \`${grantTypes.credentials}\``);
  }
  const authenticated = api.authenticate(readClient(form, request.authorization), request.audiences);
  const { client } = authenticated;
  // Not before: a stranger must not be able to spend the client's rate.
  api.limitClient(client);
  const scopes = scopesOf(authenticated, readScope(single(form, 'scope') ?? ''));
  await spend(store, authenticated, ports.now());
  const { accessTokenSeconds } = api.config;
  const notAfter = Math.floor(ports.now()) + accessTokenSeconds;
  const { token, row } = makeAccessToken(client, scopes, { ports, notAfter });
  const remembered = api.trail.rows({
    client: client.id,
    operation: 'issueToken',
    target: null,
    dryRun: false,
    status: 200,
    code: null,
    entry: null,
  });
  await store.writeRows([row, ...remembered]);
  return {
    access_token: token,
    token_type: 'Bearer',
    expires_in: accessTokenSeconds,
    scope: scopes.join(' '),
  };
}

function scopesOf({ client }: AuthenticatedApiClient, asked: readonly string[]): readonly ApiScope[] {
  if (asked.length === 0) return client.scopes;
  const granted = client.scopes.filter((scope) => asked.includes(scope));
  if (granted.length !== asked.length) {
    throw new IssuerRefusal('scope_refused', '`scope` names what this client may not have');
  }
  return granted;
}

async function spend(
  store: Account['store'],
  { spend: used }: AuthenticatedApiClient,
  now: number,
): Promise<void> {
  if (used === undefined) return;
  const spent = await store.useOnce([used.useKey], used.expiresAt, now);
  if (spent.length > 0) {
    throw new IssuerRefusal('client_unauthenticated', 'assertion was used before: make a new one');
  }
}
