import { partsOf } from '../approval/check.ts';
import { requestHash, rootHash } from '../approval/hashes.ts';
import { Refusal } from '../errors.ts';
import type { TrustView } from '../log/view.ts';
import type { Next } from '../next.ts';
import type { Reason } from '../receipt.ts';
import type { AudienceStanding } from '../standing.ts';
import { countApprovals, helpfulGroups } from './approvals.ts';
import { approvalGroups, buildContext, type ReservedContext, timeContext } from './context.ts';
import { createEngine, type Engine, type Verdict as EngineVerdict, type LoadedSet } from './engine.ts';
import type { Narrow } from './narrow.ts';
import { type Case, questionFor } from './question.ts';

export type Verdict =
  | { readonly allowed: true; readonly reasons: readonly Reason[] }
  | {
      readonly allowed: false;
      readonly reasons: readonly Reason[];
      /** What could turn it into an allow. */
      readonly next: Next;
    };

export interface Clearance {
  /**
   * Asks the admins' set, and during an overlap the one before it, which must allow; then the limits, which must not
   * forbid. The calls share nothing, so a limit can only take away (law 1). Every reason is collected.
   *
   * @throws {Refusal} `policy_unavailable`, `rule_groups_too_many`, the codes of `buildContext`, `Engine.load` and
   *   `Engine.validateNarrow`, and of every fault in a verdict: an error in Cedar is never an allow.
   */
  clear(asked: Case): Verdict;
  /**
   * Whether the schema declares `approvals` for this action: in the current set, or in the one before during an overlap.
   *
   * @throws {Refusal} `policy_unavailable` and the codes of `Engine.load`.
   */
  takesApprovals(standing: AudienceStanding, action: string): boolean;
}

/** @param trust where policy sets and groups come from; asked anew on each request. */
export function createClearance(trust: TrustView): Clearance {
  const engine = createEngine();
  warm(engine);
  // By identity of the list: those of a cached envelope, an agent's record and a route stay the same objects.
  const narrows = new WeakMap<readonly unknown[], Map<string, Narrow>>();

  const load = (digest: string): LoadedSet => {
    const document = trust.policySet(digest);
    if (document === undefined) throw new Refusal('policy_unavailable', 'current policy set is not here yet');
    const set = engine.load(document);
    if (set.digest !== digest) throw new Refusal('policy_unavailable', 'policy set is not the one published');
    return set;
  };
  const narrowOf = (set: LoadedSet, source: string, policies: readonly unknown[]): Narrow => {
    const known = narrows.get(policies) ?? new Map<string, Narrow>();
    narrows.set(policies, known);
    const key = `${set.digest} ${source}`;
    const narrow = known.get(key) ?? engine.validateNarrow(set, source, policies);
    if (known.size >= keptPerList) known.clear();
    return known.set(key, narrow).get(key) ?? narrow;
  };

  const setsOf = ({ digest, overlapping }: AudienceStanding): readonly [LoadedSet, ...LoadedSet[]] =>
    overlapping === undefined ? [load(digest)] : [load(digest), load(overlapping)];
  const ask = (asked: Case, approvals: ReservedContext['approvals']): readonly EngineVerdict[] => {
    const [set, ...before] = setsOf(asked.standing);
    const question = questionFor(set, trust, asked, approvals);
    const verdicts = [strongEnough(asked, engine.decide(set, question))];
    for (const each of before) {
      verdicts.push(strongEnough(asked, engine.decide(each, questionFor(each, trust, asked, approvals))));
    }
    const limits = limitsOf(asked).map(({ source, policies }) => narrowOf(set, source, policies));
    if (limits.length > 0) verdicts.push(engine.limits(set, limits, question));
    return verdicts;
  };

  return {
    takesApprovals: (standing, action) =>
      setsOf(standing).some((set) => approvalGroups(set, action) !== undefined),
    clear: (asked) => {
      const verdicts = ask(asked, countApprovals(trust, asked.approvers));
      for (const { errors } of verdicts) {
        const [fault] = errors;
        if (fault !== undefined)
          throw new Refusal(fault.code, `policy could not be evaluated: ${fault.layer}`);
      }
      const allowed = verdicts.every((verdict) => verdict.allowed);
      const reasons = reasonsOf(verdicts.filter((verdict) => verdict.allowed === allowed));
      if (allowed) return { allowed, reasons };
      const declared = setsOf(asked.standing).flatMap((set) => approvalGroups(set, asked.action) ?? []);
      const wouldAllow = (counts: ReservedContext['approvals']): boolean =>
        ask(asked, counts).every((verdict) => verdict.allowed);
      const groups = helpfulGroups(trust, declared, wouldAllow);
      return { allowed, reasons, next: nextOf(asked, reasons, groups) };
    },
  };
}

/** Cedar's first call takes about 100 ms: better while the process starts than for the first request. */
function warm(engine: Engine): void {
  const appliesTo = { principalTypes: ['User'], resourceTypes: ['User'] };
  const any = { op: 'All' } as const;
  const set = engine.load({
    version: 1,
    policies: { any: { effect: 'permit', principal: any, action: any, resource: any, conditions: [] } },
    schema: { '': { entityTypes: { User: {} }, actions: { warm: { appliesTo } } } },
  });
  const user = { type: 'User', id: 'nobody' };
  const principal = { ...user, attributes: {}, parents: [] };
  const request = { method: 'GET', path: '/' };
  const reserved = {
    key: 'logged',
    depth: 0,
    actors: [],
    approvals: {},
    assurance: 'admin',
    time: timeContext(0),
    request,
  } as const;
  engine.decide(set, {
    principal,
    action: 'warm',
    resource: user,
    context: buildContext(set, 'warm', reserved),
  });
}

/** Sets under which one list of limits was validated: current, overlapping, and the one to come. */
const keptPerList = 4;

interface LimitSource {
  readonly source: string;
  readonly policies: readonly unknown[];
}

/**
 * A person whose key stands on a delegate's word alone is allowed only what a permit says is for such people:
 * `@assurance("delegate")` on one of those that decided.
 */
function strongEnough({ parties }: Case, verdict: EngineVerdict): EngineVerdict {
  if (parties.assurance !== 'delegate' || !verdict.allowed) return verdict;
  return verdict.reasons.some(({ assurance }) => assurance === 'delegate') ? verdict : tooWeak;
}

const tooWeak: EngineVerdict = {
  allowed: false,
  reasons: [{ layer: 'builtin', policyId: 'assurance_too_low' }],
  errors: [],
};

/** Every list of `forbid`s that applies, named by where it comes from; empty ones left out. */
function limitsOf({ envelope, parties, route }: Case): readonly LimitSource[] {
  const sources: LimitSource[] = envelope.effective.narrow.map((policies, block) => ({
    source: `narrow/${String(block)}`,
    policies,
  }));
  for (const { id, record } of parties.agents) {
    sources.push({ source: `agent/${id}/admin`, policies: record.limits.admin });
    sources.push({ source: `agent/${id}/owner`, policies: record.limits.owner });
  }
  if (route.forbids !== undefined) sources.push({ source: 'api', policies: route.forbids });
  return sources.filter(({ policies }) => policies.length > 0);
}

/** Of the verdicts that went the way the decision fell. */
function reasonsOf(verdicts: readonly EngineVerdict[]): readonly Reason[] {
  return verdicts.flatMap(({ reasons }) =>
    reasons.map(({ layer, policyId, reason }) => ({
      layer: layer === 'limits' ? layerOf(policyId) : layer,
      policy: policyId,
      ...(reason !== undefined && { reason }),
    })),
  );
}

function layerOf(policyId: string): Reason['layer'] {
  if (policyId.startsWith('narrow/')) return 'narrow';
  return policyId.startsWith('agent/') ? 'agent' : 'api';
}

/** Nothing a holder wrote goes in: action and resource are the route's words, groups the schema's (F27). */
function nextOf(asked: Case, reasons: readonly Reason[], groups: readonly string[] | undefined): Next {
  if (groups !== undefined) {
    const { request, envelope } = asked;
    const hashes = {
      request: requestHash(partsOf(request, asked.proof)),
      envelope: rootHash(request.envelope),
    };
    return { do: 'approval', groups, account: envelope.root.account, ...hashes };
  }
  const layers = new Set(reasons.map(({ layer }) => layer));
  if (reasons.length === 0 || layers.has('admin') || layers.has('builtin') || layers.has('agent'))
    return { do: 'ask_admin' };
  if (layers.has('api')) return { do: 'none' };
  const { type, id } = asked.resource;
  const detail = { type: 'bulla', actions: [asked.action], resources: [{ type, id }] } as const;
  return { do: 'ask', authorization_details: [detail] };
}
