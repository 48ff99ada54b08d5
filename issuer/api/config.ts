import { z } from 'zod';
import { type ApiScope, apiScopeNames } from './scopes.ts';

/** The Users API of one account: absent from the configuration, nothing of it is served. */
export interface UsersApiConfig {
  readonly delegateKeyFile: string;
  readonly clients: readonly ApiClientConfig[];
  readonly accessTokenSeconds: number;
  readonly auditDays: number;
}

/** A public key: what of a JWK decides. */
interface ApiClientJwk {
  readonly kty: string;
  readonly crv: string;
  readonly x: string;
  readonly y?: string | undefined;
}

/** A partner's program. */
export interface ApiClientConfig {
  readonly id: string;
  readonly secrets: readonly { readonly sha256: string; readonly notAfter?: number | undefined }[];
  readonly jwks?: { readonly keys: readonly ApiClientJwk[] } | undefined;
  readonly scopes: readonly ApiScope[];
  readonly perMinute: number;
}

const secret = z.strictObject({
  sha256: z.string().regex(/^[A-Za-z0-9_-]{43}$/u),
  notAfter: z.int().min(1).optional(),
});

/** `kid`, `use` and `alg` come with most JWKs and decide nothing here. */
const publicJwk = z
  .record(z.string(), z.unknown())
  .refine((jwk) => jwk['d'] === undefined, 'holds a private key')
  .pipe(z.object({ kty: z.string(), crv: z.string(), x: z.string(), y: z.string().optional() }));

const client = z
  .strictObject({
    id: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}$/u),
    secrets: z.array(secret).max(8).default([]),
    jwks: z.object({ keys: z.array(publicJwk).min(1).max(8) }).optional(),
    scopes: z.array(z.enum(apiScopeNames)).min(1),
    perMinute: z.int().min(1).max(60_000).default(600),
  })
  .refine(({ secrets, jwks }) => secrets.length > 0 || jwks !== undefined, 'has neither secret nor key');

/** Schema of `usersApi` in the configuration of an account. */
export const usersApiSchema: z.ZodType<UsersApiConfig | undefined> = z
  .strictObject({
    delegateKeyFile: z.string().min(1),
    clients: z
      .array(client)
      .max(256)
      .refine((list) => new Set(list.map(({ id }) => id)).size === list.length, 'a client is listed twice'),
    accessTokenSeconds: z.int().min(30).max(3600).default(600),
    auditDays: z.int().min(1).max(3660).default(400),
  })
  .optional()
  .describe(
    'Users API for partners ([users-api.md](spec/users-api.md)): `delegateKeyFile` (mode 0600; needs a lease with the operations it is to do: `principal.suspend`, `principal.resume`, `agent.suspend`, `agent.resume`, `key.revoke`), `clients` (`id`, `secrets` as in `clientSecrets` or `jwks` with public Ed25519 and P-256 keys, `scopes`, `perMinute`, default 600), `accessTokenSeconds` (default 600), `auditDays` (how long calls are remembered, default 400).',
  );
