import type { BullaCommand } from '../command.ts';
import { CliError } from '../errors.ts';
import { fields, table } from '../output.ts';
import { reportEntry } from '../report.ts';
import { isThumbprint } from '../subjects.ts';

export function registerSigner(admin: BullaCommand): void {
  const signer = admin
    .command('signer')
    .description('Admin keys: those that sign everything here.')
    .example('bulla admin signer list');
  signer
    .command('add')
    .description('Make a key an admin key.')
    .requiredOption('--key <key>', 'the new key: a name in the home (made if there is none) or a file')
    .example('bulla admin signer add --key backup-admin')
    .run(async (session, given) => {
      await session.signing(async (ledger) => {
        const { signer: key } = await session.keys.signerOrNew(given.required('key'));
        const op = { type: 'admin.add', key: key.publicKey.jwk } as const;
        const entry = await ledger.append(op, { cosigners: [key] });
        const { thumbprint } = key.publicKey;
        reportEntry(session.output, 'there is one more admin key', entry, {
          data: { key: thumbprint },
          lines: fields({ key: thumbprint }),
        });
      });
    });
  signer
    .command('remove')
    .description('Take a key out of the admins for ever.')
    .argument('<key>', 'its thumbprint')
    .example('bulla admin signer remove <thumbprint>')
    .run(async (session, given) => {
      const key = given.argument(0);
      if (!isThumbprint(key))
        throw new CliError('argument_invalid', 'an admin key is named by its thumbprint');
      const entry = await session.signing((ledger) => ledger.append({ type: 'admin.remove', key }));
      reportEntry(session.output, `${key} is no longer an admin key`, entry, { data: { key } });
    });
  signer
    .command('list')
    .description('List admin keys and how many must sign.')
    .example('bulla admin signer list')
    .run(async (session) => {
      await session.reading((ledger) => {
        const keys = ledger
          .names('admin/')
          .map((key) => ({ key, status: ledger.trust.read(`admin/${key}`)?.status }));
        const threshold = ledger.trust.read('account')?.threshold;
        const rows = keys.map(({ key, status }) => [key, status ?? '']);
        session.output.result({ threshold, keys }, [
          ...table(['admin key', 'status'], rows),
          `${threshold} of them must sign each change`,
        ]);
      });
    });
}
