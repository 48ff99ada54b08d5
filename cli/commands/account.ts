import type { BullaCommand, Given } from '../command.ts';
import { CliError } from '../errors.ts';
import type { OwnPerson } from '../home.ts';
import { table } from '../output.ts';
import type { Session } from '../session.ts';
import { isPrincipalId } from '../subjects.ts';

export function registerAccount(admin: BullaCommand): void {
  const account = admin
    .command('account')
    .description('Accounts that this home knows, and which one commands work on.')
    .example('bulla admin account list');
  account
    .command('add')
    .description('Note an existing account, and make it the current one. The read token comes from stdin.')
    .argument('<account>', 'acct_…, as its operator told you')
    .requiredOption('--issuer-url <url>', 'where its issuer is')
    .many('--admin-key <key>', 'name of the key in this home that signs; repeat')
    .option('--person <id>', 'who you are there, where an admin added you with a key of yours')
    .option('--key <key>', 'name of your key in this home: it signs what you ask for (with --person)')
    .example('bulla admin account add acct_… --issuer-url https://issuer.example < read-token')
    .run(async (session, given) => {
      const id = given.argument(0);
      if (!/^acct_[A-Za-z0-9_-]{43}$/u.test(id)) throw new CliError('argument_invalid', 'not an account id');
      const url = given.required('issuerUrl').replace(/\/$/u, '');
      if (!URL.canParse(url)) throw new CliError('argument_invalid', '`--issuer-url` is not a URL');
      const readToken = (await session.surroundings.readStdin()).trim();
      if (readToken === '') throw new CliError('argument_invalid', 'stdin has no read token');
      const person = ownPerson(session, given);
      session.home.putAccount({
        account: id,
        url,
        readToken,
        adminKeys: given.list('adminKey'),
        ...(person !== undefined && { person }),
      });
      session.output.result({ account: id, url }, [`noted ${id}`, 'next: bulla log verify']);
    });
  account
    .command('list')
    .description('List the accounts of this home.')
    .example('bulla admin account list')
    .run(async (session) => {
      const accounts = session.home
        .accounts()
        .map(({ account: id, url, adminKeys, current }) => ({ account: id, url, adminKeys, current }));
      const rows = accounts.map(({ account: id, url, current }) => [current ? '*' : '', id, url]);
      session.output.result({ accounts }, table(['', 'account', 'issuer'], rows));
      await Promise.resolve();
    });
  account
    .command('show')
    .description('Show the current account as the log has it.')
    .example('bulla admin account show')
    .run(show);
}

/** Whether the log says so too is asked by every command that signs with the key. */
function ownPerson(session: Session, given: Given): OwnPerson | undefined {
  const id = given.text('person');
  const key = given.text('key');
  if (id === undefined && key === undefined) return undefined;
  if (id === undefined || key === undefined) {
    throw new CliError('argument_invalid', '`--person` and `--key` go together');
  }
  if (!isPrincipalId(id)) throw new CliError('argument_invalid', 'not a whole id of a person, `prn_…`');
  session.home.readKey(key);
  return { id, key };
}

async function show(session: Session): Promise<void> {
  const { account, url } = session.account;
  await session.reading((ledger) => {
    const record = ledger.trust.read('account');
    const { size, root } = ledger.trust;
    session.output.result({ account, url, size, root, ...record }, [
      account,
      `  issuer     ${url}`,
      `  entries    ${size}`,
      `  admins     ${record?.admins} (${record?.threshold} must sign)`,
      `  log key    ${record?.logKey}`,
      `  origin     ${record?.origin}`,
    ]);
  });
}
