import { addKey, revoke } from '../admin.ts';
import type { BullaCommand, Given } from '../command.ts';
import { CliError } from '../errors.ts';
import { fingerprintLines } from '../fingerprint.ts';
import { fields } from '../output.ts';
import { reportEntry } from '../report.ts';
import type { Session } from '../session.ts';
import { isThumbprint, subjectId, subjectKey } from '../subjects.ts';
import { registerKeyCheck } from './key-check.ts';

/** Keys of people: whose is whose, and what a person does with their own. */
export function registerOwnKeys(program: BullaCommand): void {
  const key = program
    .command('key')
    .description('Whose key is whose, in words to read aloud; and your own keys.')
    .example('bulla key show prn_3f2a9c');
  registerKeyCheck(key);
  key
    .command('add')
    .description('Give yourself, or an agent of yours, a further key.')
    .argument('[agent]', 'id of an agent of yours (default: yourself)')
    .requiredOption('--key <key>', 'the new key: a name in the home (made if there is none) or a file')
    .example('bulla key add agt_9b01d4 --key ci-2')
    .run(add);
  key
    .command('rotate')
    .description('Replace your key by a new one. The old key itself signs for it, and ends.')
    .requiredOption('--new <key>', 'the new key: a name in the home, made if there is none')
    .example('bulla key rotate --new me-2')
    .run(rotate);
  key
    .command('revoke')
    .description('End a key of yours, or of an agent of yours, for ever.')
    .argument('<key>', 'its thumbprint')
    .option('--since <seq>', 'what it added from this entry on ends too')
    .example('bulla key revoke <thumbprint>')
    .run(end);
}

async function add(session: Session, given: Given): Promise<void> {
  await session.asking(async (ledger, { id }) => {
    const agent = given.optionalArgument(0);
    const subject = subjectKey(agent === undefined ? id : subjectId(ledger, agent, 'agt'));
    const { signer } = await session.keys.signerOrNew(given.required('key'));
    const entry = await addKey(ledger, subject, signer);
    const { thumbprint } = signer.publicKey;
    reportEntry(session.output, `${subject} has a further key`, entry, {
      data: { subject, key: thumbprint },
      lines: fields({ key: thumbprint }),
    });
  });
}

async function rotate(session: Session, given: Given): Promise<void> {
  const name = given.required('new');
  if (name.includes('/')) throw new CliError('argument_invalid', '`--new` is the name of a key in the home');
  const { output, home, account } = session;
  await session.asking(async (ledger, { id, key }) => {
    const old = await session.keys.signer(key);
    const { signer } = await session.keys.signerOrNew(name);
    const { thumbprint } = signer.publicKey;
    // A run that was cut short after the log took it: the home learns it now.
    if (ledger.trust.read(`key/${thumbprint}`)?.subject === `principal/${id}`) {
      home.putPerson(account, { id, key: name });
      output.result({ key: thumbprint }, [`\`${name}\` is your key already`, ...fields({ key: thumbprint })]);
      return;
    }
    const op = { type: 'key.rotate', old: old.publicKey.thumbprint, key: signer.publicKey.jwk } as const;
    const entry = await ledger.appendRequest(op, old, [signer]);
    home.putPerson(account, { id, key: name });
    reportEntry(output, `\`${name}\` is your key now, \`${key}\` has ended`, entry, {
      data: { old: old.publicKey.thumbprint, key: thumbprint },
      lines: [...fields({ key: thumbprint }), ...fingerprintLines(thumbprint)],
    });
  });
}

async function end(session: Session, given: Given): Promise<void> {
  const key = given.argument(0);
  if (!isThumbprint(key)) throw new CliError('argument_invalid', 'a key is named by its thumbprint');
  await session.asking(async (ledger) => {
    const entry = await revoke(ledger, key, given.integer('since'));
    reportEntry(session.output, `ended ${key} for ever`, entry, { data: { key } });
  });
}
