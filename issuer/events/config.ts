import { z } from 'zod';
import { type EventAction, eventActions, eventType } from './event-types.ts';

/** One transmitter of security events (Shared Signals Framework), and what its events may do here. */
export interface EventStreamConfig {
  /** Names the stream in the path of the push endpoint and in log lines. */
  readonly name: string;
  /** `iss` of its SETs, exactly. */
  readonly issuer: string;
  /** Must be in `aud` of each SET. */
  readonly audience: string;
  readonly jwksUrl?: string | undefined;
  readonly jwksFile?: string | undefined;
  /** RFC 7638 thumbprints: where given, no other key counts. */
  readonly keys?: readonly string[] | undefined;
  readonly dangerouslyAllowPrivateAddresses: boolean;
  readonly delegateKeyFile: string;
  /** Whose people the events are about; absent: everybody's. */
  readonly connection?: string | undefined;
  readonly delivery: EventDelivery;
  readonly subjects: SubjectRules;
  /** `iss` that an `iss_sub` subject may have; default: `issuer` alone. */
  readonly subjectIssuers?: readonly string[] | undefined;
  readonly map: Readonly<Record<string, EventAction>>;
  /** A SET older than this is refused; for so long each `jti` is remembered. Seconds. */
  readonly maxAgeSeconds: number;
  readonly perMinute: number;
}

type EventDelivery =
  | { readonly push: { readonly authorizationSha256: string } }
  | { readonly poll: PollConfig };

export interface PollConfig {
  readonly endpoint: string;
  readonly tokenFile: string;
  readonly intervalSeconds: number;
}

/** Which attribute of a person each format of RFC 9493 (and `scim` of RFC 9967) names. Whoever fits one of them may be meant. */
export interface SubjectRules {
  readonly email: readonly SubjectAttribute[];
  readonly iss_sub: readonly SubjectAttribute[];
  readonly opaque: readonly SubjectAttribute[];
  readonly scim: readonly SubjectAttribute[];
}

export type SubjectAttribute = 'id' | 'externalId' | 'userName' | 'email';

const attributes = z.array(z.enum(['id', 'externalId', 'userName', 'email'])).max(4);
const sha256 = z.string().regex(/^[A-Za-z0-9_-]{43}$/u);
const url = z.url({ protocol: /^https?$/u });

const delivery: z.ZodType<EventDelivery> = z.union([
  z.strictObject({ push: z.strictObject({ authorizationSha256: sha256 }) }),
  z.strictObject({
    poll: z.strictObject({
      endpoint: url,
      tokenFile: z.string().min(1),
      intervalSeconds: z.number().min(0.05).max(3600).default(5),
    }),
  }),
]);

const subjects = z.strictObject({
  email: attributes.default(['userName', 'email']),
  iss_sub: attributes.default(['externalId']),
  opaque: attributes.default([]),
  scim: attributes.default(['externalId', 'id']),
});

/** Schema of one stream. */
export const eventStreamSchema: z.ZodType<EventStreamConfig> = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}$/u),
    issuer: url,
    audience: z.string().min(1).max(512),
    jwksUrl: url.optional(),
    jwksFile: z.string().min(1).optional(),
    keys: z.array(sha256).min(1).max(16).optional(),
    dangerouslyAllowPrivateAddresses: z.boolean().default(false),
    delegateKeyFile: z.string().min(1),
    connection: z.string().min(1).max(64).optional(),
    delivery,
    subjects: subjects.prefault({}),
    subjectIssuers: z.array(z.string().min(1).max(512)).min(1).max(16).optional(),
    map: z
      .record(z.string().min(1).max(512), z.enum(eventActions))
      .default({})
      .transform((map) =>
        Object.fromEntries(Object.entries(map).map(([uri, action]) => [eventType(uri), action])),
      ),
    maxAgeSeconds: z.int().min(60).max(2_592_000).default(604_800),
    perMinute: z.int().min(1).default(600),
  })
  .refine(({ jwksUrl, jwksFile }) => jwksUrl === undefined || jwksFile === undefined, 'has a URL and a file');

/** Said in docs/config.md. */
export const eventStreamsMeaning: string =
  'Transmitters of security events (Shared Signals Framework) whose events end what people have here: [events.md](spec/events.md). `name`, `issuer` (`iss` of its events), `audience` (ours, in `aud`), where its keys are (`jwksUrl`, or `jwksFile`, or neither: its own metadata; `keys` pins thumbprints beside), `delegateKeyFile` (a key of its own, whose lease lists what its events may do), `connection` (only people of this one), `delivery` (`{push: {authorizationSha256}}`: hash of the whole `Authorization` field that it sends to `/a/<account>/events/<name>`; or `{poll: {endpoint, tokenFile, intervalSeconds}}`), `subjects` (which attribute an `email`, `iss_sub`, `opaque` or `scim` subject names: `id`, `externalId`, `userName`, `email`), `subjectIssuers`, `map` (event type URI to `suspend`, `resume`, `end-sessions`, `revoke-keys`, `deprovision` or `ignore`), `maxAgeSeconds` (604800), `perMinute` (600).';
