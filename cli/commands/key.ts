import { createSigner } from '@bulla/verifier';
import { keyIsLive } from '@bulla/verifier/log';
import { addKey } from '../admin.ts';
import type { BullaCommand, Given } from '../command.ts';
import { CliError } from '../errors.ts';
import { createPrivateFile, isPresent } from '../files.ts';
import { readKeyFileHead } from '../key-file.ts';
import { fields, table } from '../output.ts';
import { reportEntry } from '../report.ts';
import type { Session } from '../session.ts';
import { isThumbprint, subjectId, subjectKey } from '../subjects.ts';

export function registerKey(admin: BullaCommand): void {
  const key = admin
    .command('key')
    .description('Keys: files in the home, and what the log knows of them.')
    .example('bulla admin key list');
  registerFiles(key);
  key
    .command('show')
    .description('Show what the log knows of a key.')
    .argument('<key>', 'name in the home, or thumbprint')
    .example('bulla admin key show ci')
    .run(show);
  key
    .command('add')
    .description('Give a person or agent a further key.')
    .argument('<subject>', 'id of a person or agent')
    .requiredOption('--key <key>', 'the new key: a name in the home (made if there is none) or a file')
    .example('bulla admin key add agt_9b01d4 --key ci-2')
    .run(add);
  key
    .command('rotate')
    .description('Replace a key by a new one; the old key itself signs for it.')
    .requiredOption('--old <key>', 'the key to be replaced: a name in the home or a file')
    .requiredOption('--new <key>', 'the new key: a name in the home (made if there is none) or a file')
    .example('bulla admin key rotate --old ci --new ci-2')
    .run(rotate);
  key
    .command('recover')
    .description('Give a person who lost their keys a new one; all old keys and their agents end.')
    .argument('<person>', 'id of the person')
    .requiredOption('--key <key>', 'the new key: a name in the home (made if there is none) or a file')
    .example('bulla admin key recover prn_3f2a9c --key alice-2')
    .run(recover);
}

function registerFiles(key: BullaCommand): void {
  key
    .command('new')
    .description('Make a key in the home, encrypted with a passphrase.')
    .argument('<name>', 'letters, digits, dot, - and _')
    .option('--p256', 'ECDSA P-256 instead of Ed25519')
    .example('bulla admin key new ci')
    .run(async ({ keys, output }, given) => {
      const name = given.argument(0);
      const { publicKey } = await keys.make(name, given.flag('p256') ? 'P-256' : 'Ed25519');
      const { thumbprint, jwk } = publicKey;
      output.result({ name, thumbprint, publicKey: jwk }, [`made key ${name}`, ...fields({ thumbprint })]);
    });
  key
    .command('list')
    .description('List the keys in the home.')
    .example('bulla admin key list')
    .run(async ({ home, output }) => {
      const keys = home.keyNames().map((name) => ({ name, ...readKeyFileHead(home.readKey(name)) }));
      const rows = keys.map(({ name, protection, thumbprint }) => [name, protection, thumbprint]);
      output.result({ keys }, table(['key', 'protection', 'thumbprint'], rows));
      await Promise.resolve();
    });
  key
    .command('export')
    .description('Write a private key in the clear, for a program that keeps it.')
    .argument('<name>', 'name in the home')
    .requiredOption('--to <file>', 'a file that does not exist yet; made with mode 0600')
    .example('bulla admin key export ci --to ./ci.jwk')
    .run(exportKey);
  key
    .command('import')
    .description('Take a private JWK into the home, encrypted with a passphrase.')
    .argument('<name>', 'name it gets')
    .argument('<file>', 'JSON file with a private JWK, mode 0600')
    .example('bulla admin key import ci ./ci.jwk')
    .run(async ({ keys, output }, given) => {
      const file = given.argument(1);
      const name = given.argument(0);
      const { publicKey } = await keys.take(name, file.includes('/') ? file : `./${file}`);
      output.result({ name, thumbprint: publicKey.thumbprint }, [
        `took key ${name}; delete \`${file}\` now`,
        ...fields({ thumbprint: publicKey.thumbprint }),
      ]);
    });
}

async function exportKey({ keys, output }: Session, given: Given): Promise<void> {
  const file = given.required('to');
  const privateJwk = await keys.open(given.argument(0));
  try {
    createPrivateFile(file, `${JSON.stringify(privateJwk)}\n`);
  } catch (error) {
    if (isPresent(error)) throw new CliError('argument_invalid', `\`${file}\` exists already`);
    throw error;
  }
  const { thumbprint } = createSigner(privateJwk).publicKey;
  output.result({ file, thumbprint }, [
    `wrote \`${file}\`: whoever reads it has the key`,
    ...fields({ thumbprint }),
  ]);
}

async function show(session: Session, given: Given): Promise<void> {
  const text = given.argument(0);
  const named = !isThumbprint(text) || session.home.keyNames().includes(text);
  const thumbprint = named ? session.keys.thumbprint(text) : text;
  await session.reading((ledger) => {
    const { read } = ledger.trust;
    const record = read(`key/${thumbprint}`);
    if (record === undefined) {
      throw new CliError('subject_unknown', 'the trust log has never seen this key', {
        hint: `its thumbprint is ${thumbprint}`,
      });
    }
    const live = keyIsLive(read, thumbprint);
    session.output.result({ thumbprint, ...record, live }, [
      thumbprint,
      ...fields({
        subject: record.subject,
        status: record.status === 'active' && !live ? 'dead with the key that added it' : record.status,
        'added by': record.addedBy ?? 'an admin',
        'added in entry': record.addedSeq,
        kind: record.jwk.crv,
      }),
    ]);
  });
}

async function add(session: Session, given: Given): Promise<void> {
  await session.signing(async (ledger) => {
    const subject = subjectKey(subjectId(ledger, given.argument(0)));
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
  await session.signing(async (ledger) => {
    const old = await session.keys.signer(given.required('old'));
    const { thumbprint: oldKey } = old.publicKey;
    const { read } = ledger.trust;
    const subject = read(`key/${oldKey}`)?.subject;
    if (subject?.includes('/') !== true) {
      throw new CliError('subject_unknown', 'the old key belongs to no person or agent');
    }
    const { signer } = await session.keys.signerOrNew(given.required('new'));
    const op = { type: 'key.rotate', old: oldKey, key: signer.publicKey.jwk } as const;
    const entry = await ledger.appendRequest(op, old, [signer]);
    const { thumbprint } = signer.publicKey;
    reportEntry(session.output, `replaced the key of ${subject}`, entry, {
      data: { subject, old: oldKey, key: thumbprint },
      lines: fields({ old: oldKey, new: thumbprint }),
    });
  });
}

async function recover(session: Session, given: Given): Promise<void> {
  await session.signing(async (ledger) => {
    const principal = subjectId(ledger, given.argument(0), 'prn');
    const { signer } = await session.keys.signerOrNew(given.required('key'));
    const op = { type: 'key.recover', principal, key: signer.publicKey.jwk } as const;
    const entry = await ledger.append(op, { cosigners: [signer] });
    const { thumbprint } = signer.publicKey;
    reportEntry(
      session.output,
      `${principal} starts again with one key; older keys and their agents have ended`,
      entry,
      {
        data: { principal, key: thumbprint },
        lines: fields({ key: thumbprint }),
        next: `bulla admin agent list --owner ${principal}`,
      },
    );
  });
}
