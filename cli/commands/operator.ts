import { existsSync } from 'node:fs';
import type { BullaCommand, Given } from '../command.ts';
import { CliError } from '../errors.ts';
import { createPrivateFile, isPresent } from '../files.ts';
import { askAsOperator, logInOperator, logOutOperator, operatorBase } from '../operator.ts';
import { fields, table, when } from '../output.ts';
import { printable } from '../printable.ts';
import type { Session } from '../session.ts';

type Answer = Readonly<Record<string, unknown>>;

export function registerOperator(program: BullaCommand): void {
  const operator = program
    .command('operator')
    .description("Administer an issuer's directory and connections over HTTP. Gains nothing in the log.")
    .example('bulla operator people alice');
  operator
    .command('login')
    .description('Log in at the IdP that the issuer names for operators.')
    .argument('[account]', 'https://issuer.example/a/acct_… (default: the account of the home)')
    .option('--no-browser', 'print the address of the page instead of opening it')
    .example('bulla operator login')
    .run(login);
  operator.command('logout').description('End the session.').example('bulla operator logout').run(logout);
  registerPeople(operator);
  registerTokens(operator);
}

function registerPeople(operator: BullaCommand): void {
  withToken(
    operator
      .command('people')
      .description('Find people by name or address, and what the log says of them.')
      .argument('[query]', 'beginning of a userName, or a whole address (default: the first 50)')
      .example('bulla operator people alice'),
  ).run(people);
  const one = (
    name: string,
    description: string,
    run: (session: Session, given: Given) => Promise<void>,
  ): void => {
    withToken(
      operator
        .command(name)
        .description(description)
        .argument('<person>', 'id of the person')
        .example(`bulla operator ${name} prn_3f2a9c0d4be09a1f22c87d310a1b2c3d`),
    ).run(run);
  };
  one('leaving', 'Show what would end with a person. Changes nothing.', leaving);
  one('invite', 'Send a person a new invitation; the one before is void.', (session, given) =>
    act(session, given, 'invitation', 'the invitation is on its way'),
  );
  one('erase', 'Deprovision a person and delete all that the issuer keeps about them.', (session, given) =>
    act(session, given, 'erase', 'erased'),
  );
}

function registerTokens(operator: BullaCommand): void {
  const token = operator
    .command('token')
    .description('Bearer tokens of the connections over which IdPs provision.')
    .example('bulla operator token list');
  withToken(
    token
      .command('list')
      .description('List the tokens of connections, without the tokens.')
      .example('bulla operator token list'),
  ).run(listTokens);
  withToken(
    token
      .command('new')
      .description('Make one for a connection, into a file.')
      .argument('<connection>', 'its name')
      .requiredOption('--to <file>', 'file to write it to; must not exist')
      .many('--scope <scope>', 'what it may do; repeat (default: everything)')
      .option('--for <time>', 'how long it is good', '90d')
      .example('bulla operator token new okta --to okta.token'),
  ).run(newToken);
  withToken(
    token
      .command('revoke')
      .description('End one at once.')
      .argument('<token>', 'its id, as listed')
      .example('bulla operator token revoke sct_3f2a9c0d4be09a1f'),
  ).run(revokeToken);
}

function withToken(command: BullaCommand): BullaCommand {
  command.option(
    '--operator-token-file <file>',
    'use the operator token of this file (default: the last log-in)',
  );
  return command;
}

async function login(session: Session, given: Given): Promise<void> {
  const base = operatorBase(session, given.optionalArgument(0));
  const { expires } = await logInOperator(session, { base, browser: given.flag('browser') });
  session.output.result({ loggedIn: true, account: base, expires }, [
    'logged in',
    ...fields({ account: base, until: when(expires) }),
  ]);
}

async function logout(session: Session): Promise<void> {
  await logOutOperator(session);
  session.output.result({ loggedIn: false }, ['logged out']);
}

async function people(session: Session, given: Given): Promise<void> {
  const query = new URLSearchParams({ query: given.optionalArgument(0) ?? '' }).toString();
  const answer = await askAsOperator(session, `/people?${query}`, tokenOf(given));
  const rows = listOf(answer, 'people').map((person) =>
    ['id', 'user_name', 'status', 'assurance', 'agents', 'invitation'].map((name) => cell(person[name])),
  );
  session.output.result(
    answer,
    table(['person', 'name', 'status', 'assurance', 'agents', 'invitation'], rows),
  );
}

async function leaving(session: Session, given: Given): Promise<void> {
  const answer = await askAsOperator(session, `/people/${personOf(given)}/leaving`, tokenOf(given));
  const agents = listOf(answer, 'agents').map(({ agent, kind }) => `  agent ${cell(agent)}, ${cell(kind)}`);
  const names = (member: string): string =>
    (Array.isArray(answer[member]) ? answer[member] : []).map(cell).join(' ');
  session.output.result(answer, [
    cell(answer['principal']),
    ...fields({ status: cell(answer['status']), keys: names('keys'), groups: names('groups') }),
    ...(agents.length === 0 ? ['  no agent of theirs is in force'] : agents),
  ]);
}

async function act(session: Session, given: Given, what: string, done: string): Promise<void> {
  const answer = await askAsOperator(session, `/people/${personOf(given)}/${what}`, {
    method: 'POST',
    ...tokenOf(given),
  });
  session.output.result(answer, [done]);
}

async function listTokens(session: Session, given: Given): Promise<void> {
  const answer = await askAsOperator(session, '/tokens', tokenOf(given));
  const rows = listOf(answer, 'tokens').map(({ id, connection, scopes, notAfter, lastUsed }) => [
    cell(id),
    cell(connection),
    typeof notAfter === 'number' ? when(notAfter) : '',
    typeof lastUsed === 'number' ? when(lastUsed) : 'never',
    Array.isArray(scopes) ? scopes.map(cell).join(' ') : '',
  ]);
  session.output.result(answer, table(['token', 'connection', 'until', 'last used', 'scopes'], rows));
}

async function newToken(session: Session, given: Given): Promise<void> {
  const file = given.required('to');
  if (existsSync(file))
    throw new CliError('argument_invalid', 'the file of `--to` exists: no token was made');
  const scopes = given.list('scope');
  const answer = await askAsOperator(session, '/tokens', {
    body: {
      connection: given.argument(0),
      seconds: given.duration('for'),
      ...(scopes.length > 0 && { scopes }),
    },
    ...tokenOf(given),
  });
  const { token, listed } = answer;
  try {
    createPrivateFile(file, `${cell(token)}\n`);
  } catch (error) {
    if (!isPresent(error)) throw error;
    throw new CliError(
      'argument_invalid',
      'the file of `--to` exists: the token that was made is lost, revoke it',
    );
  }
  session.output.result({ listed, file }, [`made, in ${file}`]);
}

async function revokeToken(session: Session, given: Given): Promise<void> {
  const id = encodeURIComponent(given.argument(0));
  await askAsOperator(session, `/tokens/${id}/revoke`, { method: 'POST', ...tokenOf(given) });
  session.output.result({ revoked: given.argument(0) }, ['revoked']);
}

function tokenOf(given: Given): { readonly tokenFile: string | undefined } {
  return { tokenFile: given.text('operatorTokenFile') };
}

function personOf(given: Given): string {
  const id = given.argument(0);
  if (!/^prn_[0-9a-f]{32}$/u.test(id)) throw new CliError('argument_invalid', 'not a whole id like `prn_…`');
  return id;
}

function listOf(answer: Answer, member: string): readonly Answer[] {
  const list: unknown = answer[member];
  const items: readonly unknown[] = Array.isArray(list) ? list : [];
  return items.filter((item): item is Answer => typeof item === 'object' && item !== null);
}

/** Names come from IdPs: nothing in them reaches the terminal as control characters. */
function cell(value: unknown): string {
  if (typeof value === 'string') return printable(value);
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}
