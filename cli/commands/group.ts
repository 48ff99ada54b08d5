import type { Leaving } from '@bulla/verifier/log';
import { addMember, createGroup } from '../admin.ts';
import type { BullaCommand, Given } from '../command.ts';
import { CliError } from '../errors.ts';
import { leavingLines, leavingWith } from '../leaving.ts';
import type { Ledger } from '../ledger.ts';
import { fields, table } from '../output.ts';
import { approvalGroupsOf } from '../policy-set.ts';
import { reportEntry } from '../report.ts';
import type { Session } from '../session.ts';
import { subjectId, subjectKey } from '../subjects.ts';

export function registerGroup(admin: BullaCommand): void {
  const group = admin
    .command('group')
    .description('Groups: what policies say `in` about. A name is used once, for ever.')
    .example('bulla admin group list');
  group
    .command('add')
    .description('Create a group.')
    .argument('<name>', 'lower-case letters, digits, - and _')
    .option('--protected', 'no delegate may ever write it, whatever a lease says')
    .example('bulla admin group add finance --protected')
    .run(async (session, given) => {
      const name = given.argument(0);
      const entry = await session.signing(async (ledger) => {
        if (!given.flag('protected')) await requireUncounted(ledger, name);
        return createGroup(ledger, name, given.flag('protected'));
      });
      reportEntry(session.output, `created group ${name}`, entry, { data: { group: name } });
    });
  group
    .command('delete')
    .description('Delete a group for ever; its name stays taken.')
    .argument('<name>', 'name of the group')
    .example('bulla admin group delete interns')
    .run(async (session, given) => {
      const name = given.argument(0);
      const entry = await session.signing((ledger) => ledger.append({ type: 'group.delete', group: name }));
      reportEntry(session.output, `deleted group ${name}`, entry, { data: { group: name } });
    });
  group
    .command('add-member')
    .description('Put a person or a group into a group.')
    .argument('<name>', 'name of the group')
    .argument('<member>', 'id of a person, or name of a group')
    .example('bulla admin group add-member finance prn_3f2a9c')
    .run((session, given) => changeMember(session, given, true));
  group
    .command('remove-member')
    .description(
      'Take a person or a group out of a group. A person keeps their keys; what was minted for them ends.',
    )
    .argument('<name>', 'name of the group')
    .argument('<member>', 'id of a person, or name of a group')
    .option('--dry-run', 'show what would fall with a person, and change nothing')
    .example('bulla admin group remove-member finance prn_3f2a9c')
    .run((session, given) =>
      given.flag('dryRun') ? showFalling(session, given) : changeMember(session, given, false),
    );
  group.command('list').description('List groups.').example('bulla admin group list').run(list);
  group
    .command('show')
    .description('Show a group: members and the groups it is in.')
    .argument('<name>', 'name of the group')
    .example('bulla admin group show finance')
    .run(show);
}

/** A name is spent for ever, and approvals by people of a group that is not protected never count. */
async function requireUncounted(ledger: Ledger, group: string): Promise<void> {
  for (const slot of ledger.names('slot/')) {
    const record = ledger.trust.read(`slot/${slot}`);
    if (record?.status !== 'active') continue;
    if (!approvalGroupsOf(await ledger.policySet(record.digest)).includes(group)) continue;
    throw new CliError(
      'argument_invalid',
      `slot \`${slot}\` counts approvals by this group: add it with --protected`,
      {
        hint: 'of a group that is not protected none count, and a name is used once, for ever',
      },
    );
  }
}

async function changeMember(session: Session, given: Given, adding: boolean): Promise<void> {
  const group = given.argument(0);
  const text = given.argument(1);
  await session.signing(async (ledger) => {
    const member = text.startsWith('prn_') ? subjectKey(subjectId(ledger, text, 'prn')) : `group/${text}`;
    const agents = adding || !member.startsWith('principal/') ? [] : falling(ledger, group, text).agents;
    const entry = adding
      ? await addMember(ledger, group, member)
      : await ledger.append({ type: 'member.remove', group, member });
    const who = member.replace('principal/', '').replace('group/', 'group ');
    const said = adding ? `put ${who} into ${group}` : `took ${who} out of ${group}`;
    reportEntry(session.output, said, entry, {
      data: { group, member },
      ...(agents.length > 0 && {
        lines: [`  agents that wait until their owner or an admin resumes them: ${agents.length}`],
        next: `bulla resume ${agents[0]?.agent ?? ''} --keep-all-keys`,
      }),
    });
  });
}

/** What ends when a person leaves a group: all but their keys and their other groups. */
function falling(ledger: Ledger, group: string, text: string): Leaving {
  const leaving = leavingWith(ledger, subjectId(ledger, text, 'prn'));
  return { ...leaving, keys: [], groups: leaving.groups.filter((name) => name === group) };
}

async function showFalling(session: Session, given: Given): Promise<void> {
  const [group, text] = [given.argument(0), given.argument(1)];
  if (!text.startsWith('prn_')) {
    throw new CliError(
      'argument_invalid',
      '`--dry-run` is about a person: a group that leaves ends nothing minted',
    );
  }
  await session.reading((ledger) => {
    const leaving = falling(ledger, group, text);
    session.output.result({ dryRun: true, subject: leaving.principal, group, leaving }, [
      ...leavingLines(leaving.principal, leaving),
      'nothing was changed',
    ]);
  });
}

async function list(session: Session): Promise<void> {
  await session.reading((ledger) => {
    const groups = ledger.names('group/').flatMap((name) => {
      const record = ledger.trust.read(`group/${name}`);
      return record === undefined ? [] : [{ name, ...record, members: membersOf(ledger, name) }];
    });
    const rows = groups.map(({ name, status, members, parents, ...group }) => [
      name,
      status,
      group.protected ? 'yes' : 'no',
      String(members.length),
      parents.join(' '),
    ]);
    session.output.result({ groups }, table(['group', 'status', 'protected', 'members', 'in'], rows));
  });
}

async function show(session: Session, given: Given): Promise<void> {
  await session.reading((ledger) => {
    const name = given.argument(0);
    const record = ledger.trust.read(`group/${name}`);
    if (record === undefined)
      throw new CliError('subject_unknown', `the trust log knows no group \`${name}\``);
    const members = membersOf(ledger, name);
    session.output.result({ name, ...record, members }, [
      name,
      ...fields({
        status: record.status,
        protected: record.protected ? 'yes' : 'no',
        in: record.parents.join(' '),
        members: members.length,
      }),
      ...members.map((member) => `    ${member}`),
    ]);
  });
}

/** Direct members: people and groups. */
function membersOf(ledger: Ledger, name: string): readonly string[] {
  const { read } = ledger.trust;
  const people = ledger.names('principal/').filter((id) => read(`principal/${id}`)?.groups.includes(name));
  const groups = ledger.names('group/').filter((id) => read(`group/${id}`)?.parents.includes(name));
  return [...people.map((id) => `principal/${id}`), ...groups.map((id) => `group/${id}`)];
}
