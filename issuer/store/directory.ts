import { defineTable, type Table } from './table.ts';

/** One SCIM resource as its connection sent it. What it may do is not here but in the log. */
export interface ResourceRow {
  /** Users: the principal's id (`prn_…`). Groups and agents: random. */
  readonly id: string;
  /** Name of the connection that manages it; nobody else's tokens reach it. */
  readonly connection: string;
  readonly kind: 'User' | 'Group' | 'Agent';
  /** Lower-cased `userName` or `displayName`: no two of a kind in one connection. */
  readonly name: string;
  readonly externalId: string | null;
  /** Groups: the group of the log that it stands for. Agents: the agent's id once there is one (`agt_…`). */
  readonly log: string | null;
  /** Users: salt of `login.hash` in the log. */
  readonly salt: string | null;
  /** Raised by each change; the ETag. */
  readonly version: number;
  /** RFC 3339, UTC. */
  readonly created: string;
  readonly modified: string;
  /** The resource's own attributes as JSON; not `id`, `meta`, `members`, nor what the log decides. */
  readonly body: string;
}

export const resources: Table<ResourceRow> = defineTable<ResourceRow>(
  'resource',
  {
    id: 'text',
    connection: 'text',
    kind: 'text',
    name: 'text',
    externalId: 'text?',
    log: 'text?',
    salt: 'text?',
    version: 'integer',
    created: 'text',
    modified: 'text',
    body: 'text',
  },
  {
    key: ['id'],
    unique: [['connection', 'kind', 'name']],
    indexes: [['connection', 'kind', 'externalId'], ['log']],
    person: 'id',
  },
);

/** Who is in which SCIM group (`group`: its resource id). For groups of the log a projection: the log decides. */
export interface MemberRow {
  readonly groupId: string;
  /** Id of a user or a group resource. */
  readonly member: string;
}

export const members: Table<MemberRow> = defineTable<MemberRow>(
  'member',
  { groupId: 'text', member: 'text' },
  { key: ['groupId', 'member'], indexes: [['member']], person: 'member' },
);

/** Lower-cased e-mail addresses of people, for look-ups by security events and operators. */
export interface AddressRow {
  readonly id: string;
  readonly address: string;
}

export const addresses: Table<AddressRow> = defineTable<AddressRow>(
  'address',
  { id: 'text', address: 'text' },
  { key: ['id', 'address'], indexes: [['address']], person: 'id' },
);

/** A bearer token of a connection. The token itself is nowhere. */
export interface ScimTokenRow {
  readonly id: string;
  readonly connection: string;
  /** base64url SHA-256 of the token's text. */
  readonly sha256: string;
  /** Separated by single spaces. */
  readonly scopes: string;
  /** Unix seconds; from then on it is void. */
  readonly notAfter: number;
  readonly created: number;
  /** Unix seconds, to the minute. */
  readonly lastUsed: number | null;
}

export const scimTokens: Table<ScimTokenRow> = defineTable<ScimTokenRow>(
  'scim_token',
  {
    id: 'text',
    connection: 'text',
    sha256: 'text',
    scopes: 'text',
    notAfter: 'integer',
    created: 'integer',
    lastUsed: 'integer?',
  },
  { key: ['id'], unique: [['sha256']], indexes: [['connection']] },
);
