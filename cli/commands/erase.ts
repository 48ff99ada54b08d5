import { eraseFromDatabase, systemIssuerPorts } from '@bulla/issuer';
import type { BullaCommand, Given } from '../command.ts';
import { CliError } from '../errors.ts';
import { hostedAccount, withConfig } from '../hosted.ts';
import type { Session } from '../session.ts';

export function registerErase(program: BullaCommand): void {
  withConfig(
    program
      .command('erase')
      .description(
        'Delete all that the issuer keeps about a person beside the log, after ending them for good. The log still verifies. There is no way back.',
      )
      .argument('<person>', 'whole id of the person')
      .example('bulla erase prn_9b01d4c2e5f60718293a4b5c6d7e8f90 --config .bulla/issuer.json'),
  ).run(erase);
}

async function erase(session: Session, given: Given): Promise<void> {
  const principal = given.argument(0);
  if (!/^prn_[0-9a-f]{32}$/u.test(principal)) {
    throw new CliError('argument_invalid', 'the person is not named by their whole id');
  }
  const { config, account } = hostedAccount(session, given);
  const erased = await eraseFromDatabase(config, { account: account.account, principal }, systemIssuerPorts);
  session.output.result({ principal, ...erased }, [
    `${erased.rows} rows about ${principal} are deleted and overwritten`,
    erased.deprovisioned ? 'the person was live: they are deprovisioned now' : 'the person had left already',
    'not reached: backups of the database, mail that was sent, logs of proxies and APIs',
  ]);
}
