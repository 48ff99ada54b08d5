import { audienceKey } from '@bulla/verifier/log';
import { registerAudience } from '../admin.ts';
import type { BullaCommand, Given } from '../command.ts';
import { CliError } from '../errors.ts';
import { fields, table } from '../output.ts';
import { reportEntry } from '../report.ts';
import type { Session } from '../session.ts';

export function registerAudienceCommands(admin: BullaCommand): void {
  const audience = admin
    .command('audience')
    .description('Audiences: the APIs that verify, and the policy slot that decides for each.')
    .example('bulla admin audience list');
  audience
    .command('add')
    .description('Register an API.')
    .argument('<url>', 'its audience URL')
    .requiredOption('--slot <name>', 'policy slot that decides for it')
    .option('--staleness <time>', 'how old trust state may be when it decides', '60s')
    .example('bulla admin audience add https://orders.example/ --slot orders')
    .run(add);
  audience
    .command('retire')
    .description('Retire an API: every envelope for it is refused from now on.')
    .argument('<url>', 'its audience URL')
    .example('bulla admin audience retire https://orders.example/')
    .run(async (session, given) => {
      const url = given.argument(0);
      const entry = await session.signing((ledger) =>
        ledger.append({ type: 'audience.retire', audience: url }),
      );
      reportEntry(session.output, `retired ${url}`, entry, { data: { audience: url } });
    });
  audience.command('list').description('List audiences.').example('bulla admin audience list').run(list);
  audience
    .command('show')
    .description('Show an audience and the policy that decides for it.')
    .argument('<url>', 'its audience URL')
    .example('bulla admin audience show https://orders.example/')
    .run(show);
}

async function add(session: Session, given: Given): Promise<void> {
  const url = given.argument(0);
  const slot = given.required('slot');
  await session.signing(async (ledger) => {
    const entry = await registerAudience(ledger, url, slot, given.duration('staleness') ?? 60);
    const leases = ledger.names('delegate/').map((key) => ledger.trust.read(`delegate/${key}`));
    const isLent = (audience: string): boolean =>
      leases.some((record) => record?.status === 'active' && record.lease.audiences.includes(audience));
    const twin = url.endsWith('/') ? url.slice(0, -1) : `${url}/`;
    if (!isLent(url) && isLent(twin)) {
      session.output.warn(`the issuer may mint for ${twin}, which is another audience: a slash counts`);
    }
    reportEntry(session.output, `registered ${url}, decided by slot ${slot}`, entry, {
      data: { audience: url, slot },
      // A key gets one lease in its life, so a further audience takes a further mint key.
      ...(!isLent(url) && {
        next: `bulla admin lease grant --key <new file> --allow capability.mint --audience ${url}, and name the file in the issuer's configuration`,
      }),
    });
  });
}

async function list(session: Session): Promise<void> {
  await session.reading((ledger) => {
    const audiences = ledger
      .names('audience/')
      .map((name) => ledger.trust.read(`audience/${name}`))
      .filter((record) => record !== undefined);
    const rows = audiences.map(({ audience, status, slot, maxStalenessSeconds }) => [
      audience,
      status,
      slot,
      `${maxStalenessSeconds} s`,
    ]);
    session.output.result({ audiences }, table(['audience', 'status', 'slot', 'staleness'], rows));
  });
}

async function show(session: Session, given: Given): Promise<void> {
  await session.reading((ledger) => {
    const url = given.argument(0);
    const record = ledger.trust.read(audienceKey(url));
    if (record === undefined) throw new CliError('subject_unknown', 'the trust log knows no such audience');
    const slot = ledger.trust.read(`slot/${record.slot}`);
    session.output.result({ ...record, policy: slot?.digest ?? null }, [
      url,
      ...fields({
        status: record.status,
        slot: record.slot,
        policy: slot?.status === 'active' ? slot.digest : 'none: every request is denied',
        staleness: `${record.maxStalenessSeconds} s`,
      }),
    ]);
  });
}
