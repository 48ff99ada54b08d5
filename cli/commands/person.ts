import { isJsonObject, type JsonObject, parseJson } from '@bulla/verifier/envelope';
import { groupsOf } from '@bulla/verifier/log';
import { activatePerson, addPerson, updatePerson } from '../admin.ts';
import type { BullaCommand, Given } from '../command.ts';
import { CliError } from '../errors.ts';
import type { Ledger } from '../ledger.ts';
import { fields, type Result, table } from '../output.ts';
import { reportEntry } from '../report.ts';
import type { Session } from '../session.ts';
import { subjectId, withSources } from '../subjects.ts';
import { agentsOf } from './agent.ts';

export function registerPerson(admin: BullaCommand): void {
  const person = admin
    .command('person')
    .description('People: they own agents, and policies speak about them.')
    .example('bulla admin person list');
  person
    .command('add')
    .description('Add a person; with --key they are activated at once, on your word.')
    .many('--group <name>', 'group the person is in; repeat, or separate with commas')
    .option('--attributes <json>', 'attributes that policies may read, as a JSON object', '{}')
    .option('--sponsor', 'may confirm the activation of other people')
    .option('--domain <domain>', 'e-mail domain of the person')
    .option('--key <key>', "the person's key: a name in the home (made if there is none) or a file")
    .example('bulla admin person add --group engineering --key alice')
    .run(add);
  person
    .command('activate')
    .description('Activate a pending person with their first key.')
    .argument('<person>', 'id of the person')
    .requiredOption('--key <key>', "the person's key: a name in the home (made if there is none) or a file")
    .example('bulla admin person activate prn_3f2a9c --key bob')
    .run(activate);
  person
    .command('update')
    .description("Replace a person's attributes: what is not named is gone.")
    .argument('<person>', 'id of the person')
    .requiredOption('--attributes <json>', 'attributes that policies may read, as a JSON object')
    .option('--domain <domain>', 'another e-mail domain')
    .example(`bulla admin person update prn_3f2a9c --attributes '{"team":"blue"}'`)
    .run(update);
  person.command('list').description('List people.').example('bulla admin person list').run(list);
  person
    .command('show')
    .description('Show a person: status, groups, keys, agents.')
    .argument('<person>', 'id of the person')
    .example('bulla admin person show prn_3f2a9c')
    .run((session, given) =>
      session.reading((ledger) => show(session, ledger, subjectId(ledger, given.argument(0), 'prn'))),
    );
}

async function add(session: Session, given: Given): Promise<void> {
  const { output, keys } = session;
  const attributes = readAttributes(given.text('attributes') ?? '{}');
  const name = given.text('key');
  await session.signing(async (ledger) => {
    const own = name === undefined ? undefined : await keys.signerOrNew(name);
    const { principal, entries } = await addPerson(ledger, {
      groups: given.list('group'),
      attributes,
      sponsor: given.flag('sponsor'),
      ...domainOf(given),
      ...(own !== undefined && { key: own.signer }),
    });
    const last = entries.at(-1);
    if (last === undefined) return;
    const status = own === undefined ? 'pending' : 'active';
    const thumbprint = own?.signer.publicKey.thumbprint;
    reportEntry(output, `added ${principal}, ${status}`, last, {
      data: { principal, status, ...(thumbprint !== undefined && { key: thumbprint }) },
      lines: fields({ key: thumbprint, 'kept as': own?.made === true ? name : undefined }),
      next:
        own === undefined
          ? `bulla admin person activate ${principal} --key <key>`
          : `bulla admin agent add --owner ${principal} --key <key>`,
    });
  });
}

async function update(session: Session, given: Given): Promise<void> {
  const attributes = readAttributes(given.required('attributes'));
  const { domain } = domainOf(given);
  await session.signing(async (ledger) => {
    const principal = subjectId(ledger, given.argument(0), 'prn');
    const entry = await updatePerson(ledger, principal, attributes, domain);
    reportEntry(session.output, `updated ${principal}`, entry, { data: { principal } });
  });
}

function domainOf(given: Given): { readonly domain?: string } {
  const domain = given.text('domain')?.toLowerCase();
  return domain === undefined ? {} : { domain };
}

async function activate(session: Session, given: Given): Promise<void> {
  const { output, keys } = session;
  await session.signing(async (ledger) => {
    const principal = subjectId(ledger, given.argument(0), 'prn');
    const { signer } = await keys.signerOrNew(given.required('key'));
    const entry = await activatePerson(ledger, principal, signer);
    const { thumbprint } = signer.publicKey;
    reportEntry(output, `activated ${principal}`, entry, {
      data: { principal, key: thumbprint },
      lines: fields({ key: thumbprint }),
    });
  });
}

async function list(session: Session): Promise<void> {
  await session.reading((ledger) => {
    const people = ledger.names('principal/').flatMap((id) => {
      const record = ledger.trust.read(`principal/${id}`);
      return record === undefined ? [] : [{ id, ...record }];
    });
    const rows = people.map(({ id, status, groups, keys, agents }) => [
      id,
      status,
      String(keys.length),
      String(agents),
      groups.join(' '),
    ]);
    session.output.result({ people }, table(['person', 'status', 'keys', 'agents', 'groups'], rows));
  });
}

/** Shows one person: what the log knows, and nothing that a directory says. */
export function show(
  session: Session,
  ledger: Ledger,
  id: string,
  more: Result = {},
  lines: readonly string[] = [],
): void {
  const { read } = ledger.trust;
  const record = read(`principal/${id}`);
  const agents = agentsOf(ledger, id);
  const effectiveGroups = record === undefined ? [] : groupsOf(read, record);
  session.output.result({ id, ...record, effectiveGroups, agentIds: agents, ...more }, [
    id,
    ...fields({
      status: record && withSources(record),
      assurance: record?.assurance,
      sponsor: record?.sponsor === true ? 'yes' : undefined,
      groups: record?.groups.join(' '),
      'groups, all': effectiveGroups.join(' '),
      attributes: JSON.stringify(record?.attributes),
      connection: record?.connection ?? undefined,
      domain: record?.domain ?? undefined,
      login: record?.login?.trust,
      keys: record?.keys.join(' '),
      agents: agents.join(' '),
      epoch: record?.epoch,
    }),
    ...lines,
  ]);
}

function readAttributes(text: string): JsonObject {
  try {
    const value = parseJson(Buffer.from(text));
    if (isJsonObject(value)) return value;
  } catch {
    // Falls through: the parser's message says less.
  }
  throw new CliError('argument_invalid', '`--attributes` is not a JSON object with whole numbers');
}
