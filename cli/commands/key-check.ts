import { existsSync, readFileSync } from 'node:fs';
import { parsePublicJwk } from '@bulla/verifier';
import { isJsonObject, parseJsonObject } from '@bulla/verifier/envelope';
import { type KeyFacts, keyFacts, personKeys } from '@bulla/verifier/log';
import type { BullaCommand, Given } from '../command.ts';
import { Contacts } from '../contacts.ts';
import { CliError } from '../errors.ts';
import { fingerprintLines, fingerprintWords, isFingerprint, saysFingerprint } from '../fingerprint.ts';
import { fields } from '../output.ts';
import { namedPerson } from '../people.ts';
import type { Session } from '../session.ts';
import { isThumbprint } from '../subjects.ts';

/** `show` and `verify`: both answer from a log that was followed and replayed here, not on the issuer's word. */
export function registerKeyCheck(key: BullaCommand): void {
  key
    .command('show')
    .description('Show the keys of a person as the log has them, in words to read aloud.')
    .argument(
      '[who]',
      'id of a person, a name you gave one or the directory has, or a thumbprint (default: yourself)',
    )
    .option(
      '--operator-token-file <file>',
      'ask the directory for a name with this token (default: your log-in as operator)',
    )
    .example('bulla key show prn_3f2a9c')
    .run(show);
  key
    .command('verify')
    .description("Check that a key is a person's: the words they read to you, a thumbprint, or a key file.")
    .argument('<who>', 'id of a person, or a name you gave one or the directory has')
    .argument('<what...>', '12 words, a thumbprint, or a file with a public key')
    .option(
      '--operator-token-file <file>',
      'ask the directory for a name with this token (default: your log-in as operator)',
    )
    .option('--as <name>', 'where it holds, call this person by that name from now on, in this home')
    .example(
      'bulla key verify prn_3f2a9c gym decline apple excite obscure feel country basket rare rent fix door',
    )
    .run(verify);
}

const onDirectoryWord =
  '  only the directory says that this name is theirs: compare the words with the person';

async function show(session: Session, given: Given): Promise<void> {
  const who = given.optionalArgument(0) ?? session.person.id;
  await session.reading(async (ledger) => {
    const { read } = ledger.trust;
    if (isThumbprint(who)) {
      const facts = keyFacts(read, who);
      if (facts.jwk === null) throw new CliError('subject_unknown', 'the trust log has never seen this key');
      session.output.result(spoken(facts), [who, ...describe(facts)]);
      return;
    }
    const { principal, name, directory } = await namedPerson(session, ledger, who, given);
    const { status, assurance, keys } = personKeys(read, principal);
    session.output.result({ principal, name, directory, status, assurance, keys: keys.map(spoken) }, [
      principal,
      ...fields({ 'known here as': name, status, assurance, keys: keys.length === 0 ? 'none' : keys.length }),
      ...(directory ? [onDirectoryWord] : []),
      ...keys.flatMap((facts) => ['', ...describe(facts)]),
    ]);
  });
}

async function verify(session: Session, given: Given): Promise<void> {
  const what = given.rest(1).join(' ');
  const isMeant = readClaim(what);
  const name = given.text('as');
  await session.reading(async (ledger) => {
    const { principal, directory } = await namedPerson(session, ledger, given.argument(0), given);
    const { status, assurance, keys } = personKeys(ledger.trust.read, principal);
    const found = keys.find(({ thumbprint }) => isMeant(thumbprint));
    if (found?.live !== true) {
      throw new CliError(
        'key_differs',
        found === undefined
          ? 'this is not a key of this person'
          : `this key of a person who is ${status} is not in force`,
        {
          hint: 'do not go on: ask the person over a line that you trust, and `bulla key show` what the log has',
        },
      );
    }
    if (name !== undefined) new Contacts(session.home, session.account.account).add(name, principal);
    const { thumbprint } = found;
    session.output.result({ principal, name, key: thumbprint, assurance, directory, verified: true }, [
      `yes: this is a key of ${principal}, and in force`,
      ...fields({ key: thumbprint, assurance, 'known here as': name }),
      ...(directory ? [onDirectoryWord] : []),
      ...(assurance === 'delegate' ? ['  nobody but the directory vouches for who holds it'] : []),
    ]);
  });
}

/** @throws {CliError} `argument_invalid` for what is neither words nor thumbprint nor key file. */
function readClaim(what: string): (thumbprint: string) => boolean {
  if (isThumbprint(what)) return (thumbprint) => thumbprint === what;
  if (existsSync(what)) {
    const claimed = thumbprintIn(readFileSync(what));
    return (thumbprint) => thumbprint === claimed;
  }
  if (isFingerprint(what)) return (thumbprint) => saysFingerprint(what, thumbprint);
  throw new CliError('argument_invalid', 'neither 12 words, nor a thumbprint, nor a file with a key');
}

function thumbprintIn(bytes: Uint8Array): string {
  try {
    const document = parseJsonObject(bytes);
    const { kty, crv, x, y } = isJsonObject(document['publicKey']) ? document['publicKey'] : document;
    return parsePublicJwk({ kty, crv, x, ...(y !== undefined && { y }) }).thumbprint;
  } catch {
    throw new CliError('argument_invalid', 'the file does not hold a key');
  }
}

function spoken(facts: KeyFacts): Record<string, unknown> {
  return { ...facts, fingerprint: fingerprintWords(facts.thumbprint).join(' ') };
}

function describe({ thumbprint, subject, live }: KeyFacts): string[] {
  return [
    ...fields({ key: thumbprint, of: subject ?? undefined, 'in force': live ? 'yes' : 'no' }),
    ...fingerprintLines(thumbprint),
  ];
}
