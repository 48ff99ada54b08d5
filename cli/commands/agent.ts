import { readFileSync } from 'node:fs';
import { type Json, parseJson } from '@bulla/verifier/envelope';
import { agentIsLive } from '@bulla/verifier/log';
import { limitAgent, registerAgent, vouchFor } from '../admin.ts';
import type { BullaCommand, Given } from '../command.ts';
import { CliError } from '../errors.ts';
import type { Ledger } from '../ledger.ts';
import { fields, table } from '../output.ts';
import { reportEntry } from '../report.ts';
import type { Session } from '../session.ts';
import { subjectId, withSources } from '../subjects.ts';

type AgentKind = 'autonomous' | 'interactive';

export function registerAgentCommands(admin: BullaCommand): void {
  const agent = admin
    .command('agent')
    .description('Agents: programs that act for a person, with a key of their own.')
    .example('bulla admin agent list');
  agent
    .command('add')
    .description('Register an agent for an active person.')
    .requiredOption('--owner <person>', 'for whom the agent acts')
    .option('--key <key>', "the agent's key: a name in the home (made if there is none) or a file")
    .option('--keyless', 'no key of its own: it will exchange tokens of an outside issuer')
    .option('--interactive', 'a person sits at it')
    .example('bulla admin agent add --owner prn_3f2a9c --key ci')
    .run((session, given) =>
      session.signing((ledger) =>
        add(session, ledger, given, subjectId(ledger, given.required('owner'), 'prn')),
      ),
    );
  agent
    .command('limit')
    .description("Set an agent's standing limits: forbid policies that always apply.")
    .argument('<agent>', 'id of the agent')
    .argument('<file>', 'JSON file with a list of forbid policies (Cedar EST); [] lifts the limits')
    .example('bulla admin agent limit agt_9b01d4 limits.json')
    .run((session, given) => session.signing((ledger) => limit(session, ledger, given)));
  agent
    .command('vouch')
    .description('Set what an agent may do with a key that the issuer alone vouches for.')
    .argument('<agent>', 'id of the agent')
    .argument('[actions...]', 'ids of Cedar actions; they replace those listed before')
    .option('--none', 'list nothing any more')
    .example('bulla admin agent vouch agt_9b01d4 read list')
    .run(vouch);
  agent
    .command('list')
    .description('List agents.')
    .option('--owner <person>', 'of this person only')
    .example('bulla admin agent list')
    .run((session, given) =>
      session.reading((ledger) => {
        const owner = given.text('owner');
        list(session, ledger, owner === undefined ? undefined : subjectId(ledger, owner, 'prn'));
      }),
    );
  agent
    .command('show')
    .description('Show an agent: status, owner, keys, limits.')
    .argument('<agent>', 'id of the agent')
    .example('bulla admin agent show agt_9b01d4')
    .run((session, given) =>
      session.reading((ledger) => show(session, ledger, subjectId(ledger, given.argument(0), 'agt'))),
    );
}

/** Registers an agent as the options of `agent add` say, for an owner. */
export async function add(session: Session, ledger: Ledger, given: Given, owner: string): Promise<void> {
  const kind = given.flag('interactive') ? 'interactive' : 'autonomous';
  if (given.flag('keyless')) return addKeyless(session, ledger, { given, owner, kind });
  const name = given.required('key');
  const { signer, made } = await session.keys.signerOrNew(name);
  const { agent, entry } = await registerAgent(ledger, { owner, kind, key: signer });
  const { thumbprint } = signer.publicKey;
  reportEntry(session.output, `registered ${agent} for ${owner}`, entry, {
    data: { agent, owner, key: thumbprint },
    lines: fields({ key: thumbprint, 'kept as': made ? name : undefined }),
    next: `bulla call --agent ${agent} --key ${name} --resource <audience> <url>`,
  });
}

async function addKeyless(
  session: Session,
  ledger: Ledger,
  { given, owner, kind }: { readonly given: Given; readonly owner: string; readonly kind: AgentKind },
): Promise<void> {
  if (given.text('key') !== undefined) {
    throw new CliError('argument_invalid', '`--keyless` and `--key` do not go together');
  }
  const { agent, entry } = await registerAgent(ledger, { owner, kind });
  reportEntry(session.output, `registered ${agent} for ${owner}, without a key`, entry, {
    data: { agent, owner },
    next: `bulla admin federation trust <name> --agent ${agent} --github <owner/repository>`,
  });
}

async function vouch(session: Session, given: Given): Promise<void> {
  const actions = given.rest(1);
  if ((actions.length === 0) !== given.flag('none')) {
    throw new CliError('argument_invalid', 'name the actions, or `--none`');
  }
  await session.signing(async (ledger) => {
    const agent = subjectId(ledger, given.argument(0), 'agt');
    const entry = await vouchFor(ledger, agent, actions);
    const listed = actions.length === 0 ? 'nothing' : actions.join(', ');
    reportEntry(session.output, `${agent} may do with a vouched key: ${listed}`, entry, {
      data: { agent, actions },
      lines: ['whoever has the mint key of the issuer may do these in the name of the agent'],
    });
  });
}

/** Sets the limits of an agent that whoever asks may set. */
export async function limit(session: Session, ledger: Ledger, given: Given): Promise<void> {
  const policies = readPolicies(given.argument(1));
  const agent = subjectId(ledger, given.argument(0), 'agt');
  const entry = await limitAgent(ledger, agent, policies);
  const by = entry.change.by.rank === 'admin' ? 'admins' : 'its owner';
  reportEntry(session.output, `${agent} now has ${policies.length} limits by ${by}`, entry, {
    data: { agent, limits: policies.length },
  });
}

/** Ids of the agents of a person, or of all, revoked ones too. */
export function agentsOf(ledger: Ledger, owner?: string): readonly string[] {
  const { read } = ledger.trust;
  return ledger.names('agent/').filter((id) => owner === undefined || read(`agent/${id}`)?.owner === owner);
}

/** Lists the agents of a person, or all. */
export function list(session: Session, ledger: Ledger, owner?: string): void {
  const agents = agentsOf(ledger, owner).flatMap((id) => {
    const record = ledger.trust.read(`agent/${id}`);
    return record === undefined ? [] : [{ id, ...record, status: statusOf(ledger, id) }];
  });
  const rows = agents.map(({ id, status, kind, owner: person }) => [id, status, kind, person]);
  session.output.result({ agents }, table(['agent', 'status', 'kind', 'owner'], rows));
}

/** Shows one agent. */
export function show(session: Session, ledger: Ledger, id: string): void {
  const record = ledger.trust.read(`agent/${id}`);
  const status = statusOf(ledger, id);
  session.output.result({ id, ...record, status }, [
    id,
    ...fields({
      status,
      owner: record?.owner,
      kind: record?.kind,
      keys: record?.keys.join(' '),
      'registered by': record?.registeredBy,
      'vouched actions': record?.vouched?.join(' '),
      'limits by admins': record?.limits.admin.length,
      'limits by owner': record?.limits.owner.length,
      epoch: record?.epoch,
    }),
  ]);
}

/** An agent may be dead although nothing was done to it: its owner was suspended, or the key that took it on was revoked. */
export function statusOf(ledger: Ledger, id: string): string {
  const { read } = ledger.trust;
  const record = read(`agent/${id}`);
  if (record === undefined) return 'unknown';
  if (record.status !== 'active') {
    return withSources(record);
  }
  return agentIsLive(read, id) ? 'active' : 'suspended (with its owner)';
}

function readPolicies(file: string): readonly Json[] {
  try {
    const value = parseJson(readFileSync(file));
    if (Array.isArray(value)) return value as readonly Json[];
  } catch {
    // Falls through.
  }
  throw new CliError('argument_invalid', `\`${file}\` is not a JSON list of policies`);
}
