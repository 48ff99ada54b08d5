import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { apiScopeNames } from '@bulla/issuer';
import type { BullaCommand, Given } from '../command.ts';
import { CliError } from '../errors.ts';
import { createPrivateFile, isPresent } from '../files.ts';
import { fields, when } from '../output.ts';
import type { Session } from '../session.ts';

const secretBytes = 32;
/** What people make up is shorter, and can be guessed from its hash. */
const minSecretLength = 24;

export function registerSecret(program: BullaCommand): void {
  const secret = program
    .command('secret')
    .description(
      'Client secrets, for agents that have no key, and read tokens: each with its line for the configuration of the issuer.',
    )
    .example('bulla secret new agt_9b01d4 --to ./agent.secret');
  secret
    .command('new')
    .description('Make a secret. It is shown once, or written to a file; the line holds its hash alone.')
    .argument('<agent>', 'whole id of the agent')
    .option('--to <file>', 'a file that does not exist yet; made with mode 0600 (default: show it)')
    .option('--for <time>', 'how long it is good for, such as 90d (default: until the line is removed)')
    .example('bulla secret new agt_9b01d4 --to ./agent.secret --for 90d')
    .run(make);
  secret
    .command('line')
    .description('Give the line for a secret that an agent has already.')
    .argument('<agent>', 'whole id of the agent')
    .argument('<secret>', 'a file, or - for stdin; a line break at its end is left out')
    .option('--for <time>', 'how long it is good for, such as 90d (default: until the line is removed)')
    .example('bulla secret line agt_9b01d4 - < legacy.secret')
    .run(describe);
  secret
    .command('reader')
    .description('Make a read token, for an API or a tool that follows the log. It reads; it signs nothing.')
    .argument('<name>', 'what tells this reader from others in the configuration')
    .option('--to <file>', 'a file that does not exist yet; made with mode 0600 (default: show it)')
    .example('bulla secret reader orders-api --to ./orders-api.token')
    .run(makeReader);
  secret
    .command('client')
    .description('Make the secret of a partner’s program, a client of the Users API.')
    .argument('<id>', 'what the program calls itself, its `client_id`')
    .many('--scope <scope>', `what it may do; repeat. One of ${apiScopeNames.join(', ')}`)
    .option('--to <file>', 'a file that does not exist yet; made with mode 0600 (default: show it)')
    .option('--for <time>', 'how long it is good for, such as 90d (default: until the line is removed)')
    .example(
      'bulla secret client offboarding --scope users:read --scope users:suspend --to ./offboarding.secret',
    )
    .run(makeClient);
}

async function make(session: Session, given: Given): Promise<void> {
  const secret = newSecret();
  const line = lineFor(session, given, secret);
  handOut(session, given, { secret, line, explained: explain(line) });
}

async function makeReader(session: Session, given: Given): Promise<void> {
  const name = given.argument(0);
  if (!/^[a-z0-9][a-z0-9_-]{0,62}$/u.test(name)) {
    throw new CliError('argument_invalid', 'a name is of small letters, digits, `-` and `_`');
  }
  const secret = newSecret();
  const line = { name, sha256: hashOf(secret) };
  handOut(session, given, { secret, line, explained: place('readTokens', line) });
}

async function makeClient(session: Session, given: Given): Promise<void> {
  const id = given.argument(0);
  if (!/^[a-z0-9][a-z0-9_-]{0,62}$/u.test(id)) {
    throw new CliError('argument_invalid', 'an id is of small letters, digits, `-` and `_`');
  }
  const known: readonly string[] = apiScopeNames;
  const scopes = given.list('scope');
  if (scopes.length === 0 || !scopes.every((scope) => known.includes(scope))) {
    throw new CliError('argument_invalid', '`--scope` is missing or unknown', {
      hint: `one or more of ${known.join(', ')}`,
    });
  }
  const secret = newSecret();
  const seconds = given.duration('for');
  const notAfter = seconds === undefined ? undefined : Math.floor(session.surroundings.ports.now()) + seconds;
  const line = {
    id,
    secrets: [{ sha256: hashOf(secret), ...(notAfter !== undefined && { notAfter }) }],
    scopes,
  };
  handOut(session, given, { secret, line, explained: place('usersApi.clients', line) });
}

const newSecret = (): string => randomBytes(secretBytes).toString('base64url');
const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('base64url');

/** Once: into the file, or onto the screen. */
function handOut(
  session: Session,
  given: Given,
  {
    secret,
    line,
    explained,
  }: { readonly secret: string; readonly line: object; readonly explained: string[] },
): void {
  const file = given.text('to');
  if (file !== undefined) writeSecret(file, `${secret}\n`);
  session.output.result({ line, ...(file === undefined ? { secret } : { file }) }, [
    ...fields({ secret: file === undefined ? secret : undefined, 'written to': file }),
    ...explained,
  ]);
}

async function describe(session: Session, given: Given): Promise<void> {
  const source = given.argument(1);
  const text = source === '-' ? await session.surroundings.readStdin() : readSecret(source);
  const secret = text.replace(/\r?\n$/u, '');
  if (secret.length < minSecretLength) {
    throw new CliError('argument_invalid', `the secret has fewer than ${minSecretLength} characters`, {
      hint: 'bulla secret new makes one that cannot be guessed from its hash',
    });
  }
  const line = lineFor(session, given, secret);
  session.output.result({ line }, explain(line));
}

/** One member of `clientSecrets`. */
interface ConfigLine {
  readonly agent: string;
  readonly sha256: string;
  readonly notAfter?: number;
}

function lineFor(session: Session, given: Given, secret: string): ConfigLine {
  const agent = given.argument(0);
  if (!/^agt_[0-9a-f]{32}$/u.test(agent)) {
    throw new CliError('argument_invalid', 'the agent is not named by its whole id', {
      hint: 'bulla admin agent list shows ids',
    });
  }
  const seconds = given.duration('for');
  return {
    agent,
    sha256: hashOf(secret),
    ...(seconds !== undefined && { notAfter: Math.floor(session.surroundings.ports.now()) + seconds }),
  };
}

function explain(line: ConfigLine): string[] {
  return [
    ...place('clientSecrets', line),
    ...fields({ 'good until': line.notAfter === undefined ? undefined : when(line.notAfter) }),
    'what comes of a secret is `vouched`: an admin must list what the agent may do on it: bulla admin agent vouch',
  ];
}

function place(member: string, line: object): string[] {
  return [
    `put this line into \`${member}\` of the account in the configuration of the issuer, and restart it:`,
    `  ${JSON.stringify(line)}`,
  ];
}

function writeSecret(file: string, text: string): void {
  try {
    createPrivateFile(file, text);
  } catch (error) {
    if (isPresent(error)) throw new CliError('argument_invalid', `\`${file}\` exists already`);
    throw error;
  }
}

function readSecret(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    throw new CliError('argument_invalid', `the secret's file cannot be read`, {
      hint: 'give a file, or - and the secret on stdin; never the secret itself',
    });
  }
}
