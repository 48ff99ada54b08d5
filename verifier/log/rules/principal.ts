import { Refusal } from '../../errors.ts';
import { canonicalJson, type JsonObject } from '../../json.ts';
import { limits } from '../../limits.ts';
import { principalIdOf } from '../entry.ts';
import { closureOf, requireWritableGroup } from '../groups.ts';
import type { Proposal } from '../proposal.ts';
import type { PrincipalRecord } from '../records.ts';
import { requireManaged, requireReached } from './connection.ts';
import { requireDomain } from './domain.ts';
import { groupOf, principalOf } from './known.ts';
import { requireTrustedLogin } from './login.ts';
import { endRecovery, recoveryAfter } from './recovery.ts';
import type { Rules } from './rule.ts';
import { keepKeys } from './subject-keys.ts';
import { addSuspension, endSuspensions, requireAllKept } from './suspension.ts';

export const principalRules: Rules<
  | 'principal.provision'
  | 'principal.update'
  | 'principal.suspend'
  | 'principal.resume'
  | 'principal.deprovision'
> = {
  'principal.provision': (proposal, op) => {
    const { actor } = proposal;
    for (const group of op.groups) {
      groupOf(proposal, group);
      if (actor.rank === 'delegate') requireWritableGroup(proposal.read, group, actor.lease.groups);
    }
    closureOf(proposal.read, op.groups);
    requireAttributes(op.attributes);
    if (op.login !== undefined) requireLogin(proposal, op.login.trust);
    requireListed(proposal, {}, op.attributes);
    if (actor.rank === 'delegate' && op.sponsor) {
      throw new Refusal('rule_not_permitted', 'a delegate cannot make a sponsor');
    }
    requireDomain(proposal, op.domain);
    proposal.put(`principal/${principalIdOf(proposal.leaf)}`, {
      version: 0,
      status: 'pending',
      suspendedBy: null,
      suspensions: [],
      epoch: 0,
      keys: [],
      recoveredSeq: null,
      agents: 0,
      assurance: 'none',
      recovery: null,
      sponsor: op.sponsor,
      groups: [...op.groups].sort(),
      attributes: op.attributes,
      connection: actor.rank === 'delegate' ? (actor.lease.connection ?? null) : null,
      domain: op.domain ?? null,
      login: op.login ?? null,
    });
  },

  'principal.update': (proposal, op) => {
    const person = principalOf(proposal, op.principal);
    requireManaged(proposal, person);
    if (person.status === 'deprovisioned') throw new Refusal('rule_status', 'person was deprovisioned');
    requireAttributes(op.attributes);
    requireListed(proposal, person.attributes, op.attributes);
    if (op.domain !== undefined) requireDomain(proposal, op.domain);
    const { attributes, domain = person.domain } = op;
    // Leaves `version` alone: directories write these all day, and no request in flight depends on them.
    proposal.put(`principal/${op.principal}`, { ...person, attributes, domain });
  },

  'principal.suspend': (proposal, op) => {
    const person = principalOf(proposal, op.principal);
    requireReached(proposal, person);
    if (person.status === 'deprovisioned') throw new Refusal('rule_status', 'person was deprovisioned');
    proposal.putPrincipal(op.principal, person, {
      status: 'suspended',
      epoch: person.epoch + 1,
      ...addSuspension(person.suspensions, proposal.actor),
    });
  },

  'principal.resume': (proposal, op) => {
    const person = principalOf(proposal, op.principal);
    requireReached(proposal, person);
    if (person.status !== 'suspended') throw new Refusal('rule_status', 'person is not suspended');
    const left = endSuspensions(person.suspensions, proposal.actor);
    requireAllKept(proposal, person.keys, op.keys);
    proposal.putPrincipal(op.principal, person, {
      ...left,
      status: left.suspensions.length > 0 ? 'suspended' : statusBefore(person),
      epoch: person.epoch + 1,
      keys: keepKeys(proposal, person.keys, op.keys),
      recovery: recoveryAfter(proposal, person, op.keys),
      renewedAt: proposal.time,
    });
  },

  'principal.deprovision': (proposal, op) => {
    const person = principalOf(proposal, op.principal);
    requireManaged(proposal, person);
    if (person.status === 'deprovisioned') throw new Refusal('rule_status', 'person was deprovisioned');
    proposal.putPrincipal(op.principal, person, {
      status: 'deprovisioned',
      epoch: person.epoch + 1,
      keys: keepKeys(proposal, person.keys, []),
      recovery: endRecovery(proposal, person),
    });
  },
};

/** Else a stolen key of one connection could have its people confirmed wherever the thief has an account. */
function requireLogin(proposal: Proposal, trust: string): void {
  requireTrustedLogin(proposal, trust);
  const { actor } = proposal;
  if (actor.rank === 'delegate' && actor.lease.logins?.includes(trust) !== true) {
    throw new Refusal('rule_login_unlisted', 'identity provider is not in the lease');
  }
}

/** Whoever was never activated comes back pending: resuming confirms nobody. */
function statusBefore(person: PrincipalRecord): 'pending' | 'active' {
  return person.assurance === 'none' ? 'pending' : 'active';
}

/** What a delegate changes must be in its lease; what it may not change must be as it was. */
function requireListed(proposal: Proposal, before: JsonObject, after: JsonObject): void {
  const { actor } = proposal;
  if (actor.rank !== 'delegate') return;
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (!actor.lease.attributes.includes(name) && own(before, name) !== own(after, name)) {
      throw new Refusal('rule_attribute_unlisted', 'attribute is not in the lease');
    }
  }
}

function own(attributes: JsonObject, name: string): string | undefined {
  const value = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
  return value === undefined ? undefined : canonicalJson(value);
}

const attributeName = /^[A-Za-z][A-Za-z0-9_]{0,62}$/u;

/** Attributes are text, integers, booleans and lists of text: nothing that Cedar could read as an entity or extension value. */
function requireAttributes(attributes: JsonObject): void {
  const entries = Object.entries(attributes);
  const plain = entries.every(
    ([name, value]) =>
      attributeName.test(name) &&
      (typeof value === 'string' ||
        typeof value === 'number' ||
        typeof value === 'boolean' ||
        (Array.isArray(value) && value.every((item) => typeof item === 'string'))),
  );
  if (!plain)
    throw new Refusal('rule_attribute_kind', 'attribute has an odd name or a value of another kind');
  if (
    entries.length > limits.maxAttributes ||
    Buffer.byteLength(canonicalJson(attributes)) > limits.maxAttributesBytes
  ) {
    throw new Refusal('rule_attribute_kind', 'attributes are too many or too long');
  }
}
