import { Refusal } from '../../errors.ts';
import { canonicalJson, type JsonObject } from '../../json.ts';
import { limits } from '../../limits.ts';
import { principalIdOf } from '../entry.ts';
import { closureOf, requireWritableGroup } from '../groups.ts';
import { atLeast, type Proposal } from '../proposal.ts';
import type { PrincipalRecord, Rank } from '../records.ts';
import { livePrincipal } from '../standing.ts';
import { groupOf, principalOf } from './known.ts';
import type { Rules } from './rule.ts';
import { addKey, keepKeys } from './subject-keys.ts';

export const principalRules: Rules<
  | 'principal.provision'
  | 'principal.activate'
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
    if (actor.rank === 'delegate') {
      if (op.sponsor) throw new Refusal('rule_not_permitted', 'a delegate cannot make a sponsor');
      if (!Object.keys(op.attributes).every((name) => actor.lease.attributes.includes(name))) {
        throw new Refusal('rule_attribute_unlisted', 'attribute is not in the lease');
      }
    }
    proposal.put(`principal/${principalIdOf(proposal.leaf)}`, {
      version: 0,
      status: 'pending',
      suspendedBy: null,
      epoch: 0,
      keys: [],
      recoveredSeq: null,
      agents: 0,
      assurance: 'none',
      sponsor: op.sponsor,
      groups: [...op.groups].sort(),
      attributes: op.attributes,
    });
  },

  'principal.activate': (proposal, op) => {
    const { actor } = proposal;
    const person = principalOf(proposal, op.principal);
    if (person.status !== 'pending') throw new Refusal('rule_status', 'person is not pending');
    if (actor.rank === 'owner') requireSponsor(proposal, actor.subject);
    const keys = addKey(proposal, [], op.key, `principal/${op.principal}`);
    proposal.putPrincipal(op.principal, person, {
      status: 'active',
      epoch: person.epoch + 1,
      keys,
      assurance: actor.rank === 'owner' ? 'sponsor' : 'admin',
    });
  },

  'principal.suspend': (proposal, op) => {
    const person = principalOf(proposal, op.principal);
    const rank = proposal.actor.rank;
    if (person.status !== 'active') requireHigher(rank, person);
    proposal.putPrincipal(op.principal, person, {
      status: 'suspended',
      suspendedBy: rank,
      epoch: person.epoch + 1,
    });
  },

  'principal.resume': (proposal, op) => {
    const person = principalOf(proposal, op.principal);
    if (person.status !== 'suspended' || person.suspendedBy === null) {
      throw new Refusal('rule_status', 'person is not suspended');
    }
    if (!atLeast(proposal.actor.rank, person.suspendedBy)) {
      throw new Refusal('rule_rank_too_low', 'suspended by a higher rank');
    }
    proposal.putPrincipal(op.principal, person, {
      status: 'active',
      suspendedBy: null,
      epoch: person.epoch + 1,
      keys: keepKeys(proposal, person.keys, op.keys),
    });
  },

  'principal.deprovision': (proposal, op) => {
    const person = principalOf(proposal, op.principal);
    if (person.status === 'deprovisioned') throw new Refusal('rule_status', 'person was deprovisioned');
    proposal.putPrincipal(op.principal, person, {
      status: 'deprovisioned',
      epoch: person.epoch + 1,
      keys: keepKeys(proposal, person.keys, []),
    });
  },
};

/** A higher rank may take over a suspension, so that the lower one cannot end it. */
function requireHigher(rank: Rank, person: PrincipalRecord): void {
  if (person.status !== 'suspended' || person.suspendedBy === null) {
    throw new Refusal('rule_status', 'person is neither active nor suspended');
  }
  if (atLeast(person.suspendedBy, rank)) {
    throw new Refusal('rule_status', 'person is suspended by this rank or a higher one');
  }
}

function requireSponsor(proposal: Proposal, subject: string): void {
  const id = subject.startsWith('principal/') ? subject.slice('principal/'.length) : '';
  if (livePrincipal(proposal.read, id)?.sponsor !== true) {
    throw new Refusal('rule_not_sponsor', 'activation is signed by neither an admin nor a sponsor');
  }
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
