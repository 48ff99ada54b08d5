import { readFileSync } from 'node:fs';
import { type Narrowing, narrowEnvelope, type Only, type SchemaSource } from '@bulla/agent';
import { createSigner, limits, type PublicJwk, parsePublicJwk } from '@bulla/verifier';
import { inspect, isJsonObject, type JsonObject, parseJson } from '@bulla/verifier/envelope';
import type { BullaCommand, Given } from '../command.ts';
import { CliError } from '../errors.ts';
import { createPrivateFile, isMissing, isPresent } from '../files.ts';
import type { Session } from '../session.ts';
import { readEnvelope } from './token.ts';

export function registerNarrow(program: BullaCommand): void {
  program
    .command('narrow')
    .description(
      'Take something away from an envelope, and hand it on to another key. The issuer takes no part.',
    )
    .argument('<envelope>', 'a file, or - for stdin')
    .requiredOption('--key <key>', 'key that the envelope names last: a name in the home or a file')
    .option(
      '--next <key>',
      'who holds it from here on: a public JWK or key file, a key of the home, or a logged thumbprint',
    )
    .many('--only-action <id>', 'leave these actions only; repeat')
    .many('--only-resource <resource>', 'leave these resources, and what is in them: `Order::"7"`; repeat')
    .option('--only-path <prefix>', 'leave the paths under this one')
    .many('--max <limit>', 'leave requests up to this: `amount=100`; repeat')
    .option('--for <time>', 'how long it lasts at most, such as 10m')
    .many('--audience <url>', 'leave these audiences; repeat')
    .option('--depth <number>', 'how many blocks may follow')
    .option('--seal', 'let no block follow')
    .option('--schema <file>', "policy set of the API, as JSON (default: from the log of the home's account)")
    .option('--max-bytes <number>', 'longest envelope that the API takes', String(limits.maxEnvelopeBytes))
    .option('--to <file>', 'a file that does not exist yet; made with mode 0600 (default: show it)')
    .example('bulla narrow envelope.txt --key ci --next helper.jwk --only-action order.read --for 10m')
    .run(narrow);
}

async function narrow(session: Session, given: Given): Promise<void> {
  const envelope = await readEnvelope(session, given.argument(0));
  const holder = createSigner(await session.keys.open(given.required('key')));
  const narrowing = await readNarrowing(session, given);
  const schema = narrowing.only === undefined ? undefined : await readSchema(session, given, envelope);
  const { ports } = session.surroundings;
  const maxEnvelopeBytes = given.integer('maxBytes') ?? limits.maxEnvelopeBytes;
  const surroundings = { ports, maxEnvelopeBytes, ...(schema !== undefined && { schema }) };
  const narrowed = await narrowEnvelope(envelope, { holder, ...narrowing }, surroundings);
  for (const text of narrowed.policies) session.output.note(text);
  const to = given.text('to');
  if (to !== undefined) keep(to, narrowed.envelope);
  session.output.result(
    { policies: narrowed.policies, ...(to === undefined ? { envelope: narrowed.envelope } : { file: to }) },
    [to === undefined ? narrowed.envelope : `envelope written to ${to}`],
  );
}

function keep(file: string, envelope: string): void {
  try {
    createPrivateFile(file, `${envelope}\n`);
  } catch (error) {
    if (!isPresent(error)) throw error;
    throw new CliError('argument_invalid', 'the file of `--to` is there already');
  }
}

async function readNarrowing(session: Session, given: Given): Promise<Narrowing> {
  const seconds = given.duration('for');
  const audiences = given.list('audience');
  const depth = given.integer('depth');
  const next = given.text('next');
  const only = readOnly(given);
  return {
    ...(only !== undefined && { only }),
    ...(next !== undefined && { next: await readNext(session, next) }),
    ...(seconds !== undefined && { expiresAt: session.surroundings.ports.now() + seconds }),
    ...(audiences.length > 0 && { audiences }),
    ...(depth !== undefined && { depth }),
    ...(given.flag('seal') && { seal: true }),
  };
}

function readOnly(given: Given): Only | undefined {
  const actions = given.list('onlyAction');
  const resources = given.each('onlyResource').map(readResource);
  const pathPrefix = given.text('onlyPath');
  const max = given.list('max').map(readLimit);
  const only = {
    ...(actions.length > 0 && { actions }),
    ...(resources.length > 0 && { resources }),
    ...(pathPrefix !== undefined && { pathPrefix }),
    ...(max.length > 0 && { max: Object.fromEntries(max) }),
  };
  return Object.keys(only).length === 0 ? undefined : only;
}

function readResource(text: string): { readonly type: string; readonly id: string } {
  const colons = text.includes('::"') ? text.indexOf('::"') : text.lastIndexOf('::');
  const id = text.slice(colons + 2).replace(/^"(.*)"$/u, '$1');
  // Cedar would read escapes in there; here they would be letters.
  if (colons > 0 && id !== '' && !/["\\]/u.test(id)) return { type: text.slice(0, colons), id };
  throw new CliError('argument_invalid', '`--only-resource` is not like `Order::"7"`');
}

function readLimit(text: string): [string, number] {
  const [, name, value] = /^(\w+)=(-?\d{1,15})$/u.exec(text) ?? [];
  if (name === undefined) throw new CliError('argument_invalid', '`--max` is not like `amount=100`');
  return [name, Number(value)];
}

/** A thumbprint is looked up in the log, whose keys say whose they are; any other key is in no log. */
async function readNext(session: Session, name: string): Promise<PublicJwk> {
  if (/^[A-Za-z0-9_-]{43}$/u.test(name)) {
    const record = await session.reading((ledger) => ledger.trust.read(`key/${name}`));
    if (record === undefined) throw new CliError('subject_unknown', 'the trust log knows no such key');
    return record.jwk;
  }
  if (session.home.keyNames().includes(name)) return session.keys.publicKey(name);
  const { publicKey, ...jwk } = readJson(name, '--next');
  return parsePublicJwk(publicKey ?? jwk).jwk;
}

/** The schema that the envelope was minted under. */
async function readSchema(session: Session, given: Given, envelope: string): Promise<SchemaSource> {
  const file = given.text('schema');
  if (file === undefined) {
    const { policy } = inspect(envelope).root;
    try {
      return await session.reading((ledger) => ledger.policySet(policy));
    } catch (cause) {
      if (!(cause instanceof CliError) || cause.code !== 'log_unreachable') throw cause;
      throw new CliError(cause.code, cause.message, {
        cause,
        hint: 'limits are checked against the policy set: without the issuer, --schema takes what `bulla policy show <slot> --json` once gave',
      });
    }
  }
  const { document, ...whole } = readJson(file, '--schema');
  // `bulla policy show --json` has the set in `document`.
  const schema: unknown = isJsonObject(document) ? document : whole;
  return schema as SchemaSource;
}

function readJson(file: string, option: string): JsonObject {
  try {
    const value = parseJson(readFileSync(file));
    if (isJsonObject(value)) return value;
  } catch (error) {
    if (isMissing(error)) throw new CliError('argument_invalid', `there is no file of \`${option}\``);
  }
  throw new CliError('argument_invalid', `the file of \`${option}\` is not a JSON object`);
}
