import { parsePublicJwk } from '@bulla/verifier';
import { cosign } from '@bulla/verifier/log';
import type { BullaCommand, Given } from '../command.ts';
import { CliError } from '../errors.ts';
import { readNamedFile, writePrivateFile } from '../files.ts';
import { fingerprintLines, fingerprintWords, saysFingerprint } from '../fingerprint.ts';
import type { Ledger } from '../ledger.ts';
import { fields } from '../output.ts';
import {
  type RecoveryPaper,
  readRecoveryPaper,
  recoveryOf,
  signRecovery,
  writeRecoveryAsk,
} from '../recovery.ts';
import { reportEntry } from '../report.ts';
import type { Session } from '../session.ts';
import { subjectId } from '../subjects.ts';

/** Coming back after the key is lost: by a recovery key, or by people. The service can do neither. */
export function registerRecovery(program: BullaCommand): void {
  const recovery = program
    .command('recovery')
    .description('Before you lose your key: who may let a new one in. After: how. Never the service alone.')
    .example('bulla recovery show');
  recovery
    .command('set')
    .description(
      'Say who may recover your key: a recovery key, people, or both. Replaces what you said before.',
    )
    .option('--key <file>', 'file of a recovery key (made if there is none): keep it away from this machine')
    .many('--person <id>', 'somebody who may help; repeat')
    .option('--threshold <n>', 'how many of them it takes')
    .example(
      'bulla recovery set --key /media/stick/recovery.json --person prn_8c11d0 --person prn_b07e42 --threshold 2',
    )
    .run(set);
  recovery
    .command('show')
    .description('Show who may recover a key.')
    .argument('[person]', 'id of a person (default: yourself)')
    .example('bulla recovery show')
    .run(show);
  recovery
    .command('use')
    .description(
      'Let a new key in with your recovery key. Older keys end, and your agents fall until you resume them.',
    )
    .requiredOption('--key <file>', 'file of the recovery key')
    .requiredOption('--new <key>', 'your new key: a name in the home, made if there is none')
    .option('--person <id>', 'you, where this home does not know you yet')
    .example('bulla recovery use --key /media/stick/recovery.json --new me-2')
    .run(use);
  registerHelped(recovery);
}

function registerHelped(recovery: BullaCommand): void {
  recovery
    .command('ask')
    .description('Make a new key and a file that asks the people you named to let it in.')
    .requiredOption('--new <key>', 'your new key: a name in the home, made if there is none')
    .requiredOption('--to <file>', 'file to hand to them')
    .option('--person <id>', 'you, where this home does not know you yet')
    .example('bulla recovery ask --new me-2 --to recover-me.json')
    .run(ask);
  recovery
    .command('sign')
    .description(
      'Help somebody: sign for the new key that they read to you. The file is written anew, to hand on.',
    )
    .argument('<file>', 'what they handed you')
    .argument('<words...>', 'the 12 words of the new key, as you heard them from the person themselves')
    .example(
      'bulla recovery sign recover-me.json gym decline apple excite obscure feel country basket rare rent fix door',
    )
    .run(sign);
  recovery
    .command('finish')
    .description('Let your new key in with a file that enough people signed.')
    .argument('<file>', 'what came back from them')
    .requiredOption('--new <key>', 'your new key: its name in the home')
    .example('bulla recovery finish recover-me.json --new me-2')
    .run(finish);
}

async function set(session: Session, given: Given): Promise<void> {
  const file = given.text('key');
  const named = given.each('person');
  if (file === undefined && named.length === 0)
    throw new CliError('argument_invalid', 'name a `--key`, or people with `--person` and `--threshold`');
  await session.asking(async (ledger, { id }) => {
    const people = named.map((person) => subjectId(ledger, person, 'prn')).sort();
    const threshold = given.integer('threshold') ?? people.length;
    const key = file === undefined ? undefined : await session.keys.fileOrNew(file);
    const op = {
      type: 'recovery.set',
      principal: id,
      ...(key !== undefined && { key: key.publicKey.jwk }),
      people,
      threshold,
    } as const;
    const entry = await ledger.append(op, { cosigners: key === undefined ? [] : [key] });
    reportEntry(session.output, 'noted who may recover your key', entry, {
      data: { key: key?.publicKey.thumbprint, people, threshold },
      lines: fields({
        'recovery key': file,
        people: people.length === 0 ? undefined : `${threshold} of ${people.join(' ')}`,
      }),
      ...(file !== undefined && { next: `take \`${file}\` off this machine: whoever has it can become you` }),
    });
  });
}

async function show(session: Session, given: Given): Promise<void> {
  const who = given.optionalArgument(0) ?? session.person.id;
  await session.reading((ledger) => {
    const id = subjectId(ledger, who, 'prn');
    const recovery = ledger.trust.read(`principal/${id}`)?.recovery ?? null;
    session.output.result({ principal: id, recovery }, [
      id,
      ...fields({
        'recovery key': recovery?.key ?? 'none',
        people: recovery?.people.join(' '),
        'of them it takes': recovery?.threshold,
      }),
      ...(recovery === null ? ['only an admin can let a new key in'] : []),
    ]);
  });
}

async function use(session: Session, given: Given): Promise<void> {
  const recovery = await session.keys.signer(atPath(given.required('key')));
  await session.reading(async (ledger) => {
    const principal = whoIs(session, ledger, given);
    const name = given.required('new');
    const { signer } = await session.keys.signerOrNew(name);
    const asked = { account: session.account.account, recover: principal, key: signer.publicKey.jwk };
    const entry = await ledger.appendRequest(recoveryOf(asked), recovery, [signer]);
    reportRecovered(session, entry, principal, name);
  });
}

async function ask(session: Session, given: Given): Promise<void> {
  const file = given.required('to');
  await session.reading(async (ledger) => {
    const recover = whoIs(session, ledger, given);
    const { signer } = await session.keys.signerOrNew(given.required('new'));
    const { jwk, thumbprint } = signer.publicKey;
    writePrivateFile(file, writeRecoveryAsk({ account: session.account.account, recover, key: jwk }));
    session.output.result({ file, key: thumbprint, fingerprint: fingerprintWords(thumbprint).join(' ') }, [
      `wrote \`${file}\`: hand it to the people you named, and read these words to each of them yourself`,
      ...fingerprintLines(thumbprint),
    ]);
  });
}

async function sign(session: Session, given: Given): Promise<void> {
  const file = given.argument(0);
  const paper = readPaper(file);
  const { thumbprint } = parsePublicJwk(paper.ask.key);
  if (!saysFingerprint(given.rest(1).join(' '), thumbprint)) {
    throw new CliError('key_differs', 'these are not the words of the key in the file: nothing was signed', {
      hint: 'ask the person themselves to read the words again, over a line that you trust',
    });
  }
  requireAccount(session, paper);
  const { key } = session.person;
  const signer = await session.keys.signer(key);
  await session.reading((ledger) => {
    const { recover } = paper.ask;
    const recovery = ledger.trust.read(`principal/${recover}`)?.recovery;
    if (recovery?.people.includes(session.person.id) !== true) {
      throw new CliError('request_impossible', 'you are not among those who may recover this key');
    }
    const request = signRecovery(ledger, paper, signer);
    writePrivateFile(file, `${request}\n`);
    session.output.result({ file, principal: recover, threshold: recovery.threshold }, [
      `signed for ${recover}; it takes ${recovery.threshold}`,
      `next: hand \`${file}\` on, or back to the person`,
    ]);
  });
}

async function finish(session: Session, given: Given): Promise<void> {
  const paper = readPaper(given.argument(0));
  if (paper.request === undefined) throw new CliError('argument_invalid', 'nobody has signed the file');
  const { request, ask: asked } = paper;
  requireAccount(session, paper);
  const name = given.required('new');
  const signer = await session.keys.signer(name);
  await session.reading(async (ledger) => {
    const entry = await ledger.sendRequest(cosign(request, signer));
    reportRecovered(session, entry, asked.recover, name);
  });
}

function reportRecovered(
  session: Session,
  entry: Parameters<typeof reportEntry>[2],
  principal: string,
  name: string,
): void {
  session.home.putPerson(session.account, { id: principal, key: name });
  const thumbprint = session.keys.thumbprint(name);
  reportEntry(
    session.output,
    `\`${name}\` is your key now; older keys have ended, and your agents are down`,
    entry,
    {
      data: { principal, key: thumbprint },
      lines: fingerprintLines(thumbprint),
      next: 'bulla agent resume --all; then `bulla recovery set`, for the next time',
    },
  );
}

/** The person of this home, or the one that is named. */
function whoIs(session: Session, ledger: Ledger, given: Given): string {
  const text = given.text('person');
  return text === undefined ? session.person.id : subjectId(ledger, text, 'prn');
}

function readPaper(file: string): RecoveryPaper {
  return readRecoveryPaper(readNamedFile(file));
}

function requireAccount(session: Session, { ask: { account } }: RecoveryPaper): void {
  if (account !== session.account.account)
    throw new CliError('argument_invalid', 'the file is about another account than the current one');
}

/** What the key ring takes for a file and not for a name. */
function atPath(file: string): string {
  return file.includes('/') ? file : `./${file}`;
}
