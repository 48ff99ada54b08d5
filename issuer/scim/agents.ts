import { randomUUID } from 'node:crypto';
import { isJsonObject, type JsonObject } from '@bulla/verifier/envelope';
import type { Operation, Read } from '@bulla/verifier/log';
import type { Account } from '../account.ts';
import { IssuerRefusal } from '../errors.ts';
import { type Connection, requireOwnLease } from '../provisioning/connection.ts';
import { requireRoom } from '../provisioning/room.ts';
import { type AgentResourceRow, agentResources } from '../store/agent-resource.ts';
import { addRow, expectRows, putRow, removeRows } from '../store/table.ts';
import { type Change, type Collection, type Kept, wrap } from './collection.ts';
import { refuse } from './refuse.ts';
import { agentType, type ResourceType } from './schema.ts';
import type { Attributes } from './values.ts';

/** The agents of one connection's people, and proposals of agents: docs/spec/scim.md section 5. */
export class AgentCollection implements Collection {
  readonly type: ResourceType = agentType;
  readonly scope = 'agents';
  readonly costly: ReadonlySet<string> = new Set<string>();
  readonly #account: Account;
  readonly #connection: Connection;
  readonly #base: string;
  readonly #where: { readonly connection: string };

  constructor(account: Account, connection: Connection, base: string) {
    this.#account = account;
    this.#connection = connection;
    this.#base = base;
    this.#where = { connection: connection.config.name };
  }

  async find(id: string): Promise<JsonObject | undefined> {
    const row = await this.#row(id);
    return row && this.#show(row);
  }

  async kept(id: string): Promise<Kept | undefined> {
    const row = await this.#row(id);
    if (row === undefined) return undefined;
    const shown = row.active === null ? {} : { active: this.#isShownActive(row) };
    return { attributes: { ...attributesOf(row), ...shown }, version: row.version };
  }

  async lookUp(path: string, value: string): Promise<readonly string[] | undefined> {
    if (path === 'id') return [value];
    const where = path === 'owner' || path === 'owner.value' ? { owner: value } : { externalId: value };
    if (!('owner' in where) && path !== 'externalId') return undefined;
    const rows = await this.#account.store.find(agentResources, { ...this.#where, ...where });
    return rows.map(({ id }) => id);
  }

  async page(offset: number, limit: number): Promise<readonly JsonObject[]> {
    const rows = await this.#account.store.find(agentResources, this.#where, { limit, offset });
    return rows.map((row) => this.#show(row));
  }

  async count(): Promise<number> {
    return this.#account.store.count(agentResources, this.#where);
  }

  /** A proposal only: no delegate makes an agent. What it may do begins when its owner registers it. */
  async create(attributes: Attributes): Promise<string> {
    const { log, store, ports } = this.#account;
    const owner = ownerOf(attributes);
    const at = new Date(ports.now() * 1000).toISOString();
    const row: AgentResourceRow = {
      id: randomUUID(),
      ...this.#where,
      owner,
      ...changeable(attributes),
      kind: kindOf(attributes),
      active: attributes['active'] === false ? 0 : 1,
      agent: null,
      version: 1,
      created: at,
      modified: at,
    };
    await log.write(this.#connection.signer, async (read, time) => {
      requireOwnLease(this.#connection, read, time);
      await this.#requireUser(owner);
      await requireRoom(store, agentResources, this.#where);
      return { ops: [], rows: () => [addRow(agentResources, row)] };
    });
    return row.id;
  }

  async change(id: string, { after, how, named, version }: Change): Promise<void> {
    const row = await this.#row(id);
    if (row === undefined) throw gone();
    const owner = ownerOf(after);
    const kind = kindOf(after);
    if (row.agent !== null && (owner !== row.owner || kind !== row.kind)) {
      throw refuse('scim_attribute_fixed', '`owner` and `kind` of what was adopted stay as they are');
    }
    const modified = new Date(this.#account.ports.now() * 1000).toISOString();
    const given = after['active'];
    const active = typeof given === 'boolean' && named.has('active') ? given : undefined;
    const isUnassigned = how === 'patch' && given === undefined && named.has('active');
    const said = active === undefined ? row.active : Number(active);
    const updated = {
      ...row,
      ...changeable(after),
      owner,
      kind,
      active: isUnassigned ? null : said,
      modified,
      version: version + 1,
    };
    await this.#account.log.write(this.#connection.signer, async (read, time) => {
      requireOwnLease(this.#connection, read, time);
      await this.#requireUser(owner);
      return {
        ops: active === undefined ? [] : this.#standing(row, active, read),
        rows: () => [expectRows(agentResources, { id, version }), putRow(agentResources, updated)],
      };
    });
  }

  async remove(id: string): Promise<void> {
    const row = await this.#row(id);
    if (row === undefined) throw gone();
    const { agent, version } = row;
    await this.#account.log.write(this.#connection.signer, (read, time) => {
      requireOwnLease(this.#connection, read, time);
      return {
        ops: agent === null ? [] : [{ type: 'agent.revoke', agent }],
        rows: () => [expectRows(agentResources, { id, version }), removeRows(agentResources, { id })],
      };
    });
  }

  async #requireUser(id: string | null): Promise<void> {
    if (id === null || (await this.#account.people.find(this.#connection, { id })) !== undefined) return;
    throw refuse('scim_value_invalid', '`owner` is no User of this connection');
  }

  /** A proposal has no standing: it is not active, whatever is said. */
  #standing({ agent }: AgentResourceRow, active: boolean, read: Read): readonly Operation[] {
    const record = agent === null ? undefined : read(`agent/${agent}`);
    if (agent === null || record === undefined) return [];
    if (!active) {
      const isOurs = record.suspensions.includes(this.#connection.name);
      return isOurs ? [] : [{ type: 'agent.suspend', agent }];
    }
    // Suspended by others, the log refuses, and says so.
    return this.#isActive(agent) ? [] : [{ type: 'agent.resume', agent, keys: record.keys }];
  }

  #isActive(agent: string): boolean {
    const record = this.#account.log.read(`agent/${agent}`);
    const owner = record && this.#account.log.read(`principal/${record.owner}`);
    return record?.status === 'active' && owner?.status === 'active' && owner.epoch === record.ownerEpoch;
  }

  /** Of a proposal, what its connection says of it; it has no standing whatever that is. */
  #isShownActive({ agent, active }: AgentResourceRow): boolean {
    return agent === null ? active !== 0 : this.#isActive(agent);
  }

  async #row(id: string): Promise<AgentResourceRow | undefined> {
    return this.#account.store.first(agentResources, { ...this.#where, id });
  }

  #show(row: AgentResourceRow): JsonObject {
    const { agent, owner } = row;
    const record = agent === null ? undefined : this.#account.log.read(`agent/${agent}`);
    const active = this.#isShownActive(row);
    return wrap(this.type, this.#base, row, {
      ...attributesOf(row),
      ...(owner !== null && { owner: { value: owner, $ref: `${this.#base}/Users/${owner}` } }),
      ...(row.active !== null && { active }),
      status: agent === null ? 'pending' : active ? 'active' : 'suspended',
      ...(record !== undefined &&
        record.keys.length > 0 && { keys: record.keys.map((value) => ({ value })) }),
    });
  }
}

function attributesOf({ displayName, externalId, owner, kind }: AgentResourceRow): Attributes {
  return {
    displayName,
    kind,
    ...(owner !== null && { owner: { value: owner } }),
    ...(externalId !== null && { externalId }),
  };
}

function changeable(attributes: Attributes): Pick<AgentResourceRow, 'displayName' | 'externalId'> {
  const { displayName, externalId } = attributes;
  return {
    displayName: typeof displayName === 'string' ? displayName : '',
    externalId: typeof externalId === 'string' ? externalId : null,
  };
}

function ownerOf({ owner }: Attributes): string | null {
  const value = owner !== undefined && isJsonObject(owner) ? owner['value'] : undefined;
  return typeof value === 'string' ? value : null;
}

function kindOf({ kind }: Attributes): AgentResourceRow['kind'] {
  if (kind === undefined || kind === 'autonomous') return 'autonomous';
  if (kind === 'interactive') return kind;
  throw refuse('scim_value_invalid', '`kind` is neither autonomous nor interactive');
}

function gone(): IssuerRefusal {
  return refuse('scim_resource_unknown', 'connection has no resource with this id');
}
