import { z } from 'zod';

/** A person as the Users API shows them. */
export interface ApiUser {
  readonly id: string;
  readonly status: 'pending' | 'active' | 'suspended' | 'deprovisioned';
  readonly suspensions: readonly string[];
  readonly assurance: string;
  readonly connection: string | null;
  readonly groups: readonly string[];
  readonly keys: readonly string[];
  readonly agents: number;
  readonly profile?: ApiProfile | null | undefined;
}

interface ApiProfile {
  readonly userName: string;
  readonly displayName: string | null;
  readonly emails: readonly string[];
}

/** An agent as the Users API shows it. */
export interface ApiAgent {
  readonly id: string;
  readonly owner: string;
  readonly kind: 'autonomous' | 'interactive';
  readonly status: 'active' | 'suspended' | 'revoked';
  readonly live: boolean;
  readonly suspensions: readonly string[];
  readonly keys: readonly string[];
}

/** What stops working with a change. */
export interface ApiLeaving {
  readonly agents: readonly { readonly id: string; readonly keys: readonly string[] }[];
  readonly keys: readonly string[];
  readonly federations: readonly string[];
  readonly groups: readonly string[];
}

const principalId = z.string().regex(/^prn_[0-9a-f]{32}$/u);
const agentId = z.string().regex(/^agt_[0-9a-f]{32}$/u);
const thumbprint = z.string().regex(/^[A-Za-z0-9_-]{43}$/u);
const suspensions = z
  .array(z.string())
  .describe('Whose suspensions hold: `admin`, `owner`, `connection/<name>`, `delegate/<thumbprint>`.');
const keys = z.array(thumbprint).describe('RFC 7638 thumbprints of the keys that are not revoked.');

const profile = z
  .strictObject({ userName: z.string(), displayName: z.nullable(z.string()), emails: z.array(z.string()) })
  .describe('From the directory of the issuer, not from the trust log. Null: the directory has none.');

export const userShape: z.ZodType<ApiUser> = z
  .strictObject({
    id: principalId,
    status: z.enum(['pending', 'active', 'suspended', 'deprovisioned']),
    suspensions,
    assurance: z
      .string()
      .describe('How the person was confirmed: `none`, `delegate`, `login`, `sponsor` or `admin`.'),
    connection: z.nullable(z.string()).describe('Whose directory the person came from. Null: an admin.'),
    groups: z.array(z.string()).describe('Groups of the trust log that the person is directly in.'),
    keys,
    agents: z.int().min(0).describe('Agents of the person that are not revoked.'),
    profile: z.optional(z.nullable(profile)).describe('There with the scope `profiles:read` only.'),
  })
  .meta({ id: 'User' });

export const agentShape: z.ZodType<ApiAgent> = z
  .strictObject({
    id: agentId,
    owner: principalId,
    kind: z.enum(['autonomous', 'interactive']),
    status: z.enum(['active', 'suspended', 'revoked']),
    live: z
      .boolean()
      .describe('Whether it can act now: active itself, and its owner in force since it was last taken on.'),
    suspensions,
    keys,
  })
  .meta({ id: 'Agent' });

const leavingShape: z.ZodType<ApiLeaving> = z
  .strictObject({
    agents: z.array(z.strictObject({ id: agentId, keys })),
    keys,
    federations: z.array(z.string()).describe('Outside issuers whose tokens stand for one of the agents.'),
    groups: z.array(z.string()),
  })
  .meta({ id: 'Leaving', description: 'What stops working everywhere: the blast radius.' });

const changeMembers = {
  changed: z.boolean().describe('False: it was so already, and nothing was written.'),
  dryRun: z.boolean().describe('True: nothing was written, the answer says what would be.'),
  entry: z
    .nullable(z.int())
    .describe('Number of the entry in the trust log. Null where nothing was written.'),
};

export const userChangeShape: z.ZodType<object> = z
  .strictObject({ ...changeMembers, user: userShape, leaving: z.nullable(leavingShape) })
  .meta({ id: 'UserChange' });

export const agentChangeShape: z.ZodType<object> = z
  .strictObject({ ...changeMembers, agent: agentShape, leaving: z.nullable(leavingShape) })
  .meta({ id: 'AgentChange' });

export const keyChangeShape: z.ZodType<object> = z
  .strictObject({
    ...changeMembers,
    key: z.strictObject({
      thumbprint,
      subject: z.string().describe('`principal/<id>` or `agent/<id>`.'),
      status: z.enum(['active', 'revoked']),
    }),
  })
  .meta({ id: 'KeyChange' });

/** One call, as `GET /audit` shows it. */
export interface ApiAuditItem {
  readonly id: string;
  readonly time: string;
  readonly client: string;
  readonly operation: string;
  readonly target: string | null;
  readonly dryRun: boolean;
  readonly status: number;
  readonly code: string | null;
  readonly entry: number | null;
}

export const auditShape: z.ZodType<ApiAuditItem> = z
  .strictObject({
    id: z.string(),
    time: z.iso.datetime(),
    client: z.string(),
    operation: z.string().describe('`operationId` of this document.'),
    target: z.nullable(z.string()).describe('`principal/<id>`, `agent/<id>` or `key/<thumbprint>`.'),
    dryRun: z.boolean(),
    status: z.int().min(200).max(599).describe('HTTP status of the answer.'),
    code: z.nullable(z.string()).describe('Code of the refusal. Null: the call succeeded.'),
    entry: z.nullable(z.int().min(0)).describe('Number of the entry in the trust log that came of it.'),
  })
  .meta({ id: 'AuditRow' });

/** One page of a list. */
export function pageShape(item: z.ZodType): z.ZodType<object> {
  return z.strictObject({
    items: z.array(item),
    next: z.nullable(z.string()).describe('`cursor` of the next page. Null: this is the last.'),
  });
}

/** `GET` of one thing by id, or what is done to it. */
export const userPath: z.ZodObject<{ id: z.ZodString }> = z.strictObject({ id: principalId });
export const agentPath: z.ZodObject<{ id: z.ZodString }> = z.strictObject({ id: agentId });
export const keyPath: z.ZodObject<{ jkt: z.ZodString }> = z.strictObject({ jkt: thumbprint });
export const noPath: z.ZodObject = z.strictObject({});

/** Members of the query of every list. */
export const pageQuery: {
  readonly cursor: z.ZodOptional<z.ZodString>;
  readonly limit: z.ZodDefault<z.ZodCoercedNumber>;
} = {
  cursor: z.string().max(200).optional().describe('`next` of the page before, of the very same query.'),
  limit: z.coerce.number().int().min(1).max(200).default(50).describe('Items per page.'),
};

/** Query of what has none. */
export const noQuery: z.ZodObject = z.strictObject({});

/** Query of every change. */
export const dryRunQuery: z.ZodObject<{ dry_run: z.ZodType<boolean> }> = z.strictObject({
  dry_run: z
    .stringbool({ truthy: ['true'], falsy: ['false'] })
    .default(false)
    .meta({ type: 'boolean', description: 'True: write nothing, say what would happen.' }),
});
