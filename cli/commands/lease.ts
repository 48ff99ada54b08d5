import { limits } from '@bulla/verifier';
import { leasable } from '@bulla/verifier/log';
import { grantLease, type LeaseRequest, renewLease } from '../admin.ts';
import type { BullaCommand, Given } from '../command.ts';
import { CliError } from '../errors.ts';
import { fields, span, table, when } from '../output.ts';
import { reportEntry } from '../report.ts';
import type { Session } from '../session.ts';
import { isThumbprint } from '../subjects.ts';

export function registerLease(admin: BullaCommand): void {
  const lease = admin
    .command('lease')
    .description('Leases: what the keys of a service may do, and until when.')
    .example('bulla admin lease list');
  lease
    .command('grant')
    .description('Lend a service key what is listed, and nothing else.')
    .requiredOption(
      '--key <key>',
      "the service's key: a file (made if there is none); a key gets one lease in its life",
    )
    .many('--allow <operation>', `operation it may sign; repeat. One of ${[...leasable].sort().join(', ')}`)
    .many('--audience <url>', 'audience it may mint for; repeat')
    .many('--group <name>', 'group it may write; repeat')
    .many('--attribute <name>', 'attribute of people it may write; repeat')
    .option('--connection <name>', 'whose people it manages; needed to provision any')
    .many('--domain <domain>', 'e-mail domain it may provision in, if `bulla admin domain` trusts it; repeat')
    .many('--login <name>', 'IdP of `bulla admin login` at which its people may confirm themselves; repeat')
    .option('--max-provisions <n>', 'people it may provision in its life (default 1000)')
    .option('--provisions-per-hour <n>', 'people it may provision in an hour (default 200)')
    .option('--max-removals <n>', 'suspensions, ends and removals in its life (default 200)')
    .option('--removals-per-hour <n>', 'suspensions, ends and removals in an hour (default 50)')
    .option('--for <time>', 'how long it lasts, at most 7d', '24h')
    .option('--max-life <time>', 'longest life of an envelope minted under it')
    .option('--per-hour <n>', 'entries it may sign in an hour')
    .option('--total <n>', 'entries it may sign in its life')
    .example(
      'bulla admin lease grant --key ./mint.jwk --allow capability.mint --audience https://orders.example/',
    )
    .run(grant);
  lease
    .command('renew')
    .description('Let a lease last from now on; run it from cron, with a key of its own.')
    .argument('[key...]', 'thumbprints of the service keys; none: every lease in force')
    .option('--for <time>', 'how long from now, at most 7d (default: 24h, and no lease is made shorter)')
    .example('bulla admin lease renew --for 24h')
    .run(renew);
  lease
    .command('revoke')
    .description('End a lease for ever: what was minted under it no longer holds.')
    .argument('<key>', 'thumbprint of the service key')
    .example('bulla admin lease revoke <thumbprint>')
    .run(async (session, given) => {
      const key = thumbprintOf(given.argument(0));
      const entry = await session.signing((ledger) => ledger.append({ type: 'delegate.revoke', key }));
      reportEntry(session.output, `ended the lease of ${key}`, entry, { data: { key } });
    });
  lease.command('list').description('List leases.').example('bulla admin lease list').run(list);
  lease
    .command('show')
    .description('Show a lease.')
    .argument('<key>', 'thumbprint of the service key')
    .example('bulla admin lease show <thumbprint>')
    .run(show);
}

async function grant(session: Session, given: Given): Promise<void> {
  const request = leaseRequest(given);
  await session.signing(async (ledger) => {
    const signer = await session.keys.serviceSigner(given.required('key'));
    const entry = await grantLease(ledger, signer, request);
    const { thumbprint } = signer.publicKey;
    reportEntry(session.output, `${thumbprint} holds a lease for ${span(secondsOf(given))}`, entry, {
      data: { key: thumbprint },
      next: `bulla admin lease renew ${thumbprint}`,
    });
  });
}

function leaseRequest(given: Given): LeaseRequest {
  const operations = given.list('allow');
  const unknown = operations.find((operation) => !leasable.has(operation));
  if (unknown !== undefined) {
    throw new CliError('argument_invalid', `\`${unknown}\` cannot be lent`, {
      hint: `one of ${[...leasable].sort().join(', ')}`,
    });
  }
  const [maxLifetimeSeconds, maxEntriesPerHour, maxEntries] = [
    given.duration('maxLife'),
    given.integer('perHour'),
    given.integer('total'),
  ];
  return {
    operations,
    audiences: given.list('audience'),
    groups: given.list('group'),
    attributes: given.list('attribute'),
    seconds: secondsOf(given),
    ...peopleOf(given),
    ...(maxLifetimeSeconds !== undefined && { maxLifetimeSeconds }),
    ...(maxEntriesPerHour !== undefined && { maxEntriesPerHour }),
    ...(maxEntries !== undefined && { maxEntries }),
  };
}

/** Whose people, in which domains, and how many. */
function peopleOf(given: Given): Pick<LeaseRequest, 'connection' | 'domains' | 'logins' | 'caps'> {
  const connection = given.text('connection');
  const [domains, logins] = [given.list('domain'), given.list('login')];
  if (connection === undefined && domains.length + logins.length > 0) {
    throw new CliError('argument_invalid', '`--domain` and `--login` go with `--connection`');
  }
  const caps = Object.fromEntries(
    (
      [
        ['provisions', 'maxProvisions'],
        ['provisionsPerHour', 'provisionsPerHour'],
        ['removals', 'maxRemovals'],
        ['removalsPerHour', 'removalsPerHour'],
      ] as const
    ).flatMap(([cap, option]) => {
      const value = given.integer(option);
      return value === undefined ? [] : [[cap, value]];
    }),
  );
  return {
    ...(connection !== undefined && { connection, domains, logins }),
    ...(Object.keys(caps).length > 0 && { caps }),
  };
}

function secondsOf(given: Given): number {
  const seconds = given.duration('for') ?? limits.defaultLeaseSeconds;
  if (seconds > limits.maxLeaseSeconds) throw new CliError('argument_invalid', '`--for` is longer than 7d');
  return seconds;
}

async function renew(session: Session, given: Given): Promise<void> {
  const named = given.rest(0).map(thumbprintOf);
  const chosen = given.text('for') !== undefined;
  const seconds = secondsOf(given);
  await session.signing(async (ledger) => {
    const inForce = ledger.names('delegate/').filter((key) => {
      const record = ledger.trust.read(`delegate/${key}`);
      return record?.status === 'active' && record.lease.notAfter > ledger.now();
    });
    const keys = named.length > 0 ? named : inForce;
    if (keys.length === 0) throw new CliError('subject_unknown', 'no lease is in force');
    const renewed = [];
    const kept = [];
    for (const key of keys) {
      const end = ledger.trust.read(`delegate/${key}`)?.lease.notAfter ?? 0;
      if (!chosen && end > ledger.now() + seconds) {
        kept.push({ key, notAfter: end });
        continue;
      }
      const { seq, checkpoint } = await renewLease(ledger, key, seconds);
      renewed.push({ key, seq, checkpoint });
    }
    const until = ledger.now() + seconds;
    session.output.result({ done: 'delegate.renew', renewed, kept, until }, [
      `renewed ${renewed.length === 1 ? 'one lease' : `${renewed.length} leases`} until ${when(until)}`,
      ...renewed.map(({ key, seq }) => `  ${key}  entry ${seq}`),
      ...kept.map(({ key, notAfter }) => `  ${key}  lasts until ${when(notAfter)} already`),
    ]);
  });
}

async function list(session: Session): Promise<void> {
  await session.reading((ledger) => {
    const now = ledger.now();
    const leases = ledger.names('delegate/').flatMap((key) => {
      const record = ledger.trust.read(`delegate/${key}`);
      return record === undefined ? [] : [{ key, ...record }];
    });
    const rows = leases.map(({ key, status, lease }) => [
      key,
      status === 'active' && lease.notAfter <= now ? 'ended' : status,
      status === 'active' ? span(lease.notAfter - now) : '',
      lease.operations.join(' '),
    ]);
    session.output.result({ leases }, table(['key', 'status', 'left', 'allows'], rows));
  });
}

async function show(session: Session, given: Given): Promise<void> {
  const key = thumbprintOf(given.argument(0));
  await session.reading((ledger) => {
    const record = ledger.trust.read(`delegate/${key}`);
    if (record === undefined)
      throw new CliError('subject_unknown', 'the trust log knows no lease of this key');
    const { lease, status, entries, spent } = record;
    const { caps } = lease;
    session.output.result({ key, ...record }, [
      key,
      ...fields({
        status,
        until: when(lease.notAfter),
        allows: lease.operations.join(' '),
        audiences: lease.audiences.join(' '),
        groups: lease.groups.join(' '),
        attributes: lease.attributes.join(' '),
        'envelope life': `${lease.maxLifetimeSeconds} s`,
        entries: `${entries} of ${lease.maxEntries}, ${lease.maxEntriesPerHour} an hour`,
        connection: lease.connection,
        domains: lease.domains?.join(' '),
        logins: lease.logins?.join(' '),
        provisions:
          caps && `${spent?.provisions.total} of ${caps.provisions}, ${caps.provisionsPerHour} an hour`,
        removals: caps && `${spent?.removals.total} of ${caps.removals}, ${caps.removalsPerHour} an hour`,
      }),
    ]);
  });
}

function thumbprintOf(text: string): string {
  if (isThumbprint(text)) return text;
  throw new CliError('argument_invalid', 'a key is named by its thumbprint (43 characters) here');
}
