import { z } from 'zod';

/** Who administers this issuer over HTTP; what each field does is said once, in its schema below. */
export interface OperatorsConfig {
  readonly tokens: readonly { readonly name: string; readonly sha256: string }[];
  readonly login?: OperatorLogin | undefined;
}

/** At which IdP operators log in, and which of its people they are. */
export interface OperatorLogin {
  readonly issuer: string;
  readonly clientId: string;
  readonly subjects: readonly string[];
  readonly sessionSeconds: number;
  readonly jwksUrl?: string | undefined;
  readonly jwksFile?: string | undefined;
  readonly dangerouslyAllowPrivateAddresses: boolean;
}

const token = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}$/u),
  sha256: z.string().regex(/^[A-Za-z0-9_-]{43}$/u),
});

const login = z.strictObject({
  issuer: z.url({ protocol: /^https?$/u }),
  clientId: z.string().min(1).max(256),
  subjects: z.array(z.string().min(1).max(256)).min(1).max(100),
  sessionSeconds: z.int().min(60).max(86_400).default(3600),
  jwksUrl: z.url({ protocol: /^https?$/u }).optional(),
  jwksFile: z.string().min(1).optional(),
  dangerouslyAllowPrivateAddresses: z.boolean().default(false),
});

/** `operators` of an account. */
export const operatorsSchema: z.ZodType<OperatorsConfig | undefined> = z
  .strictObject({ tokens: z.array(token).max(100).default([]), login: login.optional() })
  .optional()
  .describe(
    'Who administers connections and the directory over HTTP (`bulla operator`); none of them gains anything in the log. `tokens`: a name and base64url SHA-256 of a token, for programs. `login`, for people: `issuer` of an OpenID Connect IdP, `clientId` (public native client with PKCE, redirect to the loopback), `subjects` (the `sub` of each operator), `sessionSeconds` (default 3600), optional `jwksUrl` or `jwksFile` (default: discovery), `dangerouslyAllowPrivateAddresses` as for `federations`. Absent: nobody.',
  );
