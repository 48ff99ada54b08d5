import { createHash, timingSafeEqual } from 'node:crypto';
import { type PublicKey, parsePublicJwk, Refusal } from '@bulla/verifier';
import { ConfigError, IssuerRefusal } from '../errors.ts';
import { type CheckedAssertion, checkAssertion } from '../oauth/assertion.ts';
import type { AssertionGrant, SecretGrant } from '../oauth/parameters.ts';
import type { ApiClientConfig } from './config.ts';

/** A partner's program that has shown who it is. */
export interface AuthenticatedApiClient {
  readonly client: ApiClientConfig;
  /** Of an assertion, to be taken in the store: it works once. */
  readonly spend?: Pick<CheckedAssertion, 'useKey' | 'expiresAt'>;
}

/**
 * Authenticates a client of the Users API.
 *
 * @throws {IssuerRefusal} `client_unauthenticated`, and nothing about which of id, secret and key was wrong.
 */
export type AuthenticateApiClient = (
  given: AssertionGrant | SecretGrant,
  audiences: readonly string[],
) => AuthenticatedApiClient;

/**
 * Clients as the configuration lists them. Every secret's hash is compared, each in constant time, so that the answer's
 * timing says nothing about them. Does NOT slow guesses down: a secret of 256 bits cannot be guessed, and a lock that
 * strangers can close would keep partners from suspending anybody.
 *
 * @throws {ConfigError} for a key that cannot be used.
 */
export function createApiClients(
  clients: readonly ApiClientConfig[],
  now: () => number,
): AuthenticateApiClient {
  const byId = new Map(clients.map((client) => [client.id, { client, keys: keysOf(client) }]));
  const secrets = clients.flatMap(({ id, secrets: list }) =>
    list.map(({ sha256, notAfter = Infinity }) => ({ id, hash: Buffer.from(sha256, 'base64url'), notAfter })),
  );
  const bySecret = ({ clientId, secret }: SecretGrant): AuthenticatedApiClient => {
    const hash = createHash('sha256').update(secret).digest();
    const matches = secrets.filter((known) => {
      const same = timingSafeEqual(known.hash, hash);
      return same && known.id === clientId && known.notAfter > now();
    });
    const found = byId.get(clientId);
    if (matches.length === 0 || found === undefined) throw refused();
    return { client: found.client };
  };
  return (given, audiences) => {
    if (given.grant === 'secret') return bySecret(given);
    const { useKey, expiresAt, clientId } = checkAssertion(given.assertion, {
      audiences,
      clientId: given.clientId,
      now: now(),
      keysOf: (id) => byId.get(id)?.keys ?? [],
    });
    const found = byId.get(clientId);
    if (found === undefined) throw refused();
    return { client: found.client, spend: { useKey: `api-${useKey}`, expiresAt } };
  };
}

function keysOf({ id, jwks }: ApiClientConfig): PublicKey[] {
  try {
    return (jwks?.keys ?? []).map(({ kty, crv, x, y }) =>
      parsePublicJwk({ kty, crv, x, ...(y !== undefined && { y }) }),
    );
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause;
    throw new ConfigError(`\`usersApi.clients\`: a key of \`${id}\` is neither a good Ed25519 nor P-256 key`);
  }
}

function refused(): IssuerRefusal {
  return new IssuerRefusal(
    'client_unauthenticated',
    'client is unknown, or its secret is wrong or has expired',
  );
}
