import type { JsonObject } from '@bulla/verifier/envelope';
import { type Leaving, leavingOf } from '@bulla/verifier/log';
import type { Account } from '../account.ts';
import { IssuerRefusal } from '../errors.ts';
import { addressRows, nameKey, userNameOf } from '../provisioning/person.ts';
import { addresses, type ResourceRow, resources } from '../store/directory.ts';
import { invitations } from '../store/invitations.ts';

/** A person as operators see them: the directory's names beside what the log says. */
export interface OperatedPerson {
  readonly id: string;
  readonly connection: string;
  readonly user_name: string;
  readonly addresses: readonly string[];
  readonly status: string;
  readonly assurance: string;
  readonly groups: readonly string[];
  readonly agents: number;
  /** Of the newest one; null: none, or it was used. */
  readonly invitation: 'due' | 'sent' | 'failed' | null;
}

const maxFound = 50;

/** People whose `userName` begins with this, or who have exactly this address. At most 50. */
export async function searchPeople(account: Account, query: string): Promise<readonly OperatedPerson[]> {
  const { store } = account;
  const name = nameKey(query);
  const order = { by: ['name'], limit: maxFound } as const;
  const rows = [
    ...(await store.find(resources, { kind: 'User', name }, order)),
    ...(await store.find(
      resources,
      { kind: 'User', name: { above: name, below: `${name}\u{10ffff}` } },
      order,
    )),
  ];
  for (const { id } of await store.find(addresses, { address: query.toLowerCase() }, { limit: maxFound })) {
    const row = await store.first(resources, { id, kind: 'User' });
    if (row !== undefined) rows.push(row);
  }
  const found = [...new Map(rows.map((row) => [row.id, row])).values()].slice(0, maxFound);
  return Promise.all(found.map((row) => describe(account, row)));
}

/** @throws {IssuerRefusal} `person_unknown`. */
export async function showPerson(account: Account, id: string): Promise<OperatedPerson> {
  const row = await account.store.first(resources, { id, kind: 'User' });
  if (row === undefined) throw new IssuerRefusal('person_unknown', 'no such person in the directory');
  return describe(account, row);
}

/** What would end with this person. @throws {Refusal} `rule_subject_unknown`. */
export function leavingPerson({ log }: Account, id: string): Leaving {
  return leavingOf(log.read, log.world.records(), id);
}

async function describe({ store, log }: Account, row: ResourceRow): Promise<OperatedPerson> {
  const record = log.read(`principal/${row.id}`);
  const invitation = await store.first(invitations, { principal: row.id });
  const body = JSON.parse(row.body) as JsonObject;
  const userName = userNameOf(row);
  const found = addressRows(row.id, { userName, externalId: row.externalId, body });
  return {
    id: row.id,
    connection: row.connection,
    user_name: userName,
    addresses: found.map(({ address }) => address),
    status: record?.status ?? 'unknown',
    assurance: record?.assurance ?? 'none',
    groups: record?.groups ?? [],
    agents: record?.agents ?? 0,
    invitation: invitation?.state ?? null,
  };
}
