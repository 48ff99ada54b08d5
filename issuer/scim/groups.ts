import { isJsonObject, type Json, type JsonObject } from '@bulla/verifier/envelope';
import type { Account } from '../account.ts';
import type { Connection } from '../provisioning/connection.ts';
import type { GroupData } from '../provisioning/groups.ts';
import { nameKey } from '../provisioning/person.ts';
import { members, type ResourceRow, resources } from '../store/directory.ts';
import { attributesOf, type Change, type Collection, type Kept, wrap } from './collection.ts';
import { groupType, type ResourceType } from './schema.ts';
import { type Attributes, textOf } from './values.ts';

const bullaGroup = 'urn:bulla:scim:schemas:2.0:Group';

/** The groups of one connection: docs/spec/scim.md section 4. */
export class GroupCollection implements Collection {
  readonly type: ResourceType = groupType;
  readonly scope = 'groups';
  readonly costly: ReadonlySet<string> = new Set(['members']);
  readonly #account: Account;
  readonly #connection: Connection;
  readonly #base: string;
  readonly #where: { readonly kind: 'Group'; readonly connection: string };

  constructor(account: Account, connection: Connection, base: string) {
    this.#account = account;
    this.#connection = connection;
    this.#base = base;
    this.#where = { kind: 'Group', connection: connection.config.name };
  }

  async find(id: string): Promise<JsonObject | undefined> {
    const row = await this.#row(id);
    return row && this.#show(row, await this.#account.groups.membersOf(id));
  }

  async kept(id: string): Promise<Kept | undefined> {
    const row = await this.#row(id);
    if (row === undefined) return undefined;
    const list = (await this.#account.groups.membersOf(id)).map((value) => ({ value }));
    const attributes = { ...attributesOf(row), ...(list.length > 0 && { members: list }) };
    return { attributes, version: row.version };
  }

  async lookUp(path: string, value: string): Promise<readonly string[] | undefined> {
    const { store } = this.#account;
    switch (path) {
      case 'id':
        return [value];
      case 'displayName':
        return ids(await store.find(resources, { ...this.#where, name: nameKey(value) }));
      case 'externalId':
        return ids(await store.find(resources, { ...this.#where, externalId: value }));
      case 'members':
      case 'members.value':
        return (await store.find(members, { member: value })).map(({ groupId }) => groupId);
      default:
        return undefined;
    }
  }

  async page(offset: number, limit: number): Promise<readonly JsonObject[]> {
    const rows = await this.#account.store.find(resources, this.#where, { limit, offset });
    return rows.map((row) => this.#show(row, []));
  }

  async count(): Promise<number> {
    return this.#account.store.count(resources, this.#where);
  }

  async create(attributes: Attributes): Promise<string> {
    const added = await this.#known(memberIds(attributes));
    return (await this.#account.groups.create(this.#connection, groupData(attributes), added)).id;
  }

  async change(id: string, { before, after, how, version }: Change): Promise<void> {
    const [there, wanted] = [new Set(memberIds(before)), memberIds(after)];
    const staying = new Set(wanted);
    const change =
      how === 'put'
        ? { replace: await this.#known(wanted) }
        : {
            add: await this.#known(wanted.filter((member) => !there.has(member))),
            remove: [...there].filter((member) => !staying.has(member)),
          };
    await this.#account.groups.update(this.#connection, id, groupData(after), change, version);
  }

  async remove(id: string): Promise<void> {
    await this.#account.groups.remove(this.#connection, id);
  }

  /** Those that are resources of this connection. Okta goes on naming people who are gone, and means nothing by it. */
  async #known(list: readonly string[]): Promise<readonly string[]> {
    const { store } = this.#account;
    const connection = this.#connection.config.name;
    const found: string[] = [];
    for (const id of list) {
      const row = await store.first(resources, { id, connection });
      if (row !== undefined && row.kind !== 'Agent') found.push(id);
    }
    return found;
  }

  async #row(id: string): Promise<ResourceRow | undefined> {
    return this.#account.store.first(resources, { ...this.#where, id });
  }

  #show(row: ResourceRow, list: readonly string[]): JsonObject {
    const shown = list.map((value) => {
      const type = value.startsWith('prn_') ? 'User' : 'Group';
      return { value, $ref: `${this.#base}/${type}s/${value}`, type };
    });
    return wrap(this.type, this.#base, row, {
      ...attributesOf(row),
      ...(shown.length > 0 && { members: shown }),
      ...(row.log !== null && { [bullaGroup]: { trustLogGroup: row.log } }),
    });
  }
}

function ids(rows: readonly ResourceRow[]): readonly string[] {
  return rows.map(({ id }) => id);
}

function memberIds(attributes: Attributes): readonly string[] {
  const list = attributes['members'];
  const values = (Array.isArray(list) ? (list as readonly Json[]) : []).map((each) =>
    isJsonObject(each) ? each['value'] : undefined,
  );
  return [...new Set(values.filter((value) => typeof value === 'string'))];
}

function groupData(attributes: Attributes): GroupData {
  const { members: _, externalId, ...body } = attributes;
  return {
    displayName: textOf(body['displayName']),
    externalId: typeof externalId === 'string' ? externalId : null,
    body,
  };
}
