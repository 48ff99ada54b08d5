import { distrustLogin, type LoginTrust, trustLogin } from '../admin.ts';
import type { BullaCommand, Given } from '../command.ts';
import { CliError } from '../errors.ts';
import { discoverKeySet, loadKeySet, pinnedKeys } from '../key-sets.ts';
import { ownCallback } from '../login.ts';
import { fields, table } from '../output.ts';
import { reportEntry } from '../report.ts';
import type { Session } from '../session.ts';

export function registerLogin(admin: BullaCommand): void {
  const login = admin
    .command('login')
    .description('Identity providers whose log-ins confirm people.')
    .example('bulla admin login list');
  login
    .command('trust')
    .description('Let log-ins at an identity provider confirm people; the same name again replaces it.')
    .argument('<name>', 'name of the trust, yours to choose')
    .requiredOption('--issuer <url>', '`iss` of its ID tokens')
    .requiredOption(
      '--client-id <id>',
      'what `bulla activate` is registered as there: `aud` of the ID tokens',
    )
    .option('--claim <claim>', 'which claim names the person: sub, or oid (Entra); default sub')
    .option('--jwks <source>', 'file or URL of the key set; default: found by OpenID discovery')
    .many('--pin <thumbprint>', 'take this key of the set alone; repeat for several')
    .example('bulla admin login trust corp --issuer https://idp.example --client-id bulla')
    .run(trust);
  login
    .command('distrust')
    .description('End a trust in an identity provider, and its name for ever.')
    .argument('<name>', 'name of the trust')
    .example('bulla admin login distrust corp')
    .run(distrust);
  login
    .command('list')
    .description('List the identity providers whose log-ins confirm people, with their keys.')
    .example('bulla admin login list')
    .run(list);
}

async function trust(session: Session, given: Given): Promise<void> {
  const issuer = given.required('issuer');
  const jwks = given.text('jwks');
  const published = jwks === undefined ? await discoverKeySet(issuer) : await loadKeySet(jwks);
  const keys = pinnedKeys(given.list('pin'), published);
  const op: LoginTrust = {
    name: given.argument(0),
    issuer,
    keys,
    audience: given.required('clientId'),
    claim: readClaim(given.text('claim')),
  };
  await session.signing(async (ledger) => {
    const before = ledger.trust.read(`login/${op.name}`)?.keys ?? [];
    const entry = await trustLogin(ledger, op);
    reportEntry(session.output, `log-ins at ${issuer} confirm people`, entry, {
      data: { ...op, source: published.source, skipped: published.skipped },
      lines: [
        ...fields({
          'keys from': published.source,
          'keys left out': published.skipped + published.keys.length - keys.length,
          'redirects to register': `http://127.0.0.1/callback or, where it sends no \`iss\` (RFC 9207), http://127.0.0.1${ownCallback(issuer)}`,
        }),
        ...keys.map((key) => `  pinned ${key}${before.length > 0 && !before.includes(key) ? ' (new)' : ''}`),
      ],
      next: 'compare the pinned keys with what the provider publishes, by another way than this machine',
    });
  });
}

function readClaim(text = 'sub'): LoginTrust['claim'] {
  if (text === 'sub' || text === 'oid') return text;
  throw new CliError('argument_invalid', '`--claim` is neither sub nor oid');
}

async function distrust(session: Session, given: Given): Promise<void> {
  const name = given.argument(0);
  await session.signing(async (ledger) => {
    const entry = await distrustLogin(ledger, name);
    reportEntry(session.output, `${name} confirms nobody any more, and never again under this name`, entry, {
      data: { name },
    });
  });
}

async function list(session: Session): Promise<void> {
  await session.reading((ledger) => {
    const logins = ledger.names('login/').flatMap((name) => {
      const record = ledger.trust.read(`login/${name}`);
      return record === undefined ? [] : [{ name, ...record }];
    });
    const rows = logins.map(({ name, status, issuer, audience, claim }) => [
      name,
      status,
      issuer,
      audience,
      claim,
    ]);
    const pins = logins.flatMap(({ name, keys }) => keys.map((key) => `  ${name} pins ${key}`));
    session.output.result({ logins }, [
      ...table(['name', 'status', 'issuer', 'client', 'claim'], rows),
      ...pins,
    ]);
  });
}
