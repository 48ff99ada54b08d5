import { existsSync } from 'node:fs';
import { type AccountStore, type IssuerConfig, loadConfig, openLibsqlStore } from '@bulla/issuer';
import type { BullaCommand, Given } from './command.ts';
import { CliError } from './errors.ts';
import type { Session } from './session.ts';

const defaultConfig = '.bulla/issuer.json';

/** One account of an issuer on this machine, as its configuration has it. */
interface Hosted {
  readonly config: IssuerConfig;
  readonly account: IssuerConfig['accounts'][number];
}

/** Adds the option by which a command finds the issuer it works on. */
export function withConfig(command: BullaCommand): BullaCommand {
  return command.option(
    '--config <file>',
    `configuration of the issuer (default: BULLA_CONFIG, or ${defaultConfig})`,
  );
}

/**
 * The configuration of the issuer, as `serve` reads it.
 *
 * @throws {CliError} `config_missing`. @throws {ConfigError} naming the field.
 */
export function issuerConfig({ surroundings: { env } }: Session, given: Given): IssuerConfig {
  const file = given.text('config') ?? env['BULLA_CONFIG'] ?? defaultConfig;
  if (!existsSync(file) && env['BULLA_ACCOUNTS'] === undefined) {
    throw new CliError('config_missing', `there is no issuer configuration at \`${file}\``, {
      hint: 'make an account and an issuer with `bulla init` (in a checkout: `npx bulla init`)',
    });
  }
  return loadConfig(existsSync(file) ? file : undefined, env);
}

/**
 * The account that `--account` names, or the only one of the issuer.
 *
 * @throws {CliError} `account_unknown`, and as {@link issuerConfig}.
 */
export function hostedAccount(session: Session, given: Given): Hosted {
  const config = issuerConfig(session, given);
  const named = given.text('account');
  const [account, ...others] = config.accounts.filter(
    (each) => named === undefined || each.account === named,
  );
  if (account === undefined || others.length > 0) {
    throw new CliError('account_unknown', 'the issuer hosts no such account, or several', {
      hint: `name one with --account: ${config.accounts.map((each) => each.account).join(', ')}`,
    });
  }
  return { config, account };
}

/** Works on the account's rows in the database of the issuer, which may be running meanwhile. */
export async function inDatabase<T>(
  { config, account }: Hosted,
  work: (store: AccountStore) => Promise<T>,
): Promise<T> {
  const store = openLibsqlStore(config.database);
  try {
    return await work(await store.openAccount(account.account));
  } finally {
    await store.close();
  }
}
