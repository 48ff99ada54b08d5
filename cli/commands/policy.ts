import { lintPolicySet, runCases, showPolicy } from '@bulla/verifier/authoring';
import { type PolicySetDocument, policySetDigest } from '@bulla/verifier/policy';
import { publishPolicy } from '../admin.ts';
import type { BullaCommand, Given } from '../command.ts';
import { CliError, exitCodes } from '../errors.ts';
import type { Ledger } from '../ledger.ts';
import { fields, table, when } from '../output.ts';
import {
  comparePolicies,
  delegableNow,
  loadCases,
  loadPolicySet,
  type PolicyChange,
  uncounted,
} from '../policy-set.ts';
import { reportEntry } from '../report.ts';
import type { Session } from '../session.ts';

export function registerPolicy(program: BullaCommand): void {
  const policy = program
    .command('policy')
    .description('Write, test and publish Cedar policy sets.')
    .example('bulla policy test policies/sets/orders-to-amount');
  policy
    .command('check')
    .description('Compile and lint a policy set; nothing is sent.')
    .argument('<folder>', 'folder with policy.cedar and schema.cedarschema')
    .option('--schema <file>', 'base schema (default: two folders above)')
    .many('--delegable-group <name>', 'lint as if a service key could write this group; repeat')
    .many('--delegable-attribute <name>', 'lint as if a service key could write this attribute; repeat')
    .example('bulla policy check policies/sets/orders-to-amount')
    .run(check);
  policy
    .command('test')
    .description('Ask policy sets the questions in their cases.json, with the engine that decides requests.')
    .argument('<folder...>', 'folders of policy sets')
    .option('--schema <file>', 'base schema (default: two folders above)')
    .example('bulla policy test policies/sets/*')
    .run(test);
  policy
    .command('publish')
    .description('Sign a policy set into a slot: from then on it decides for every audience of the slot.')
    .argument('<folder>', 'folder with policy.cedar and schema.cedarschema')
    .requiredOption('--slot <name>', 'slot it becomes the current set of')
    .option('--schema <file>', 'base schema (default: two folders above)')
    .option('--overlap <time>', 'until then the set before must allow too, and old envelopes hold')
    .option('--accept-lint', 'publish in spite of findings')
    .option('--dry-run', 'say what would change, and stop')
    .example('bulla policy publish policies/sets/orders-to-amount --slot orders --dry-run')
    .run(publish);
  policy
    .command('show')
    .description('Show the slots, or the current policies of one.')
    .argument('[slot]', 'name of a slot')
    .example('bulla policy show orders')
    .run(show);
}

async function check({ output }: Session, given: Given): Promise<number | undefined> {
  const folder = given.argument(0);
  const document = await loadPolicySet(folder, given.text('schema'));
  const findings = lintPolicySet(document, {
    groups: given.list('delegableGroup'),
    attributes: given.list('delegableAttribute'),
  });
  const ids = Object.keys(document.policies).sort();
  const digest = policySetDigest(document);
  output.result({ digest, policies: ids, findings }, [
    findings.length === 0
      ? `${folder}: ${ids.length} policies, no findings`
      : `${folder}: ${findings.length} findings`,
    ...describeFindings(findings),
    ...fields({ digest }),
  ]);
  return findings.length === 0 ? undefined : exitCodes.no.exit;
}

type Findings = ReturnType<typeof lintPolicySet>;

function describeFindings(findings: Findings): string[] {
  return findings.map(({ rule, policyId, message }) => `  ${policyId ?? 'schema'}: ${message} (${rule})`);
}

async function test({ output }: Session, given: Given): Promise<number | undefined> {
  const sets = [];
  for (const folder of given.rest(0)) {
    const document = await loadPolicySet(folder, given.text('schema'));
    const cases = loadCases(folder);
    if (cases === undefined) throw new CliError('argument_invalid', `\`${folder}\` has no cases.json`);
    sets.push({ folder, results: runCases(document, cases) });
  }
  const all = sets.flatMap(({ results }) => results);
  const failed = all.filter(({ passed }) => !passed).length;
  const lines = sets.flatMap(({ folder, results }) => [
    folder,
    ...results.map(({ passed, name, decision, policies, errors }) => {
      const got = [decision, ...policies, ...errors].join(' ');
      return passed ? `  ok    ${name}` : `  FAIL  ${name}\n        got: ${got}`;
    }),
  ]);
  output.result({ passed: all.length - failed, failed, sets }, [
    ...lines,
    `${all.length - failed} passed, ${failed} failed`,
  ]);
  return failed === 0 ? undefined : exitCodes.no.exit;
}

async function publish(session: Session, given: Given): Promise<void> {
  const slot = given.required('slot');
  const document = await loadPolicySet(given.argument(0), given.text('schema'));
  const digest = policySetDigest(document);
  const work = async (ledger: Ledger): Promise<void> => {
    const findings = lintPolicySet(document, delegableNow(ledger));
    const change = comparePolicies(await currentSet(ledger, slot), document);
    const data = { slot, digest, change, findings };
    for (const line of uncounted(ledger, document)) session.output.warn(line);
    if (given.flag('dryRun')) {
      session.output.result({ done: null, ...data }, [
        'nothing was published',
        ...describeChange(change),
        ...describeFindings(findings),
      ]);
      return;
    }
    for (const line of [...describeChange(change), ...describeFindings(findings)]) session.output.note(line);
    if (findings.length > 0 && !given.flag('acceptLint')) {
      throw new CliError(
        'lint_found',
        `${findings.length} findings, the first: ${findings[0]?.message ?? ''}`,
        {
          reason: findings[0]?.rule,
          hint: '`--dry-run` shows them all; `--accept-lint` publishes in spite of them',
        },
      );
    }
    const entry = await publishPolicy(ledger, slot, document, given.duration('overlap'));
    const isUsed = ledger
      .names('audience/')
      .map((name) => ledger.trust.read(`audience/${name}`))
      .some((record) => record?.status === 'active' && record.slot === slot);
    // What changes was said before anything was signed.
    reportEntry(session.output, `slot ${slot} is decided by ${digest} now`, entry, {
      data,
      ...(!isUsed && { next: `bulla admin audience add <url> --slot ${slot}` }),
    });
  };
  await (given.flag('dryRun') ? session.reading(work) : session.signing(work));
}

/** The set published now, once it has been fetched; undefined where the slot has none. */
async function currentSet(ledger: Ledger, slot: string): Promise<PolicySetDocument | undefined> {
  const record = ledger.trust.read(`slot/${slot}`);
  return record?.status === 'active' ? ledger.policySet(record.digest) : undefined;
}

function describeChange({ added, removed, changed, schemaChanged }: PolicyChange): string[] {
  const lines = [
    ...added.map((id) => `  + ${id}`),
    ...removed.map((id) => `  - ${id}`),
    ...changed.map((id) => `  ~ ${id}`),
    ...(schemaChanged ? ['  ~ schema'] : []),
  ];
  return lines.length === 0 ? ['  no policy changes'] : lines;
}

async function show(session: Session, given: Given): Promise<void> {
  const name = given.optionalArgument(0);
  await session.reading(async (ledger) => {
    if (name === undefined) {
      listSlots(session, ledger);
      return;
    }
    const record = ledger.trust.read(`slot/${name}`);
    if (record === undefined)
      throw new CliError('subject_unknown', `the trust log knows no slot \`${name}\``);
    const document = record.status === 'active' ? await ledger.policySet(record.digest) : undefined;
    const texts = await Promise.all(Object.values(document?.policies ?? {}).map(showPolicy));
    session.output.result({ slot: name, ...record, document: document ?? null }, [
      name,
      ...fields({
        status: record.status,
        digest: record.digest,
        overlap:
          record.previous === null
            ? undefined
            : `${record.previous.digest} until ${when(record.previous.until)}`,
      }),
      ...texts.map((text) => `\n${text.trim()}`),
    ]);
  });
}

function listSlots({ output }: Session, ledger: Ledger): void {
  const slots = ledger.names('slot/').map((slot) => ({ slot, ...ledger.trust.read(`slot/${slot}`) }));
  const rows = slots.map(({ slot, status, digest }) => [slot, status ?? '', digest ?? '']);
  output.result({ slots }, table(['slot', 'status', 'digest'], rows));
}
