import { existsSync } from 'node:fs';
import path from 'node:path';
import { limits } from '@bulla/verifier';
import type { BullaCommand, Given } from '../command.ts';
import { CliError } from '../errors.ts';
import { fields, span } from '../output.ts';
import type { Session } from '../session.ts';
import { setUp } from '../setup.ts';

export function registerInit(program: BullaCommand): void {
  program
    .command('init')
    .description('Make an account: admin key in the home, issuer with its keys in a folder, first leases.')
    .option('--issuer-url <url>', 'origin under which clients will reach the issuer', 'http://127.0.0.1:8787')
    .option('--data <folder>', 'folder for the issuer; must hold none yet', '.bulla')
    .option('--another', 'add a further account to the issuer in that folder; restart it then')
    .option('--admin-key <name>', 'admin key in the home; made if there is none', 'admin')
    .many(
      '--audience <url>',
      'API that the issuer may mint for; repeat. A mint key keeps its audiences for life',
    )
    .option('--lease <time>', 'how long the first leases last, at most 7d', '24h')
    .example('bulla init --audience https://orders.example/')
    .run(init);
}

async function init(session: Session, given: Given): Promise<void> {
  const { home, keys, output, surroundings } = session;
  const folder = path.resolve(given.text('data') ?? '.bulla');
  const asked = originOf(given.text('issuerUrl') ?? '');
  const another = given.flag('another');
  if (!another && existsSync(path.join(folder, 'issuer.json'))) {
    throw new CliError('init_exists', `there is an issuer in \`${folder}\` already`, {
      hint: 'serve it with `bulla serve`, add an account to it with `--another`, or choose another `--data`',
    });
  }
  const leaseSeconds = given.duration('lease') ?? limits.defaultLeaseSeconds;
  if (leaseSeconds > limits.maxLeaseSeconds)
    throw new CliError('argument_invalid', '`--lease` is longer than 7d');
  const name = given.text('adminKey') ?? 'admin';
  const admin = await keys.signerOrNew(name);
  const { now } = surroundings.ports;
  const setup = await setUp({
    folder,
    another,
    issuerUrl: asked,
    admins: [admin.signer],
    audiences: given.list('audience'),
    leaseSeconds,
    ledgerFolder: (account) => home.logFolder(account),
    now,
  });
  const { account, readToken, configFile, issuerUrl } = setup;
  home.putAccount({ account, url: issuerUrl, readToken, adminKeys: [name] });
  output.result(
    {
      account,
      home: home.folder,
      config: configFile,
      issuer: `${issuerUrl}/a/${account}`,
      adminKey: name,
      keys: setup.keys,
    },
    [
      `made ${account}`,
      ...fields({
        'admin key': `${name}${admin.made ? ', new' : ''}, in ${home.folder}`,
        issuer: configFile,
        'leases end in': span(leaseSeconds),
      }),
      'The admin key signs everything; the issuer never sees it. Back the home up.',
      ...(another
        ? ['This home works on it from now on; `--account` names the one before.', 'next: restart the issuer']
        : [`next: bulla serve --config ${configFile}`]),
      'then: bulla policy publish <folder> --slot <name>',
    ],
  );
}

function originOf(text: string): string {
  if (!URL.canParse(text) || new URL(text).origin !== text.replace(/\/$/u, '')) {
    throw new CliError('argument_invalid', '`--issuer-url` is not an origin like https://issuer.example');
  }
  return new URL(text).origin;
}
