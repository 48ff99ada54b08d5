import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { issueScimToken, type ScimScope } from '@bulla/issuer';
import type { Signer } from '@bulla/verifier';
import type { Json, JsonObject } from '@bulla/verifier/envelope';
import { type Operation, signEntry, signRequest } from '@bulla/verifier/log';
import { IssuerWorld, type IssuerWorldOptions, newKey, provisioning } from './issuer.ts';
import { rememberWord } from './leaks.ts';
import { testDomain } from './log.ts';

export const userSchema = 'urn:ietf:params:scim:schemas:core:2.0:User';
export const groupSchema = 'urn:ietf:params:scim:schemas:core:2.0:Group';
export const agentSchema = 'urn:bulla:scim:schemas:2.0:Agent';
export const enterprise = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';
export const patchSchema = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';
export const bulkSchema = 'urn:ietf:params:scim:api:messages:2.0:BulkRequest';
export const searchSchema = 'urn:ietf:params:scim:api:messages:2.0:SearchRequest';

export const allScopes: readonly ScimScope[] = [
  'users:read',
  'users:write',
  'groups:read',
  'groups:write',
  'agents:read',
  'agents:write',
];

/** Domains that the connections of {@link startScim} may provision in. */
const scimDomains: readonly string[] = [testDomain, 'okta.local', 'test.microsoft.com', 'example.com'];

/** What must be text. */
export function textOf(value: Json | undefined): string {
  if (typeof value !== 'string') throw new Error('not a text');
  return value;
}

/** An answer that was read to its end. */
export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly body: JsonObject;
}

/** Status and stable code of a refusal. */
export function codeOf({ status, body }: Answered): readonly [number, string | undefined] {
  return [status, textOf(body['detail']).split(':')[0]];
}

/** An issuer with the connection `okta`, and a client of it. */
export class ScimWorld {
  readonly world: IssuerWorld;
  token: string;

  constructor(world: IssuerWorld, token: string) {
    this.world = world;
    this.token = token;
  }

  get base(): string {
    return `${this.world.issuerId}/scim/v2`;
  }

  /** `path` from the base on, with its query; `body`: text is sent as it is. */
  async call(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answered> {
    const response = await this.world.issuer.app.request(`${this.world.base}/scim/v2${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        accept: 'application/scim+json',
        ...(body !== undefined && { 'content-type': 'application/scim+json; charset=utf-8' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      body: text === '' ? {} : (JSON.parse(text) as JsonObject),
    };
  }

  /** A user named `name` in the domain of tests. @returns the resource. */
  async user(name: string, rest: JsonObject = {}): Promise<JsonObject & { readonly id: string }> {
    const { status, body } = await this.call('POST', '/Users', {
      schemas: [userSchema],
      userName: name.includes('@') ? name : `${name}@${testDomain}`,
      ...rest,
    });
    if (status !== 201) throw new Error(`user was refused: ${JSON.stringify(body)}`);
    return { ...body, id: textOf(body['id']) };
  }

  async group(displayName: string, members: readonly string[] = []): Promise<string> {
    const { status, body } = await this.call('POST', '/Groups', {
      schemas: [groupSchema],
      displayName,
      members: members.map((value) => ({ value })),
    });
    if (status !== 201) throw new Error(`group was refused: ${JSON.stringify(body)}`);
    return textOf(body['id']);
  }

  async patch(path: string, ...operations: readonly JsonObject[]): Promise<Answered> {
    return this.call('PATCH', path, { schemas: [patchSchema], Operations: operations });
  }

  /** Ids of members, sorted. */
  async membersOf(group: string): Promise<readonly string[]> {
    const { body } = await this.call('GET', `/Groups/${group}`);
    const members = (body['members'] ?? []) as readonly { readonly value: string }[];
    return members.map(({ value }) => value).sort();
  }

  /** A new token of a connection. */
  async newToken(
    scopes: readonly ScimScope[] = allScopes,
    connection = 'okta',
    seconds = 3600,
  ): Promise<string> {
    const { store } = this.world.hosted;
    const notAfter = this.world.ports.now() + seconds;
    const { token } = await issueScimToken(store, { connection, scopes, notAfter }, this.world.ports);
    rememberWord(token, 'a SCIM token');
    return token;
  }

  /** What an admin does now, after whatever connections wrote. */
  async admin(...ops: readonly Operation[]): Promise<void> {
    const [admin] = this.world.ledger.admins;
    if (admin === undefined) throw new Error('there is no admin');
    await this.world.hosted.log.write(admin, () => ({ ops }));
  }

  /** A second IdP of the same account. @returns a client of it; the issuer is started anew. */
  async secondConnection(name: string): Promise<ScimWorld> {
    const { jwk, signer } = newKey();
    const delegateKeyFile = join(this.world.dir, `${name}.jwk`);
    writeFileSync(delegateKeyFile, JSON.stringify(jwk), { mode: 0o600 });
    const [account] = this.world.config.accounts;
    const config = { name, delegateKeyFile, groups: {}, attributes: {}, welcome: false, perMinute: 60_000 };
    Object.assign(account ?? {}, { connections: [...(account?.connections ?? []), config] });
    const lease = this.world.ledger.lease({
      operations: provisioning,
      connection: name,
      groups: ['engineers'],
      maxEntriesPerHour: 1000,
    });
    await this.adminWith(signer, { type: 'delegate.grant', key: signer.publicKey.jwk, lease });
    await this.world.restart();
    return new ScimWorld(this.world, await this.newToken(allScopes, name));
  }

  /** An admin's entry that a new key signs, too. */
  async adminWith(key: Signer, op: Operation): Promise<void> {
    const [admin] = this.world.ledger.admins;
    if (admin === undefined) throw new Error('there is no admin');
    const { log } = this.world.hosted;
    const { account, size: seq, head } = log.world;
    const time = Math.floor(this.world.ports.now());
    await log.append(signEntry({ account, seq, prev: head ?? '', time, op }, admin, [key]), []);
  }

  /** An admin confirms a pending person's key. */
  async activate(principal: string, key: Signer): Promise<void> {
    await this.adminWith(key, { type: 'principal.activate', principal, key: key.publicKey.jwk });
  }

  /** A person registers an agent with a key of its own. @returns its id. */
  async registerAgent(owner: string, person: Signer, key: Signer): Promise<string> {
    const { log } = this.world.hosted;
    const subject = `principal/${owner}` as const;
    const draft = {
      account: log.world.account,
      op: { type: 'agent.register', owner, kind: 'autonomous', key: key.publicKey.jwk } as const,
      subject,
      subjectVersion: log.read(subject)?.version ?? 0,
      notAfter: Math.floor(this.world.ports.now()) + 600,
    };
    await log.relay(signRequest(draft, person, [key]));
    const held = log.read(`key/${key.publicKey.thumbprint}`);
    return (held?.subject ?? '').slice('agent/'.length);
  }

  statusOf(id: unknown): string | undefined {
    return this.world.hosted.log.read(`principal/${String(id)}`)?.status;
  }

  async remove(): Promise<void> {
    await this.world.remove();
  }
}

export async function startScim(options: IssuerWorldOptions = {}): Promise<ScimWorld> {
  const world = await IssuerWorld.create({
    connection: {},
    ...options,
    connectionLease: {
      domains: scimDomains,
      operations: [...provisioning, 'agent.suspend', 'agent.resume', 'agent.revoke'],
      ...options.connectionLease,
    },
  });
  for (const domain of scimDomains.slice(1)) {
    world.ledger.trustDomain(domain);
    await world.appended(world.ledger.lastLeaf);
  }
  const scim = new ScimWorld(world, '');
  scim.token = await scim.newToken();
  return scim;
}
