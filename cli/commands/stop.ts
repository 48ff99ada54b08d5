import { appendFileSync } from 'node:fs';
import { inspect } from '@bulla/verifier/envelope';
import type { Operation } from '@bulla/verifier/log';
import type { BullaCommand, Given } from '../command.ts';
import { type CliCode, CliError, describeFailure, exitCodes } from '../errors.ts';
import type { Ledger } from '../ledger.ts';
import type { Session } from '../session.ts';
import { isThumbprint, subjectId } from '../subjects.ts';
import { readEnvelope } from './token.ts';

export function registerStop(program: BullaCommand): void {
  program
    .command('stop')
    .description(
      'Hand a signed restriction straight to verifiers, whatever the issuer does. It is logged too, where possible.',
    )
    .argument(
      '[subject]',
      'id of a person or agent, thumbprint of a key, URL of an audience, slot:<name> or federation:<name>',
    )
    .many('--to <target>', 'stop URL of an API, or a file that its follower watches; repeat')
    .option('--for-ever', 'end a person or agent instead of suspending')
    .option('--capability <envelope>', 'file with an envelope, or - for stdin: stop this one capability')
    .option('--no-log', 'tell the issuer nothing; the stop then stays until that very leaf is in the log')
    .example('bulla stop agt_9b01d4 --to https://orders.example/.bulla/stop')
    .run(stop);
}

const stopUnconfirmed: CliCode = 'stop_unconfirmed';

async function stop(session: Session, given: Given): Promise<number | undefined> {
  const targets = given.each('to');
  if (targets.length === 0) throw new CliError('argument_invalid', '`--to` is missing: a URL or a file');
  const capability = given.text('capability');
  const envelope = capability === undefined ? undefined : await readEnvelope(session, capability);
  return session.stopping(async (ledger) => {
    const op = restrictionOf(ledger, given, envelope);
    const silently = !given.flag('log');
    const offered = await ledger.offer(op, silently);
    const delivered = await Promise.all(targets.map((target) => deliver(session, target, offered.leaf)));
    const log = silently ? 'not told' : await seenInLog(session, ledger, offered);
    const failed = delivered.filter(({ error }) => error !== undefined);
    const { exit } = exitCodes.unconfirmed;
    const message = `NOT stopped at ${failed.length} of ${delivered.length} verifiers`;
    const missed = failed.length === 0 ? undefined : { code: stopUnconfirmed, message, exit };
    const done = missed === undefined ? op.type : null;
    session.output.result({ done, delivered, log, error: missed }, [
      missed === undefined ? `stopped at ${delivered.length} verifiers` : `${message} (${stopUnconfirmed})`,
      ...delivered.map(
        ({ target, error }) =>
          `  ${error === undefined ? 'ok  ' : 'FAIL'}  ${target}${error === undefined ? '' : `: ${error}`}`,
      ),
      `  log: ${log}`,
    ]);
    return missed?.exit;
  });
}

/** The verifiers have it by now; whether the log shows it too is worth knowing, and changes nothing there. */
async function seenInLog(
  session: Session,
  ledger: Ledger,
  { failure, ...signed }: Awaited<ReturnType<Ledger['offer']>>,
): Promise<string> {
  try {
    if (failure !== undefined) throw failure;
    const { seq } = await ledger.confirm(signed);
    return `entry ${seq}, seen in a checkpoint`;
  } catch (error) {
    const { code, message, reason } = describeFailure(error);
    session.output.warn(`the log does not show it: ${message} (${reason ?? code})`);
    return `not seen: ${reason ?? code}`;
  }
}

function restrictionOf(ledger: Ledger, given: Given, envelope: string | undefined): Operation {
  if (envelope !== undefined) {
    const { root } = inspect(envelope);
    return { type: 'capability.revoke', jti: root.jti, exp: root.exp };
  }
  const subject = given.argument(0);
  if (subject.startsWith('slot:')) return { type: 'policy.retire', slot: subject.slice('slot:'.length) };
  if (subject.startsWith('federation:')) {
    return { type: 'federation.distrust', name: subject.slice('federation:'.length) };
  }
  if (URL.canParse(subject)) return { type: 'audience.retire', audience: subject };
  if (isThumbprint(subject)) {
    const isDelegate = ledger.trust.read(`delegate/${subject}`) !== undefined;
    return { type: isDelegate ? 'delegate.revoke' : 'key.revoke', key: subject };
  }
  const id = subjectId(ledger, subject);
  const forEver = given.flag('forEver');
  if (id.startsWith('agt_')) return { type: forEver ? 'agent.revoke' : 'agent.suspend', agent: id };
  return { type: forEver ? 'principal.deprovision' : 'principal.suspend', principal: id };
}

interface Delivery {
  readonly target: string;
  readonly error?: string;
}

async function deliver({ surroundings }: Session, target: string, leaf: string): Promise<Delivery> {
  try {
    if (!/^https?:\/\//u.test(target)) {
      appendFileSync(target, `${leaf}\n`);
      return { target };
    }
    const response = await surroundings.ports.fetch(target, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ leaf }),
      redirect: 'manual',
      signal: AbortSignal.timeout(deliveryMilliseconds),
    });
    return response.ok ? { target } : { target, error: `answered ${response.status}` };
  } catch {
    return { target, error: 'did not answer, or could not be written' };
  }
}

const deliveryMilliseconds = 10_000;
