import type { Read } from '@bulla/verifier/log';
import { nameKey } from '../provisioning/person.ts';
import { addresses, resources } from '../store/directory.ts';
import type { Rows } from '../store/table.ts';
import type { SubjectQuery } from './subject.ts';

/** Where people are looked up. */
export interface PeopleView {
  readonly rows: Rows;
  readonly read: Read;
  /** Only people of this connection; undefined: of all, and those whom an admin provisioned. */
  readonly connection: string | undefined;
}

/**
 * Everybody whom one of the queries fits, by principal id: more than one where people share what the subject names.
 *
 * Does NOT ask what is to be done to them.
 */
export async function findSubjects(
  queries: readonly SubjectQuery[],
  view: PeopleView,
): Promise<readonly string[]> {
  const found = await Promise.all(queries.map(async (query) => look(query, view)));
  return [...new Set(found.flat())].sort();
}

async function look({ attribute, value }: SubjectQuery, view: PeopleView): Promise<readonly string[]> {
  const { rows, read, connection } = view;
  if (attribute === 'id') {
    const person = read(`principal/${value}`);
    const fits = person !== undefined && (connection === undefined || person.connection === connection);
    return fits ? [value] : [];
  }
  if (attribute === 'email') {
    const held = await rows.find(addresses, { address: value.toLowerCase() });
    const ids = [...new Set(held.map(({ id }) => id))];
    const people = await Promise.all(ids.map(async (id) => rows.first(resources, { ...users(view), id })));
    return people.flatMap((person) => (person === undefined ? [] : [person.id]));
  }
  const by = attribute === 'externalId' ? { externalId: value } : { name: nameKey(value) };
  return (await rows.find(resources, { ...users(view), ...by })).map(({ id }) => id);
}

function users({ connection }: PeopleView): { readonly kind: 'User'; readonly connection?: string } {
  return connection === undefined ? { kind: 'User' } : { kind: 'User', connection };
}
