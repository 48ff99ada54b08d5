import type { Account } from '../account.ts';
import { IssuerRefusal } from '../errors.ts';
import { nameKey } from '../provisioning/person.ts';
import { addresses, resources } from '../store/directory.ts';
import type { Caller } from './endpoint.ts';

/** What of the directory a person may be looked up by. */
interface Named {
  readonly user_name?: string | undefined;
  readonly external_id?: string | undefined;
  readonly email?: string | undefined;
}

/**
 * Ids of the people whom the directory knows by all of these, in any connection; undefined where none is given.
 *
 * @throws {IssuerRefusal} `scope_insufficient` without `profiles:read`: who may ask whether a name fits learns the name.
 */
export async function namedPeople(
  account: Account,
  caller: Caller,
  { user_name: userName, external_id: externalId, email }: Named,
): Promise<readonly string[] | undefined> {
  if (userName === undefined && externalId === undefined && email === undefined) return undefined;
  if (!caller.scopes.has('profiles:read')) {
    throw new IssuerRefusal(
      'scope_insufficient',
      'looking people up by name needs the scope `profiles:read`',
    );
  }
  const { store, connections } = account;
  const found: string[][] = [];
  const inConnections = async (where: { name: string } | { externalId: string }): Promise<void> => {
    const rows = await Promise.all(
      [...connections.keys()].map(async (connection) =>
        store.find(resources, { connection, kind: 'User', ...where }),
      ),
    );
    found.push(rows.flat().map(({ id }) => id));
  };
  if (userName !== undefined) await inConnections({ name: nameKey(userName) });
  if (externalId !== undefined) await inConnections({ externalId });
  if (email !== undefined) {
    found.push((await store.find(addresses, { address: email.toLowerCase() })).map(({ id }) => id));
  }
  const [first = [], ...rest] = found;
  return first.filter((id) => rest.every((ids) => ids.includes(id))).sort();
}
