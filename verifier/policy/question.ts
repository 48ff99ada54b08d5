import type { Resource, RouteOptions } from '../access.ts';
import type { SignedEnvelope } from '../envelope/signatures.ts';
import { claimTexts } from '../federation/claims.ts';
import { groupsOf } from '../log/groups.ts';
import type { TrustView } from '../log/view.ts';
import type { Parties } from '../parties.ts';
import type { CheckedProof } from '../proof/dpop.ts';
import type { PresentedRequest } from '../proof/request.ts';
import type { AudienceStanding } from '../standing.ts';
import { buildContext, type ReservedContext, timeContext } from './context.ts';
import type { LoadedSet, Question } from './engine.ts';

/** Everything the policy may know of one request. */
export interface Case {
  readonly envelope: SignedEnvelope;
  readonly parties: Parties;
  /** Ids of the people who approved. */
  readonly approvers: readonly string[];
  readonly standing: AudienceStanding;
  readonly request: PresentedRequest;
  readonly proof: CheckedProof;
  readonly action: string;
  readonly resource: Resource;
  readonly context: Readonly<Record<string, unknown>> | undefined;
  readonly route: RouteOptions;
  /** Unix seconds. */
  readonly now: number;
}

/**
 * The question that a policy set is asked about a case: the person, with groups and attributes of the log, and the context that the
 * schema declares.
 *
 * @throws {Refusal} `rule_groups_too_many`, the codes of {@link buildContext}.
 */
export function questionFor(
  set: LoadedSet,
  trust: TrustView,
  { parties, envelope, request, action, resource, context, now }: Case,
  approvals: ReservedContext['approvals'],
): Question {
  const { id, record } = parties.principal;
  const reserved = new Facts({ parties, envelope, request, now }, approvals);
  return {
    principal: {
      type: 'User',
      id,
      attributes: { ...record.attributes, assurance: record.assurance },
      parents: groupsOf(trust.read, record).map((group) => ({ type: 'Group', id: group })),
    },
    action,
    resource,
    context: buildContext(set, action, reserved, context),
  };
}

/** Each fact is worked out when a policy reads it. */
class Facts implements ReservedContext {
  readonly key: ReservedContext['key'];
  readonly depth: number;
  readonly actors: readonly string[];
  readonly approvals: ReservedContext['approvals'];
  readonly assurance: ReservedContext['assurance'];
  readonly #request: PresentedRequest;
  readonly #agent: Parties['agent'];
  readonly #outside: SignedEnvelope['outside'];
  readonly #now: number;

  constructor(
    { parties, envelope, request, now }: Pick<Case, 'parties' | 'envelope' | 'request' | 'now'>,
    approvals: ReservedContext['approvals'],
  ) {
    this.key = parties.key;
    this.depth = envelope.blocks.length;
    this.actors = parties.actors;
    this.approvals = approvals;
    this.assurance = parties.assurance;
    this.#request = request;
    this.#agent = parties.agent;
    this.#outside = envelope.outside;
    this.#now = now;
  }

  get agent(): Exclude<ReservedContext['agent'], undefined> | undefined {
    if (this.#agent === undefined) return undefined;
    const { id, record } = this.#agent;
    return { id, kind: record.kind, registeredBy: record.registeredBy };
  }

  get federated(): Readonly<Record<string, string>> | undefined {
    return this.#outside && claimTexts(this.#outside.claims);
  }

  get request(): ReservedContext['request'] {
    return { method: this.#request.method, path: this.#request.path };
  }

  get time(): ReservedContext['time'] {
    return timeContext(this.#now);
  }
}
