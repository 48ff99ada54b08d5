import { type Account, openAccount } from '../account.ts';
import type { IssuerConfig } from '../config.ts';
import { ConfigError, IssuerRefusal } from '../errors.ts';
import type { IssuerPorts } from '../ports.ts';
import { storedTables } from '../store/tables.ts';

/** What an erasure did. */
export interface Erased {
  /** Whether the person was live until then. */
  readonly deprovisioned: boolean;
  /** Rows that are gone. */
  readonly rows: number;
}

/**
 * Deletes everything that this issuer keeps about a person beside the log, after deprovisioning them where they are live (by the
 * delegate of their connection), and overwrites it on disk. The log keeps their random id, keys, groups, e-mail domain, mapped
 * attributes and a salted hash of which the salt is deleted here: it verifies as before. Does NOT reach backups of the database, log
 * files of a proxy, mail that was sent, nor what APIs keep.
 *
 * @throws {IssuerRefusal} `person_unknown`; `erase_live` where an admin has to deprovision them first; `store_unavailable`.
 * @throws {Refusal} whatever a rule says to the deprovisioning; nothing is deleted then.
 */
export async function erasePerson(account: Account, principal: string): Promise<Erased> {
  const { connections, log, people, ports, store } = account;
  const person = log.read(`principal/${principal}`);
  if (person === undefined) throw new IssuerRefusal('person_unknown', 'no such person');
  const deprovisioned = person.status !== 'deprovisioned';
  const tables = storedTables.flatMap((table) =>
    table.person === undefined ? [] : [{ ...table, person: table.person }],
  );
  let rows = 0;
  for (const table of tables) rows += await store.count(table, { [table.person]: principal });
  if (deprovisioned) {
    const connection = connections.get(person.connection ?? '');
    if (connection === undefined) {
      throw new IssuerRefusal('erase_live', 'an admin has to deprovision this person first');
    }
    await people.deprovision(connection, principal);
  }
  await store.writeRows(
    tables.map((table) => ({ kind: 'remove', table, where: { [table.person]: principal } })),
  );
  await store.scrub();
  ports.log({ level: 'info', event: 'person.erased', account: log.account, principal, rows });
  return { deprovisioned, rows };
}

/**
 * The same from outside a running issuer, which goes on meanwhile.
 *
 * @throws as {@link erasePerson} and {@link openAccount}; {@link ConfigError} for an account that is not in the configuration.
 */
export async function eraseFromDatabase(
  config: IssuerConfig,
  given: { readonly account: string; readonly principal: string },
  ports: IssuerPorts,
): Promise<Erased> {
  const found = config.accounts.find(({ account }) => account === given.account);
  if (found === undefined) throw new ConfigError('`accounts`: the account is not in the configuration');
  const store = ports.openStore(config.database);
  try {
    const account = await openAccount(found, config, store, ports);
    try {
      return await erasePerson(account, given.principal);
    } finally {
      await account.log.close();
    }
  } finally {
    await store.close();
  }
}
