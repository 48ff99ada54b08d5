import { agentIsLive } from '@bulla/verifier/log';
import { type Confirmed, resume, revoke, suspend } from '../admin.ts';
import type { BullaCommand, Given } from '../command.ts';
import { CliError } from '../errors.ts';
import type { Ledger } from '../ledger.ts';
import { table } from '../output.ts';
import { reportEntry } from '../report.ts';
import type { Session } from '../session.ts';
import { subjectId } from '../subjects.ts';
import { add, agentsOf, limit, list, show, statusOf } from './agent.ts';

/** What a person does with the agents that they own. Each is a request that their own key signs. */
export function registerOwnAgents(program: BullaCommand): void {
  const agent = program
    .command('agent')
    .description('Your own agents: programs that act for you. Your key asks for each change.')
    .example('bulla agent list');
  agent
    .command('add')
    .description('Register an agent of yours.')
    .option('--key <key>', "the agent's key: a name in the home (made if there is none) or a file")
    .option('--keyless', 'no key of its own: it will exchange tokens of an outside issuer')
    .example('bulla agent add --key ci')
    .run((session, given) => session.asking((ledger, { id }) => add(session, ledger, given, id)));
  agent
    .command('limit')
    .description("Set your own limits on an agent of yours: forbid policies, beside the admins'.")
    .argument('<agent>', 'id of the agent')
    .argument('<file>', 'JSON file with a list of forbid policies (Cedar EST); [] lifts your limits')
    .example('bulla agent limit agt_9b01d4 limits.json')
    .run((session, given) => session.asking((ledger) => limit(session, ledger, given)));
  agent
    .command('list')
    .description('List your agents.')
    .example('bulla agent list')
    .run(async (session) => {
      const { id: owner } = session.person;
      await session.reading((ledger) => list(session, ledger, owner));
    });
  agent
    .command('show')
    .description('Show an agent: status, owner, keys, limits.')
    .argument('<agent>', 'id of the agent')
    .example('bulla agent show agt_9b01d4')
    .run((session, given) =>
      session.reading((ledger) => show(session, ledger, subjectId(ledger, given.argument(0), 'agt'))),
    );
  registerEnding(agent);
}

function registerEnding(agent: BullaCommand): void {
  agent
    .command('suspend')
    .description('Suspend an agent of yours. Done means: seen in a checkpoint.')
    .argument('<agent>', 'id of the agent')
    .example('bulla agent suspend agt_9b01d4')
    .run((session, given) =>
      session.asking(async (ledger) => {
        const id = subjectId(ledger, given.argument(0), 'agt');
        const entry = await suspend(ledger, id);
        reportEntry(session.output, `suspended ${id}`, entry, { data: { agent: id } });
      }),
    );
  agent
    .command('resume')
    .description('Take an agent on again, or all that fell: after a suspension of yours, or of you.')
    .argument('[agent]', 'id of the agent')
    .option('--all', 'all of your agents that are down')
    .many('--keep-key <thumbprint>', 'key of the agent that stays; repeat')
    .option('--keep-all-keys', 'all keys stay: only where none can have leaked')
    .example('bulla agent resume --all --keep-all-keys')
    .run(resumeOwn);
  agent
    .command('revoke')
    .description('End an agent of yours for ever.')
    .argument('<agent>', 'id of the agent')
    .example('bulla agent revoke agt_9b01d4')
    .run((session, given) =>
      session.asking(async (ledger) => {
        const id = subjectId(ledger, given.argument(0), 'agt');
        const entry = await revoke(ledger, id);
        reportEntry(session.output, `ended ${id} for ever`, entry, { data: { agent: id } });
      }),
    );
}

async function resumeOwn(session: Session, given: Given): Promise<void> {
  const text = given.optionalArgument(0);
  const all = given.flag('all');
  if ((text !== undefined) === all) throw new CliError('argument_invalid', 'name one agent, or `--all`');
  if (all && given.list('keepKey').length > 0)
    throw new CliError('argument_invalid', '`--all` goes with `--keep-all-keys`, or with no key that stays');
  await session.asking(async (ledger, { id: owner }) => {
    if (text === undefined) return resumeAll(session, ledger, given, owner);
    const id = subjectId(ledger, text, 'agt');
    const keys = given.flag('keepAllKeys') ? keysOf(ledger, id) : given.list('keepKey');
    const had = keysOf(ledger, id).length;
    const entry = await resume(ledger, id, keys);
    warnOfEnded(session, had - keys.length, id);
    reportEntry(session.output, `resumed ${id}; ${keys.length} of its keys stay`, entry, {
      data: { agent: id, keys },
    });
  });
}

/** One entry each: what one of them is refused for, such as an admin's suspension, holds up no other. */
/** A key that ended comes back for nobody, so that the agent needs another one. */
function warnOfEnded(session: Session, ended: number, agent: string): void {
  if (ended <= 0) return;
  session.output.warn(
    `${ended === 1 ? 'one key' : `${ended} keys`} of ${agent} ended for ever; a new one: \`bulla key add ${agent} --key <name>\``,
  );
}

async function resumeAll(session: Session, ledger: Ledger, given: Given, owner: string): Promise<void> {
  const { read } = ledger.trust;
  const down = agentsOf(ledger, owner).filter(
    (id) => read(`agent/${id}`)?.status !== 'revoked' && !agentIsLive(read, id),
  );
  const done: { agent: string; status: string; refused?: string }[] = [];
  for (const id of down) {
    const had = keysOf(ledger, id);
    const kept = given.flag('keepAllKeys') ? had : [];
    const refused = await tried(resume(ledger, id, kept));
    if (refused === undefined) warnOfEnded(session, had.length - kept.length, id);
    done.push({ agent: id, status: statusOf(ledger, id), ...(refused !== undefined && { refused }) });
  }
  const rows = done.map(({ agent, status, refused }) => [agent, status, refused ?? '']);
  session.output.result({ agents: done }, table(['agent', 'status', 'refused'], rows));
  if (done.some(({ refused }) => refused !== undefined)) session.exit = 3;
}

/** Why the log did not take it: undefined where it did. */
async function tried(entry: Promise<Confirmed>): Promise<string | undefined> {
  try {
    await entry;
    return undefined;
  } catch (error) {
    if (error instanceof CliError && error.code === 'issuer_refused') return error.reason ?? error.code;
    throw error;
  }
}

function keysOf(ledger: Ledger, id: string): readonly string[] {
  return ledger.trust.read(`agent/${id}`)?.keys ?? [];
}
