import { distrustDomain, trustDomain } from '../admin.ts';
import type { BullaCommand, Given } from '../command.ts';
import type { Confirmed, Ledger } from '../ledger.ts';
import { table } from '../output.ts';
import { reportEntry } from '../report.ts';
import type { Session } from '../session.ts';

export function registerDomain(admin: BullaCommand): void {
  const domain = admin
    .command('domain')
    .description('E-mail domains in which services may provision people.')
    .example('bulla admin domain list');
  domain
    .command('trust')
    .description('Let services provision people in a domain that their lease lists.')
    .argument('<domain>', 'e-mail domain, like corp.example')
    .example('bulla admin domain trust corp.example')
    .run((session, given) => change(session, given, trustDomain, 'people may be provisioned in'));
  domain
    .command('distrust')
    .description('Let nobody be provisioned in a domain any more; who is there stays.')
    .argument('<domain>', 'e-mail domain')
    .example('bulla admin domain distrust corp.example')
    .run((session, given) => change(session, given, distrustDomain, 'nobody is provisioned any more in'));
  domain
    .command('list')
    .description('List e-mail domains.')
    .example('bulla admin domain list')
    .run((session) => session.reading((ledger) => list(session, ledger)));
}

/** Names are compared as they stand in the log: in lower case. */
async function change(
  session: Session,
  given: Given,
  entryOf: (ledger: Ledger, domain: string) => Promise<Confirmed>,
  done: string,
): Promise<void> {
  const domain = given.argument(0).toLowerCase();
  await session.signing(async (ledger) => {
    const entry = await entryOf(ledger, domain);
    reportEntry(session.output, `${done} ${domain}`, entry, { data: { domain } });
  });
}

function list(session: Session, ledger: Ledger): void {
  const { read } = ledger.trust;
  const records = ledger.names('principal/').map((id) => read(`principal/${id}`));
  const domains = ledger.names('domain/').map((domain) => ({
    domain,
    status: read(`domain/${domain}`)?.status ?? 'distrusted',
    people: records.filter((each) => each?.domain === domain && each.status !== 'deprovisioned').length,
  }));
  const rows = domains.map(({ domain, status, people }) => [domain, status, String(people)]);
  session.output.result({ domains }, table(['domain', 'status', 'people'], rows));
}
