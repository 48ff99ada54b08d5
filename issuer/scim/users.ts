import { Refusal } from '@bulla/verifier';
import type { JsonObject } from '@bulla/verifier/envelope';
import type { Account } from '../account.ts';
import type { Connection } from '../provisioning/connection.ts';
import type { PersonData } from '../provisioning/person.ts';
import { type ResourceRow, resources } from '../store/directory.ts';
import { attributesOf, type Change, type Collection, type Kept, wrap } from './collection.ts';
import { type ResourceType, userType } from './schema.ts';
import { type Attributes, textOf } from './values.ts';

const bullaUser = 'urn:bulla:scim:schemas:2.0:User';

/** The people of one connection: docs/spec/scim.md section 3. */
export class UserCollection implements Collection {
  readonly type: ResourceType = userType;
  readonly scope = 'users';
  readonly costly: ReadonlySet<string> = new Set(['groups']);
  readonly #account: Account;
  readonly #connection: Connection;
  readonly #base: string;
  readonly #where: { readonly kind: 'User'; readonly connection: string };

  constructor(account: Account, connection: Connection, base: string) {
    this.#account = account;
    this.#connection = connection;
    this.#base = base;
    this.#where = { kind: 'User', connection: connection.config.name };
  }

  async find(id: string): Promise<JsonObject | undefined> {
    const row = await this.#row(id);
    if (row === undefined) return undefined;
    const groups = await this.#account.groups.groupsWith(id);
    return this.#show(
      row,
      groups.map((group) => ({
        value: group.id,
        $ref: `${this.#base}/Groups/${group.id}`,
        display: displayName(group),
        type: 'direct',
      })),
    );
  }

  async kept(id: string): Promise<Kept | undefined> {
    const row = await this.#row(id);
    if (row === undefined) return undefined;
    const { active, ...attributes } = attributesOf(row);
    const shown = active === null ? {} : { active: this.#isActive(id) };
    return { attributes: { ...attributes, ...shown }, version: row.version };
  }

  async lookUp(path: string, value: string): Promise<readonly string[] | undefined> {
    const { people } = this.#account;
    switch (path) {
      case 'id':
        return [value];
      case 'userName': {
        const row = await people.find(this.#connection, { userName: value });
        return row === undefined ? [] : [row.id];
      }
      case 'externalId': {
        const rows = await this.#account.store.find(resources, { ...this.#where, externalId: value });
        return rows.map(({ id }) => id);
      }
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
    return (await this.#account.people.provision(this.#connection, personData(attributes))).id;
  }

  async change(id: string, { before, after, how, named, version }: Change): Promise<void> {
    const { active, ...data } = personData(after);
    const isSaid = active !== undefined && named.has('active');
    if (isSaid && active) this.#requireOwnSuspension(id);
    const isUnassigned =
      how === 'patch' && active === undefined && (named.has('active') || !('active' in before));
    const body: JsonObject = isUnassigned ? { ...data.body, active: null } : data.body;
    const person = { ...data, body, ...(isSaid && { active }) };
    await this.#account.people.update(this.#connection, id, person, version);
  }

  async remove(id: string): Promise<void> {
    await this.#account.people.deprovision(this.#connection, id);
  }

  /** Whoever asks for an active person and does not get one is told, and by which rule. */
  #requireOwnSuspension(id: string): void {
    const person = this.#account.log.read(`principal/${id}`);
    const others = person?.suspensions.filter((source) => source !== this.#connection.name) ?? [];
    if (person?.status === 'suspended' && others.length > 0) {
      throw new Refusal('rule_rank_too_low', 'person is suspended by somebody else than this connection');
    }
  }

  #isActive(id: string): boolean {
    const person = this.#account.log.read(`principal/${id}`);
    return person?.status === 'pending' || person?.status === 'active';
  }

  async #row(id: string): Promise<ResourceRow | undefined> {
    return this.#account.store.first(resources, { ...this.#where, id });
  }

  #show(row: ResourceRow, groups: readonly JsonObject[]): JsonObject {
    const person = this.#account.log.read(`principal/${row.id}`);
    const { active: kept, ...attributes } = attributesOf(row);
    const active = this.#isActive(row.id);
    return wrap(this.type, this.#base, row, {
      ...attributes,
      // Null is kept where a client took `active` away: then it is not shown until one says it again.
      ...(kept !== null && { active }),
      ...(groups.length > 0 && { groups }),
      [bullaUser]: {
        status: person?.status ?? 'deprovisioned',
        assurance: person?.assurance ?? 'none',
        agents: person?.agents ?? 0,
      },
    });
  }
}

/** The name of a group as its connection wrote it. */
function displayName(row: ResourceRow): string {
  const name = (JSON.parse(row.body) as JsonObject)['displayName'];
  return typeof name === 'string' ? name : row.name;
}

function personData(attributes: Attributes): PersonData {
  const { active, externalId, ...body } = attributes;
  return {
    userName: textOf(body['userName']),
    externalId: typeof externalId === 'string' ? externalId : null,
    body,
    ...(typeof active === 'boolean' && { active }),
  };
}
