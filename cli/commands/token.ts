import { readFileSync } from 'node:fs';
import { checkEnvelope, Refusal } from '@bulla/verifier';
import { showPolicy } from '@bulla/verifier/authoring';
import { holderOf, type InspectedEnvelope, inspect } from '@bulla/verifier/envelope';
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

async function show(session: Session, given: Given): Promise<void> {
  const envelope = inspect(await readEnvelope(session, given.argument(0)));
  const limits = await Promise.all(
    envelope.effective.narrow.map((policies) => Promise.all(policies.map(policyText))),
  );
  session.output.result({ ...envelope }, [
    'NOT verified: this is only what the envelope says',
    ...describe(envelope),
    ...limits.flatMap((texts, block) => texts.map((text) => `  limit by block ${block}:\n${indent(text)}`)),
  ]);
}

async function policyText(policy: unknown): Promise<string> {
  try {
    return await showPolicy(policy as Parameters<typeof showPolicy>[0]);
  } catch {
    return JSON.stringify(policy);
  }
}

function indent(text: string): string {
  return text
    .trim()
    .split('\n')
    .map((line) => `    ${line}`)
    .join('\n');
}

function describe({ root, blocks, effective, mint }: InspectedEnvelope): string[] {
  return fields({
    person: root.sub,
    agent: root.client_id,
    audience: effective.aud.join(' '),
    issuer: root.iss,
    account: root.account,
    issued: when(root.iat),
    expires: when(effective.exp),
    policy: root.policy,
    holder: blocks.at(-1)?.holder ?? holderOf(root),
    'mint key': mint,
    blocks: blocks.length,
    'more blocks': effective.depth,
    id: root.jti,
  });
}

async function verify(session: Session, given: Given): Promise<void> {
  const text = await readEnvelope(session, given.argument(0));
  const audience = given.text('audience') ?? inspect(text).effective.aud[0] ?? '';
  await session.reading((ledger) => {
    try {
      const checked = checkEnvelope(text, { trust: ledger.trust, audience, now: ledger.now() });
      const { root, actors, holder } = checked;
      session.output.result({ holds: true, audience, actors, holder, size: ledger.trust.size, root }, [
        `holds at ${audience}, as far as that can be said without a proof`,
        ...fields({
          'acts for': actors.join(' > '),
          holder,
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
