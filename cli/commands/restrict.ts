import { inspect } from '@bulla/verifier/envelope';
import { resume, revoke, revokeCapability, suspend } from '../admin.ts';
import type { BullaCommand, Given } from '../command.ts';
import { CliError } from '../errors.ts';
import { leavingLines, leavingWith } from '../leaving.ts';
import type { Ledger } from '../ledger.ts';
import { reportEntry } from '../report.ts';
import type { Session } from '../session.ts';
import { isThumbprint, subjectId, subjectKey } from '../subjects.ts';
import { readEnvelope } from './token.ts';

export function registerRestrict(program: BullaCommand): void {
  program
    .command('suspend')
    .description('Suspend a person with all their agents, or one agent. Done means: seen in a checkpoint.')
    .argument('<subject>', 'id of a person or agent')
    .option('--dry-run', 'show all that would end with it, and change nothing')
    .example('bulla suspend prn_3f2a9c --dry-run')
    .run(async (session, given) => {
      if (given.flag('dryRun')) return showLeaving(session, given.argument(0));
      await session.acting(async (ledger) => {
        const id = subjectId(ledger, given.argument(0));
        const entry = await suspend(ledger, id);
        reportEntry(session.output, `suspended ${id}`, entry, {
          data: { subject: id },
          next: `bulla resume ${id} --keep-key <thumbprint>; keys that are not kept end for ever`,
        });
      });
    });
  program
    .command('resume')
    .description('Lift a suspension. Keys that are not named end for ever.')
    .argument('<subject>', 'id of a person or agent')
    .many('--keep-key <thumbprint>', 'key that stays; repeat')
    .option('--keep-all-keys', 'all keys stay: only where none can have leaked')
    .example('bulla resume agt_9b01d4 --keep-all-keys')
    .run(lift);
  program
    .command('revoke')
    .description('End a person, an agent, a key or one capability. There is no way back.')
    .argument('[subject]', 'id of a person or agent, or thumbprint of a key')
    .option('--since <seq>', 'with a key: what it added from this entry on ends too')
    .option('--dry-run', 'with a person or agent: show all that would end, and change nothing')
    .option('--capability <envelope>', 'file with an envelope, or - for stdin: ends this one capability')
    .example('bulla revoke agt_9b01d4')
    .run(end);
}

/** What `suspend` and `revoke` would end. Needs no key: whoever follows the log may look. */
async function showLeaving(session: Session, text: string): Promise<void> {
  await session.reading((ledger) => {
    const id = subjectId(ledger, text);
    const leaving = leavingWith(ledger, id);
    session.output.result({ dryRun: true, subject: id, leaving }, [
      ...leavingLines(id, leaving),
      'nothing was changed',
    ]);
  });
}

async function lift(session: Session, given: Given): Promise<void> {
  await session.acting(async (ledger) => {
    const id = subjectId(ledger, given.argument(0));
    const all = keysOf(ledger, id);
    const kept = given.flag('keepAllKeys') ? all : given.list('keepKey');
    const entry = await resume(ledger, id, kept);
    const ended = all.length - kept.length;
    reportEntry(session.output, `resumed ${id}; ${kept.length} keys stay, ${ended} end`, entry, {
      data: { subject: id, keys: kept },
      ...(kept.length === 0 && { next: `bulla admin key add ${id} --key <key>` }),
    });
  });
}

function keysOf(ledger: Ledger, id: string): readonly string[] {
  const record = ledger.trust.read(subjectKey(id));
  return record?.keys ?? [];
}

async function end(session: Session, given: Given): Promise<void> {
  const envelope = given.text('capability');
  const subject = given.optionalArgument(0);
  if ((envelope === undefined) === (subject === undefined)) {
    throw new CliError('argument_invalid', 'name either a subject or `--capability`');
  }
  if (given.flag('dryRun')) return showLeaving(session, subject ?? '');
  if (envelope !== undefined) {
    await endCapability(session, envelope);
    return;
  }
  const text = subject ?? '';
  await session.acting(async (ledger) => {
    const id = isThumbprint(text) && !/^(?:prn|agt)_/u.test(text) ? text : subjectId(ledger, text);
    const entry = await revoke(ledger, id, given.integer('since'));
    reportEntry(session.output, `ended ${id} for ever`, entry, { data: { subject: id } });
  });
}

async function endCapability(session: Session, source: string): Promise<void> {
  const { root } = inspect(await readEnvelope(session, source));
  await session.signing(async (ledger) => {
    const entry = await revokeCapability(ledger, root.jti, root.exp);
    reportEntry(session.output, 'ended this capability', entry, {
      data: { jti: root.jti },
      lines: ['  its holder may exchange for another: suspend the agent to prevent that'],
    });
  });
}
