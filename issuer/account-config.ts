import { z } from 'zod';
import { type UsersApiConfig, usersApiSchema } from './api/config.ts';
import { type EventStreamConfig, eventStreamSchema, eventStreamsMeaning } from './events/config.ts';
import { type InvitationsConfig, invitationsSchema } from './invitations/config.ts';
import { type OperatorsConfig, operatorsSchema } from './operators/config.ts';
import { type ConnectionConfig, connectionSchema } from './provisioning/connection.ts';

/** A checked configuration of one account; what each field does is said once, in its schema below. */
export interface AccountConfig {
  readonly account: string;
  readonly logKeyFile: string;
  readonly mintKeyFile: string;
  readonly delegateKeyFile?: string | undefined;
  readonly readTokens: readonly { readonly name: string; readonly sha256: string }[];
  readonly envelopeLifetimeSeconds: number;
  readonly envelopeDepth: number;
  readonly minLeaseSeconds: number;
  readonly requireDpopNonce: boolean;
  readonly tokensPerMinute: number;
  readonly tokensPerClientPerMinute: number;
  readonly clientSecrets: readonly ClientSecretConfig[];
  readonly federations: readonly FederationConfig[];
  readonly connections: readonly ConnectionConfig[];
  readonly usersApi?: UsersApiConfig | undefined;
  readonly eventStreams: readonly EventStreamConfig[];
  readonly invitations?: InvitationsConfig | undefined;
  readonly operators?: OperatorsConfig | undefined;
  readonly keySetTimeoutSeconds: number;
  readonly keySetCooldownSeconds: number;
}

/** A secret that an agent may exchange. */
interface ClientSecretConfig {
  readonly agent: string;
  /** base64url SHA-256 of the secret's text. */
  readonly sha256: string;
  /** Unix seconds from which on it is void. */
  readonly notAfter?: number | undefined;
}

/** Where the keys of an outside issuer are found; which of them count is said by the log. */
export interface FederationConfig {
  /** Of `federation.trust`. */
  readonly name: string;
  readonly jwksUrl?: string | undefined;
  readonly jwksFile?: string | undefined;
  readonly dangerouslyAllowPrivateAddresses: boolean;
}

const sha256 = z.string().regex(/^[A-Za-z0-9_-]{43}$/u);

const clientSecret = z.strictObject({
  agent: z.string().regex(/^agt_[0-9a-f]{32}$/u),
  sha256,
  notAfter: z.int().min(1).optional(),
});

const federation = z
  .strictObject({
    name: z.string().min(1).max(64),
    jwksUrl: z.url({ protocol: /^https?$/u }).optional(),
    jwksFile: z.string().min(1).optional(),
    dangerouslyAllowPrivateAddresses: z.boolean().default(false),
  })
  .refine(({ jwksUrl, jwksFile }) => jwksUrl === undefined || jwksFile === undefined, 'has a URL and a file');

const account = z
  .strictObject({
    account: z
      .string()
      .regex(/^acct_[A-Za-z0-9_-]{43}$/u)
      .describe('Account id. The store must hold it already (`initAccount`), or the issuer does not start.'),
    logKeyFile: z
      .string()
      .min(1)
      .describe(
        'File (mode 0600) with the private JWK that signs checkpoints; must be the log key of the account. Whoever has it can show readers a false or old log.',
      ),
    mintKeyFile: z
      .string()
      .min(1)
      .describe(
        'File (mode 0600) with the private JWK that signs envelopes; needs a lease with `capability.mint`. Whoever has it can mint within that lease.',
      ),
    delegateKeyFile: z
      .string()
      .min(1)
      .optional()
      .describe(
        'File (mode 0600) with the private JWK that wraps requests of people and owners; needs a lease with `request.relay`, and with `principal.activate` where people may confirm themselves on the issuer’s word alone. Default: the mint key.',
      ),
    readTokens: z
      .array(
        z.strictObject({
          name: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}$/u),
          sha256,
        }),
      )
      .default([])
      .describe(
        'Who may read entries, tiles and policy sets and post entries and requests: a name that tells them apart here, and base64url SHA-256 of the token. Empty: nobody.',
      ),
    envelopeLifetimeSeconds: z
      .int()
      .min(10)
      .max(3600)
      .default(300)
      .describe(
        'Life of a minted envelope, seconds; the lease may shorten it. Longer means fewer exchanges.',
      ),
    envelopeDepth: z
      .int()
      .min(0)
      .max(16)
      .default(8)
      .describe(
        'How many blocks holders may append to a minted envelope. 0: it cannot be narrowed or handed on.',
      ),
    minLeaseSeconds: z
      .int()
      .min(0)
      .max(86_400)
      .default(30)
      .describe(
        'Minting stops, and `/healthz` fails, when the mint lease has fewer seconds left. Higher means earlier notice.',
      ),
    requireDpopNonce: z
      .boolean()
      .default(false)
      .describe(
        'Whether the token endpoint demands a nonce of its own in each DPoP proof. True costs a client one more round trip now and then.',
      ),
    tokensPerMinute: z
      .int()
      .min(1)
      .default(6000)
      .describe('Token requests that one account may make per minute; above it the answer is 429.'),
    tokensPerClientPerMinute: z
      .int()
      .min(1)
      .default(120)
      .describe('Token requests that one client may make per minute; above it the answer is 429.'),
    clientSecrets: z
      .array(clientSecret)
      .max(1000)
      .default([])
      .describe(
        'Client secrets that agents may exchange: `agent` (its id in the log), `sha256` (base64url, of the secret), optional `notAfter` (Unix seconds). Two lines for one agent while a secret is replaced. `bulla secret new` makes one. What comes of them is `vouched`: good only for actions that an admin listed for the agent.',
      ),
    federations: z
      .array(federation)
      .max(64)
      .default([])
      .describe(
        'Where the key sets of outside issuers are, by the `name` of `federation.trust`: `jwksUrl` (https), or `jwksFile` (read again when it is needed), or neither: discovery at the issuer itself, which profile `spiffe` does not have. `dangerouslyAllowPrivateAddresses` (default false) lets this issuer connect to addresses inside your network, and over http to this machine. Which keys count is pinned in the log, not here.',
      ),
    connections: z
      .array(connectionSchema)
      .max(64)
      .default([])
      .describe(
        'IdPs that provision people over SCIM: `name`, `delegateKeyFile` (private JWK, mode 0600, with a lease for this connection, shared with nothing else), `groups` (SCIM `displayName` -> group of the log; any other group grants nothing), `attributes` (SCIM path, such as `userType` or `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department` -> attribute of the log, which keeps it for ever: map no names), optional `login` (`trust`: name of `login.trust`, `from`: `externalId` or `userName`, whichever the claim of that IdP equals), optional `defaultDomain` (of people whose `userName` is no address), `welcome` (default true: send invitations), `perMinute` (requests, default 60000; above it the answer is 429). Tokens: `bulla scim token new`.',
      ),
    usersApi: usersApiSchema,
    eventStreams: z.array(eventStreamSchema).max(16).default([]).describe(eventStreamsMeaning),
    invitations: invitationsSchema,
    operators: operatorsSchema,
    keySetTimeoutSeconds: z
      .number()
      .min(0.05)
      .max(30)
      .default(5)
      .describe('Longest wait for a key set of an outside issuer, seconds.'),
    keySetCooldownSeconds: z
      .number()
      .min(0)
      .max(3600)
      .default(30)
      .describe(
        'Least time between two fetches of one key set, seconds, whatever tokens arrive. A new key of an outside issuer is noticed no sooner.',
      ),
  })
  .describe(
    'One account that this issuer hosts. Accounts share the process and the database file, nothing else.',
  );

/** Schema of one account of the configuration. */
export const accountSchema: z.ZodType<AccountConfig> = account;

/** Its fields, each with default and meaning. */
export const accountFields: Readonly<Record<string, z.ZodType>> = account.shape;
