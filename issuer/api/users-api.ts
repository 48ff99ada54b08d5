import type { Signer } from '@bulla/verifier';
import { encodeBase64url } from '@bulla/verifier/envelope';
import { IssuerRefusal } from '../errors.ts';
import { type Allowance, createRateLimit } from '../http/rate.ts';
import { bearerOf } from '../http/read-token.ts';
import type { IssuerPorts } from '../ports.ts';
import { loadSigner, secretHash } from '../secrets.ts';
import type { AccountStore } from '../store/store.ts';
import { addRow } from '../store/table.ts';
import { type ApiTokenRow, apiTokens } from '../store/users-api.ts';
import { AuditTrail } from './audit.ts';
import { type AuthenticateApiClient, createApiClients } from './client.ts';
import type { ApiClientConfig, UsersApiConfig } from './config.ts';
import type { Caller } from './endpoint.ts';
import type { ApiScope } from './scopes.ts';

/** The Users API of one account. */
export interface UsersApi {
  readonly config: UsersApiConfig;
  /** Signs the entries; its lease says what it may do. */
  readonly signer: Signer;
  readonly authenticate: AuthenticateApiClient;
  readonly limitClient: (client: ApiClientConfig) => Allowance;
  readonly trail: AuditTrail;
}

/** @throws {ConfigError} for a key that cannot be used. */
export function openUsersApi(config: UsersApiConfig, ports: IssuerPorts): UsersApi {
  const limits = new Map(
    config.clients.map(({ id, perMinute }) => [id, createRateLimit(perMinute, ports.now)]),
  );
  return {
    config,
    signer: loadSigner('usersApi.delegateKeyFile', config.delegateKeyFile),
    authenticate: createApiClients(config.clients, ports.now),
    limitClient: ({ id }) => {
      const limit = limits.get(id);
      if (limit === undefined) throw new IssuerRefusal('internal', 'client without a limit');
      return limit('');
    },
    trail: new AuditTrail({ ports }, config.auditDays),
  };
}

const tokenBytes = 32;

/** A new access token, and the row that lets it be known again. */
export function makeAccessToken(
  client: ApiClientConfig,
  scopes: readonly ApiScope[],
  { ports, notAfter }: { readonly ports: IssuerPorts; readonly notAfter: number },
): { readonly token: string; readonly row: ReturnType<typeof addRow> } {
  const token = encodeBase64url(ports.randomBytes(tokenBytes));
  const row: ApiTokenRow = {
    sha256: secretHash(token),
    client: client.id,
    scopes: scopes.join(' '),
    notAfter,
  };
  return { token, row: addRow(apiTokens, row) };
}

/**
 * The client whose access token this is. What the configuration took from the client since is gone from the token too.
 *
 * @throws {IssuerRefusal} `api_token_wrong`.
 */
export async function findCaller(
  { config }: UsersApi,
  store: AccountStore,
  authorization: string | undefined,
  now: number,
): Promise<Caller> {
  const token = bearerOf(authorization);
  const row = token === undefined ? undefined : await store.first(apiTokens, { sha256: secretHash(token) });
  const client = config.clients.find(({ id }) => id === row?.client);
  if (row === undefined || client === undefined || row.notAfter <= now) {
    throw new IssuerRefusal('api_token_wrong', 'access token is missing, unknown or expired');
  }
  const granted = new Set(row.scopes.split(' '));
  return { client, scopes: new Set(client.scopes.filter((scope) => granted.has(scope))) };
}
