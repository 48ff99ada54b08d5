import type { ClaimDemand, OutsideProfile } from '@bulla/verifier/log';
import { distrustOutside, type OutsideTrust, trustOutside } from '../admin.ts';
import type { BullaCommand, Given } from '../command.ts';
import { CliError } from '../errors.ts';
import { discoverKeySet, loadKeySet, type PublishedKeys, pinnedKeys } from '../key-sets.ts';
import { fields, table } from '../output.ts';
import { reportEntry } from '../report.ts';
import type { Session } from '../session.ts';
import { subjectId } from '../subjects.ts';

export function registerFederation(admin: BullaCommand): void {
  const federation = admin
    .command('federation')
    .description('Outside issuers: whose tokens stand for which agent.')
    .example('bulla admin federation list');
  registerTrust(federation);
  federation
    .command('distrust')
    .description('End a trust in an outside issuer, and its name for ever.')
    .argument('<name>', 'name of the trust')
    .example('bulla admin federation distrust deploy')
    .run(distrust);
  federation
    .command('list')
    .description('List the trusts in outside issuers.')
    .example('bulla admin federation list')
    .run(list);
  federation
    .command('show')
    .description('Show a trust: issuer, keys, claims, agent.')
    .argument('<name>', 'name of the trust')
    .example('bulla admin federation show deploy')
    .run(show);
}

function registerTrust(federation: BullaCommand): void {
  federation
    .command('trust')
    .description('Let tokens of an outside issuer stand for an agent; the same name again replaces it.')
    .argument('<name>', 'name of the trust, yours to choose')
    .requiredOption('--agent <agent>', 'the agent that such a token stands for')
    .option('--github <owner/repository>', 'jobs of this repository on GitHub Actions')
    .option('--repository-id <id>', 'GitHub: id of the repository, which no later one of its name has')
    .option('--ref <ref>', 'GitHub: refs/heads/… or refs/tags/…')
    .option('--environment <name>', 'GitHub: the environment that the job runs in')
    .option('--event <name>', 'GitHub: the event; pull_request_target and its like need to be named')
    .option('--spiffe <id>', 'the workload with this SPIFFE id, spiffe://domain/path')
    .option('--issuer <url>', 'any other issuer (`iss` of its tokens), or a GitHub of your own')
    .many('--claim <name=value>', 'what a claim must say, exactly; repeat for several')
    .many('--like <name=pattern>', 'what a claim must be like: * is any run of characters')
    .option(
      '--audience <text>',
      'what the issuer calls us in `aud`, for tokens bound otherwise or not at all',
    )
    .option('--jwks <source>', 'file or URL of the key set; default: found by OpenID discovery')
    .option('--bundle <source>', 'SPIFFE: file or URL of the trust bundle')
    .many('--pin <thumbprint>', 'take this key of the set alone; repeat for several')
    .example(
      'bulla admin federation trust deploy --agent agt_9b01d4 --github acme/orders --ref refs/heads/main',
    )
    .run(trust);
}

/** Which issuer is meant, and what its profile demands. */
interface Meant {
  readonly profile: OutsideProfile;
  readonly issuer: string;
  readonly claims: readonly (readonly [string, ClaimDemand])[];
}

const githubIssuer = 'https://token.actions.githubusercontent.com';

async function trust(session: Session, given: Given): Promise<void> {
  const meant = readMeant(given);
  const claims = readClaims(given, meant);
  warnOfLooseness(session, meant, claims);
  const published = await publishedKeys(given, meant);
  const keys = pinnedKeys(given.list('pin'), published);
  const audience = given.text('audience');
  await session.signing(async (ledger) => {
    const agent = subjectId(ledger, given.required('agent'), 'agt');
    const { profile, issuer } = meant;
    const name = given.argument(0);
    const before = ledger.trust.read(`federation/${name}`)?.keys ?? [];
    const op: OutsideTrust = {
      name,
      issuer,
      profile,
      keys,
      claims,
      agent,
      ...(audience !== undefined && { audience }),
    };
    const entry = await trustOutside(ledger, op);
    reportEntry(session.output, `tokens of ${issuer} stand for ${agent}`, entry, {
      data: { ...op, source: published.source, skipped: published.skipped },
      lines: [
        ...fields({
          'keys from': published.source,
          'keys left out': published.skipped + published.keys.length - keys.length,
        }),
        ...keys.map((key) => `  pinned ${key}${before.length > 0 && !before.includes(key) ? ' (new)' : ''}`),
        ...describeClaims(claims),
        ...describeSetup(op, (ledger.trust.read(`agent/${agent}`)?.vouched ?? []).length > 0),
      ],
      next: 'compare the pinned keys with what the issuer publishes, by another way than this machine',
    });
  });
}

/** What else has to be so before such a token is exchanged. */
function describeSetup({ name, profile, agent, audience }: OutsideTrust, vouched: boolean): string[] {
  if (profile === 'spiffe') {
    return [
      `the issuer reads the bundle itself: "federations": [{ "name": "${name}", "jwksFile": "…" }] in its configuration`,
    ];
  }
  if (profile !== 'oidc') return [];
  if (audience === undefined) {
    return ['tokens have to be bound to a key; access tokens, which are not, need --audience as well'];
  }
  return vouched ? [] : [`for access tokens also: bulla admin agent vouch ${agent} <actions>`];
}

function readMeant(given: Given): Meant {
  const [github, spiffe, issuer] = [given.text('github'), given.text('spiffe'), given.text('issuer')];
  if (github !== undefined && spiffe === undefined) {
    const options = {
      repository_id: 'repositoryId',
      ref: 'ref',
      environment: 'environment',
      event_name: 'event',
    };
    const more = Object.entries(options).flatMap(([claim, option]): [string, string][] => {
      const value = given.text(option);
      return value === undefined ? [] : [[claim, value]];
    });
    if (!/^[^/*\s]+\/[^/*\s]+$/u.test(github)) {
      throw new CliError('argument_invalid', '`--github` is not like owner/repository');
    }
    return { profile: 'github', issuer: issuer ?? githubIssuer, claims: [['repository', github], ...more] };
  }
  if (spiffe !== undefined && github === undefined && issuer === undefined) {
    const domain = /^(spiffe:\/\/[a-z0-9._-]+)\/./u.exec(spiffe)?.[1];
    if (domain === undefined)
      throw new CliError('argument_invalid', '`--spiffe` is not like spiffe://domain/path');
    return { profile: 'spiffe', issuer: domain, claims: [['sub', spiffe]] };
  }
  if (issuer !== undefined && spiffe === undefined) return { profile: 'oidc', issuer, claims: [] };
  throw new CliError('argument_invalid', 'name one of `--github`, `--spiffe` and `--issuer`');
}

function readClaims(given: Given, { claims }: Meant): Readonly<Record<string, ClaimDemand>> {
  const exact = given.each('claim').map((text): [string, ClaimDemand] => pair(text, 'claim'));
  const like = given.each('like').map((text): [string, ClaimDemand] => {
    const [name, pattern] = pair(text, 'like');
    return [name, { like: pattern }];
  });
  const all = [...claims, ...exact, ...like];
  if (all.length === 0)
    throw new CliError('argument_invalid', 'say what tokens must claim: `--claim name=value`');
  if (new Set(all.map(([name]) => name)).size !== all.length) {
    throw new CliError('argument_invalid', 'a claim is named twice');
  }
  return Object.fromEntries(all);
}

function pair(text: string, option: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw new CliError('argument_invalid', `\`--${option}\` is not like name=value`);
  return [text.slice(0, at), text.slice(at + 1)];
}

function warnOfLooseness(
  session: Session,
  { profile }: Meant,
  claims: Readonly<Record<string, ClaimDemand>>,
): void {
  if (profile !== 'github') return;
  if (!Object.hasOwn(claims, 'repository_id')) {
    session.output.warn(
      'without --repository-id, whoever gets the name of a deleted repository gets this trust',
    );
  }
  if (!['ref', 'environment', 'job_workflow_ref'].some((name) => Object.hasOwn(claims, name))) {
    session.output.warn(
      'any branch counts: whoever may push one can act as the agent; name --ref or --environment',
    );
  }
}

function publishedKeys(given: Given, { profile, issuer }: Meant): Promise<PublishedKeys> {
  const source = given.text(profile === 'spiffe' ? 'bundle' : 'jwks');
  if (source !== undefined) return loadKeySet(source);
  if (profile === 'spiffe') throw new CliError('argument_invalid', '`--bundle` is missing');
  return discoverKeySet(issuer);
}

async function distrust(session: Session, given: Given): Promise<void> {
  const name = given.argument(0);
  await session.signing(async (ledger) => {
    const entry = await distrustOutside(ledger, name);
    reportEntry(session.output, `${name} is trusted no more, and never again under this name`, entry, {
      data: { name },
    });
  });
}

async function list(session: Session): Promise<void> {
  await session.reading((ledger) => {
    const federations = ledger.names('federation/').flatMap((name) => {
      const record = ledger.trust.read(`federation/${name}`);
      return record === undefined ? [] : [{ name, ...record }];
    });
    const rows = federations.map(({ name, status, profile, issuer, agent }) => [
      name,
      status,
      profile,
      issuer,
      agent,
    ]);
    session.output.result({ federations }, table(['name', 'status', 'profile', 'issuer', 'agent'], rows));
  });
}

async function show(session: Session, given: Given): Promise<void> {
  const name = given.argument(0);
  await session.reading((ledger) => {
    const record = ledger.trust.read(`federation/${name}`);
    if (record === undefined) throw new CliError('subject_unknown', 'the trust log knows no such federation');
    const { status, profile, issuer, agent, audience, keys, claims } = record;
    session.output.result({ name, ...record }, [
      name,
      ...fields({ status, profile, issuer, agent, audience: audience ?? undefined }),
      ...keys.map((key) => `  pinned ${key}`),
      ...describeClaims(claims),
    ]);
  });
}

function describeClaims(claims: Readonly<Record<string, ClaimDemand>>): readonly string[] {
  return Object.entries(claims).map(([name, demand]) =>
    typeof demand === 'string' ? `  ${name} = ${demand}` : `  ${name} like ${demand.like}`,
  );
}
