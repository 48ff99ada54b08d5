import type { Read } from '@bulla/verifier/log';
import { IssuerRefusal } from '../errors.ts';
import type { AccountLog } from '../log/account-log.ts';
import { type Plan, provisionedBy, type Written } from '../log/plan.ts';
import type { IssuerPorts } from '../ports.ts';
import { addresses, type ResourceRow, resources } from '../store/directory.ts';
import type { AccountStore } from '../store/store.ts';
import { addRow, expectRows, putRow, type RowWrite, removeRows } from '../store/table.ts';
import { type Connection, requireOwnLease } from './connection.ts';
import { addressRows, nameKey, type PersonData } from './person.ts';
import { activeOps, loginOf, type Principal, provisionOf, suspension, updateOps } from './person-ops.ts';

/** What is written together with a new person, such as an invitation to send. */
export type OnProvisioned = (connection: Connection, id: string) => readonly RowWrite[];

export interface PeopleOptions {
  readonly log: AccountLog;
  readonly store: AccountStore;
  readonly ports: IssuerPorts;
  readonly onProvisioned?: OnProvisioned;
}

/**
 * People as their connections change them. Each method is one write: entries of the log and rows of the directory together, or
 * nothing. What may be done is decided by the rules of the log alone.
 *
 * All methods throw a `Refusal` with the rule that says no, `person_unknown` for a person who is not there or belongs to
 * another connection, and what {@link AccountLog.write} throws.
 */
export class People {
  readonly #options: PeopleOptions;

  constructor(options: PeopleOptions) {
    this.#options = options;
  }

  /**
   * A new person of the connection: pending, or suspended at once. @returns their row; its id is the principal's.
   *
   * @throws {IssuerRefusal} `row_taken` where the `userName` is taken in this connection.
   */
  async provision(connection: Connection, data: PersonData): Promise<ResourceRow> {
    const { log, ports, onProvisioned } = this.#options;
    let row: ResourceRow | undefined;
    await log.write(connection.signer, (read, time) => {
      requireOwnLease(connection, read, time);
      const login = loginOf(connection, data, read, ports);
      const ops: Plan['ops'] = [
        provisionOf(connection, data, login?.logged),
        ...(data.active === false
          ? [(changes: Parameters<NonNullable<Plan['rows']>>[0]) => suspension(provisionedBy(changes[0]))]
          : []),
      ];
      return {
        ops,
        rows: (changes) => {
          const id = provisionedBy(changes[0]);
          row = { ...resourceRow(connection, data, ports.now()), id, salt: login?.salt ?? null };
          const further = onProvisioned?.(connection, id) ?? [];
          return [addRow(resources, row), ...addressWrites(id, data), ...further];
        },
      };
    });
    if (row === undefined) throw new Error('nothing was provisioned');
    return row;
  }

  /**
   * Replaces what the connection says about its person, and suspends or resumes as `active` says. `ifVersion`: only if the row
   * still has this version.
   *
   * @throws {IssuerRefusal} `row_taken`, `version_moved`.
   */
  async update(
    connection: Connection,
    id: string,
    data: PersonData,
    ifVersion?: number,
  ): Promise<ResourceRow> {
    const { log, ports } = this.#options;
    let after: ResourceRow | undefined;
    await log.write(connection.signer, async (read, time) => {
      requireOwnLease(connection, read, time);
      const row = await this.#ownRow(connection, id);
      if (ifVersion !== undefined && row.version !== ifVersion) {
        throw new IssuerRefusal('version_moved', 'resource has changed since this version');
      }
      const person = personOf(read, id);
      const updated: ResourceRow = {
        ...resourceRow(connection, data, ports.now()),
        id,
        salt: row.salt,
        created: row.created,
        version: row.version + 1,
      };
      after = updated;
      return {
        ops: [
          ...updateOps(connection, id, person, data),
          ...activeOps(connection, id, person, data.active, read),
        ],
        rows: () => [
          expectRows(resources, { id, version: row.version }),
          putRow(resources, updated),
          removeRows(addresses, { id }),
          ...addressWrites(id, data),
        ],
      };
    });
    if (after === undefined) throw new Error('nothing was updated');
    return after;
  }

  /** Ends a person for good; their rows go with them. */
  async deprovision({ signer }: Connection, id: string): Promise<Written> {
    return this.#options.log.write(signer, (read) => {
      personOf(read, id);
      return { ops: [{ type: 'principal.deprovision', principal: id }] };
    });
  }

  /** The row of a person of this connection. */
  async find(
    connection: Connection,
    by: { readonly id: string } | { readonly userName: string },
  ): Promise<ResourceRow | undefined> {
    const key = 'id' in by ? by : { name: nameKey(by.userName) };
    return this.#options.store.first(resources, { ...key, connection: connection.config.name, kind: 'User' });
  }

  async #ownRow(connection: Connection, id: string): Promise<ResourceRow> {
    const row = await this.find(connection, { id });
    if (row === undefined) throw new IssuerRefusal('person_unknown', 'no such person in this connection');
    return row;
  }
}

function personOf(read: Read, id: string): Principal {
  const person = read(`principal/${id}`);
  if (person === undefined || person.status === 'deprovisioned') {
    throw new IssuerRefusal('person_unknown', 'no such person');
  }
  return person;
}

function resourceRow(connection: Connection, data: PersonData, now: number): ResourceRow {
  const at = new Date(now * 1000).toISOString();
  return {
    id: '',
    connection: connection.config.name,
    kind: 'User',
    name: nameKey(data.userName),
    externalId: data.externalId,
    log: null,
    salt: null,
    version: 1,
    created: at,
    modified: at,
    body: JSON.stringify(data.body),
  };
}

function addressWrites(id: string, data: PersonData): readonly RowWrite[] {
  return addressRows(id, data).map((row) => putRow(addresses, row));
}
