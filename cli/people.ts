import { isJsonObject } from '@bulla/verifier/envelope';
import type { Given } from './command.ts';
import { Contacts } from './contacts.ts';
import { CliError } from './errors.ts';
import type { Ledger } from './ledger.ts';
import { askAsOperator } from './operator.ts';
import type { Session } from './session.ts';
import { subjectId } from './subjects.ts';

/** A person who was named, and on whose word the name is theirs. */
export interface NamedPerson {
  /** `prn_…`, which the log knows. */
  readonly principal: string;
  /** What this home calls them, where it does. */
  readonly name: string | undefined;
  /** True where only the issuer's directory says that the name is theirs: whoever runs it can say otherwise. */
  readonly directory: boolean;
}

/**
 * The person meant: an id or the beginning of one, a name that this home has for somebody, or, for whoever is logged in as operator, a
 * name of the issuer's directory (a whole `userName`, or what stands before its `@`).
 *
 * @throws {CliError} `argument_invalid`, `subject_unknown`.
 */
export async function namedPerson(
  session: Session,
  ledger: Ledger,
  who: string,
  given: Given,
): Promise<NamedPerson> {
  const contacts = new Contacts(session.home, session.account.account);
  const known = contacts.idOf(who) ?? (/^(?:prn|agt)_/u.test(who) ? who : undefined);
  const principal = subjectId(ledger, known ?? (await fromDirectory(session, who, given)), 'prn');
  return { principal, name: contacts.nameOf(principal), directory: known === undefined };
}

async function fromDirectory(session: Session, who: string, given: Given): Promise<string> {
  // The answer ends at 50 names that begin so: with the `@`, all of them fit, and nobody is hidden behind others of longer names.
  const queries = who.includes('@') ? [who] : [who, `${who}@`];
  const found: unknown[] = [];
  for (const query of queries) found.push(...(await asked(session, query, given.text('operatorTokenFile'))));
  const wanted = who.toLowerCase();
  const ids = found.flatMap((person) => {
    if (!isJsonObject(person)) return [];
    const { id, user_name: name } = person;
    if (typeof id !== 'string' || typeof name !== 'string') return [];
    const spelled = name.toLowerCase();
    return spelled === wanted || spelled.split('@')[0] === wanted ? [id] : [];
  });
  const [id, ...others] = new Set(ids);
  if (id === undefined) throw new CliError('subject_unknown', 'nobody of this account has this name');
  if (others.length > 0)
    throw new CliError(
      'argument_invalid',
      `${others.length + 1} people have this name: use the whole \`userName\`, or an id`,
    );
  return id;
}

async function asked(
  session: Session,
  who: string,
  tokenFile: string | undefined,
): Promise<readonly unknown[]> {
  const query = new URLSearchParams({ query: who }).toString();
  try {
    const { people } = await askAsOperator(session, `/people?${query}`, { tokenFile });
    return Array.isArray(people) ? people : [];
  } catch (error) {
    if (!(error instanceof CliError) || error.code !== 'operator_missing') throw error;
    throw new CliError('subject_unknown', 'this home has nobody of this name', {
      hint: 'use the id; `bulla key verify prn_… --as <name>` keeps a name, and operators may ask the directory (`bulla operator login`)',
    });
  }
}
