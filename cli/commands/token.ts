import { readFileSync } from 'node:fs';
import { describeEnvelope } from '@bulla/agent';
import { checkEnvelope, limits, Refusal } from '@bulla/verifier';
import { inspect } from '@bulla/verifier/envelope';
import type { BullaCommand, Given } from '../command.ts';
import { CliError } from '../errors.ts';
import { fields, when } from '../output.ts';
import type { Session } from '../session.ts';

export function registerToken(program: BullaCommand): void {
  const token = program
    .command('token')
    .description('Look into an envelope, and check it against the log.')
    .example('bulla token inspect - < envelope.txt');
  token
    .command('inspect')
    .description('Show what an envelope says. Nothing is verified.')
    .argument('<envelope>', 'a file, or - for stdin')
    .example('bulla token inspect envelope.txt')
    .run(show);
  token
    .command('verify')
    .description(
      'Check signatures, lease, people, keys and policy against the log. A proof is not asked for.',
    )
    .argument('<envelope>', 'a file, or - for stdin')
    .option('--audience <url>', 'API it would be used at (default: the first it names)')
    .example('bulla token verify - < envelope.txt')
    .run(verify);
}

/** Never an argument: other processes of the machine can read those. */
export async function readEnvelope(session: Session, source: string): Promise<string> {
  const text = source === '-' ? await session.surroundings.readStdin() : readFile(source);
  return text.trim().replace(/^DPoP\s+/iu, '');
}

function readFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    throw new CliError('argument_invalid', `the envelope's file cannot be read`, {
      hint: 'give a file, or - and the envelope on stdin; never the envelope itself',
    });
  }
}

/** What `show` and `token inspect` do. */
export async function show(session: Session, given: Given): Promise<void> {
  const { text, ...envelope } = await describeEnvelope(await readEnvelope(session, given.argument(0)));
  session.output.result(envelope, [text]);
}

async function verify(session: Session, given: Given): Promise<void> {
  const text = await readEnvelope(session, given.argument(0));
  const audience = given.text('audience') ?? inspect(text).effective.aud[0] ?? '';
  await session.reading((ledger) => {
    try {
      const checked = checkEnvelope(text, {
        trust: ledger.trust,
        audience,
        now: ledger.now(),
        maxEnvelopeBytes: limits.maxRaisedEnvelopeBytes,
      });
      const { actors, holder } = checked;
      const { federated, ...claims } = checked.root;
      // The outside token is a credential: it is not printed.
      const root = { ...claims, ...(federated !== undefined && { federated: { trust: federated.trust } }) };
      session.output.result({ holds: true, audience, actors, holder, size: ledger.trust.size, root }, [
        `holds at ${audience}, as far as that can be said without a proof`,
        ...fields({
          'acts for': actors.join(' > '),
          holder,
          'first key': [root.key, federated?.trust ?? root.vouched?.trust ?? ''].join(' ').trim(),
          expires: when(root.exp),
          'log size': ledger.trust.size,
        }),
      ]);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      throw new CliError('token_refused', error.message, { reason: error.code });
    }
  });
}
