import { existsSync } from 'node:fs';
import {
  issueScimToken,
  listScimTokens,
  revokeScimToken,
  type ScimScope,
  type ScimToken,
  scimScopes,
  systemIssuerPorts,
} from '@bulla/issuer';
import type { BullaCommand, Given } from '../command.ts';
import { CliError } from '../errors.ts';
import { createPrivateFile, isPresent } from '../files.ts';
import { hostedAccount, inDatabase, withConfig } from '../hosted.ts';
import { fields, table, when } from '../output.ts';
import type { Session } from '../session.ts';

const defaultLifeSeconds = 90 * 86_400;

export function registerScim(program: BullaCommand): void {
  const scim = program
    .command('scim')
    .description('What an IdP needs to provision people: bearer tokens of a connection.')
    .example('bulla scim token list');
  const token = scim
    .command('token')
    .description(
      "Bearer tokens of connections, in the issuer's database: on its machine, with its configuration.",
    )
    .example('bulla scim token new okta --to ./okta.token');
  withConfig(
    token
      .command('new')
      .description('Make a token. It is shown once, or written to a file; the database holds its hash alone.')
      .argument('<connection>', 'a connection of the configuration')
      .many('--scope <scope>', `what it may do; repeat (default: ${scimScopes.join(', ')})`)
      .option('--for <time>', 'how long it is good for', '90d')
      .option('--to <file>', 'a file that does not exist yet; made with mode 0600 (default: show it)')
      .example('bulla scim token new okta --to ./okta.token --for 30d'),
  ).run(make);
  withConfig(
    token
      .command('list')
      .description('Show tokens: which connection, until when, when last used. Never the token.')
      .argument('[connection]', 'only of this one')
      .example('bulla scim token list okta'),
  ).run(list);
  withConfig(
    token
      .command('revoke')
      .description('End a token at once. To rotate: make one, give it to the IdP, then revoke the old one.')
      .argument('<token>', 'its id, as the list shows it')
      .example('bulla scim token revoke sct_4be09a1f22c87d31'),
  ).run(revoke);
}

async function make(session: Session, given: Given): Promise<void> {
  const hosted = hostedAccount(session, given);
  const connection = given.argument(0);
  const known = hosted.account.connections.map(({ name }) => name);
  if (!known.includes(connection)) {
    throw new CliError('argument_invalid', 'the configuration has no such connection', {
      hint: known.length === 0 ? 'add it to `connections` of the account' : `there are: ${known.join(', ')}`,
    });
  }
  const scopes = scopesOf(given);
  const file = given.text('to');
  // Before the token is made: one that nobody has would stay listed.
  if (file !== undefined && existsSync(file)) throw fileExists(file);
  const notAfter = session.surroundings.ports.now() + (given.duration('for') ?? defaultLifeSeconds);
  const { token, listed } = await inDatabase(hosted, async (store) =>
    issueScimToken(store, { connection, scopes, notAfter }, systemIssuerPorts),
  );
  if (file !== undefined) writeToken(file, token);
  const url = `${hosted.config.publicUrl}/a/${hosted.account.account}/scim/v2`;
  session.output.result({ ...listed, url, ...(file === undefined ? { token } : { file }) }, [
    ...fields({
      url,
      token: file === undefined ? token : undefined,
      'written to': file,
      id: listed.id,
      'good until': when(listed.notAfter),
    }),
  ]);
}

async function list(session: Session, given: Given): Promise<void> {
  const tokens = await inDatabase(hostedAccount(session, given), async (store) =>
    listScimTokens(store, given.optionalArgument(0)),
  );
  session.output.result(
    { tokens },
    table(['id', 'connection', 'good until', 'last used', 'scopes'], tokens.map(lineOf)),
  );
}

function lineOf({ id, connection, notAfter, lastUsed, scopes }: ScimToken): readonly string[] {
  return [id, connection, when(notAfter), lastUsed === null ? 'never' : when(lastUsed), scopes.join(' ')];
}

async function revoke(session: Session, given: Given): Promise<void> {
  const id = given.argument(0);
  await inDatabase(hostedAccount(session, given), async (store) => revokeScimToken(store, id));
  session.output.result({ id, revoked: true }, [`${id} is void from now on`]);
}

function scopesOf(given: Given): readonly ScimScope[] {
  const wanted = given.list('scope');
  const scopes = scimScopes.filter((scope) => wanted.length === 0 || wanted.includes(scope));
  if (wanted.some((each) => !scopes.some((scope) => scope === each))) {
    throw new CliError('argument_invalid', `a scope is none of ${scimScopes.join(', ')}`);
  }
  return scopes;
}

function writeToken(file: string, token: string): void {
  try {
    createPrivateFile(file, `${token}\n`);
  } catch (error) {
    throw isPresent(error) ? fileExists(file) : error;
  }
}

function fileExists(file: string): CliError {
  return new CliError('argument_invalid', `\`${file}\` exists already`);
}
