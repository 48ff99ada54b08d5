import { parsePublicJwk } from '@bulla/verifier';
import { cosignFirst, type Operation, parseRequest } from '@bulla/verifier/log';
import type { BullaCommand, Given } from '../command.ts';
import { CliError } from '../errors.ts';
import { readNamedFile } from '../files.ts';
import { saysFingerprint } from '../fingerprint.ts';
import { fields } from '../output.ts';
import { reportEntry } from '../report.ts';
import type { Session } from '../session.ts';

export function registerSponsor(program: BullaCommand): void {
  program
    .command('sponsor')
    .description('Vouch for people who have no log-in to confirm themselves with.')
    .example('bulla sponsor confirm hand-over.txt gym decline apple …')
    .command('confirm')
    .description(
      'Confirm somebody whose words you heard from themselves. Their key is theirs from then on, on your word.',
    )
    .argument('<file>', 'what they handed you, or - for stdin')
    .argument('<words...>', 'the 12 words of their key, as they read them to you')
    .example(
      'bulla sponsor confirm hand-over.txt gym decline apple excite obscure feel country basket rare rent fix door',
    )
    .run(confirm);
}

type Activation = Extract<Operation, { readonly type: 'principal.activate' }>;

async function confirm(session: Session, given: Given): Promise<void> {
  const file = given.argument(0);
  const text = file === '-' ? await session.surroundings.readStdin() : readNamedFile(file);
  const request = text.trim();
  const { account, op } = readHandOver(request);
  const { thumbprint } = parsePublicJwk(op.key);
  if (!saysFingerprint(given.rest(1).join(' '), thumbprint)) {
    throw new CliError('key_differs', 'these are not the words of the key in the file: nothing was signed', {
      hint: 'ask the person themselves to read the words again, over a line that you trust',
    });
  }
  if (account !== session.account.account)
    throw new CliError('argument_invalid', 'the file is about another account than the current one');
  const sponsor = await session.keys.signer(session.person.key);
  await session.reading(async (ledger) => {
    const entry = await ledger.sendRequest(cosignFirst(request, sponsor));
    reportEntry(session.output, `confirmed ${op.principal}`, entry, {
      data: { principal: op.principal, key: thumbprint },
      lines: fields({ key: thumbprint, assurance: 'sponsor' }),
      next: 'tell them to run `bulla activate` with their invitation again',
    });
  });
}

function readHandOver(request: string): { readonly account: string; readonly op: Activation } {
  try {
    const { account, op } = parseRequest(request);
    if (op.type === 'principal.activate' && op.login === undefined) return { account, op };
  } catch {
    // Falls through: what is wrong with it says nothing to whoever was handed it.
  }
  throw new CliError('argument_invalid', 'the file is not what `bulla activate` hands over for a sponsor');
}
