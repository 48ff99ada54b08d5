import { readFileSync } from 'node:fs';
import path from 'node:path';
import {
  compilePolicySet,
  type Delegable,
  type PolicyCases,
  PolicyTextRefusal,
  type TextProblem,
} from '@bulla/verifier/authoring';
import { canonicalJson } from '@bulla/verifier/envelope';
import { createEngine, type PolicySetDocument } from '@bulla/verifier/policy';
import { CliError } from './errors.ts';
import { isMissing } from './files.ts';
import type { Ledger } from './ledger.ts';

const baseSchema = 'schema.cedarschema';

/**
 * Compiles the policy set of a folder: `policy.cedar` and `schema.cedarschema`, after the base schema, which is looked for
 * two folders above (as in `policies/sets/<name>`) unless named.
 *
 * @throws {CliError} `policy_wrong` with every problem, `argument_invalid` where a file is missing.
 */
export async function loadPolicySet(folder: string, base: string | undefined): Promise<PolicySetDocument> {
  const baseFile = base ?? path.join(folder, '..', '..', baseSchema);
  const ownFile = path.join(folder, baseSchema);
  const common = base === undefined ? readIfThere(baseFile) : readText(base);
  const own = readIfThere(ownFile);
  if (common === undefined && own === undefined) throw missing(ownFile);
  const schemaText = [common, own].filter((text) => text !== undefined).join('\n');
  const policyFile = path.join(folder, 'policy.cedar');
  const policyText = readText(policyFile);
  // Cedar counts the lines of both schemas as one text.
  const ownStart = common === undefined ? 0 : common.split('\n').length;
  const place = ({ file, line, column }: TextProblem): string => {
    if (file === 'policy') return `${policyFile}:${line}:${column}`;
    return line > ownStart ? `${ownFile}:${line - ownStart}:${column}` : `${baseFile}:${line}:${column}`;
  };
  try {
    return await compilePolicySet({ policyText, schemaText });
  } catch (error) {
    if (!(error instanceof PolicyTextRefusal)) throw error;
    const [first] = error.problems;
    const told = first === undefined ? '' : `${place(first)}: ${first.message}`;
    const more = error.problems.length > 1 ? ` (and ${error.problems.length - 1} more)` : '';
    throw new CliError('policy_wrong', `${told}${more}`, {
      reason: error.code,
      ...(common === undefined && {
        hint: `there is no base schema \`${baseFile}\`: name one with --schema (policies/schema.cedarschema)`,
      }),
    });
  }
}

/** The cases of a folder: `cases.json` and `entities.json`. undefined where it has none. @throws {CliError} `policy_wrong`. */
export function loadCases(folder: string): PolicyCases | undefined {
  const cases = readIfThere(path.join(folder, 'cases.json'));
  if (cases === undefined) return undefined;
  const entities = readText(path.join(folder, 'entities.json'));
  try {
    return {
      cases: JSON.parse(cases) as PolicyCases['cases'],
      entities: JSON.parse(entities) as PolicyCases['entities'],
    };
  } catch {
    throw new CliError('policy_wrong', `cases or entities in \`${folder}\` are not JSON`);
  }
}

function readText(file: string): string {
  const text = readIfThere(file);
  if (text === undefined) throw missing(file);
  return text;
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function missing(file: string): CliError {
  return new CliError('argument_invalid', `there is no \`${file}\``);
}

/** What service keys may write under the leases in force: groups, every group these are in, and attributes. */
export function delegableNow(ledger: Ledger): Delegable {
  const { read } = ledger.trust;
  const leases = ledger
    .names('delegate/')
    .map((key) => read(`delegate/${key}`))
    .filter((record) => record?.status === 'active' && record.lease.notAfter > ledger.now());
  const groups = new Set(leases.flatMap((record) => record?.lease.groups ?? []));
  for (const group of groups) for (const parent of read(`group/${group}`)?.parents ?? []) groups.add(parent);
  return {
    groups: [...groups],
    attributes: [...new Set(leases.flatMap((record) => record?.lease.attributes ?? []))],
  };
}

/** Groups whose approvals the schema of a set declares, for whichever action. */
export function approvalGroupsOf(document: PolicySetDocument): readonly string[] {
  const { schema } = createEngine().load(document);
  const groups = [...schema.actions.values()].flatMap(({ appliesTo }) => {
    const declared = appliesTo?.context.attributes.get('approvals')?.type;
    return declared?.kind === 'Record' ? [...declared.attributes.keys()] : [];
  });
  return [...new Set(groups)];
}

/** Why approvals that a set declares would count for nothing now. */
export function uncounted(ledger: Ledger, document: PolicySetDocument): string[] {
  return approvalGroupsOf(document).flatMap((group) => {
    const record = ledger.trust.read(`group/${group}`);
    if (record?.status === 'active' && record.protected) return [];
    const why =
      record === undefined
        ? `there is no such group yet: bulla admin group add ${group} --protected`
        : 'the group is not protected or was deleted, and its name is taken: let the policies name another';
    return [`approvals by ${group} count for nothing: ${why}`];
  });
}

/** What publishing would change, by policy id. */
export interface PolicyChange {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
  readonly schemaChanged: boolean;
}

export function comparePolicies(
  before: PolicySetDocument | undefined,
  after: PolicySetDocument,
): PolicyChange {
  const old = before?.policies ?? {};
  const ids = Object.keys(after.policies);
  const same = (id: string): boolean => canonicalJson(old[id]) === canonicalJson(after.policies[id]);
  return {
    added: ids.filter((id) => !Object.hasOwn(old, id)).sort(),
    removed: Object.keys(old)
      .filter((id) => !Object.hasOwn(after.policies, id))
      .sort(),
    changed: ids.filter((id) => Object.hasOwn(old, id) && !same(id)).sort(),
    schemaChanged: before !== undefined && canonicalJson(before.schema) !== canonicalJson(after.schema),
  };
}
