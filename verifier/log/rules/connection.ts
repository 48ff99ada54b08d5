import { Refusal } from '../../errors.ts';
import type { Proposal } from '../proposal.ts';
import type { PrincipalRecord } from '../records.ts';
import { principalOf } from './known.ts';

/** A delegate manages only people of its own connection. @throws {Refusal} `rule_connection_foreign`. */
export function requireManaged(proposal: Proposal, person: PrincipalRecord): void {
  const { actor } = proposal;
  if (actor.rank !== 'delegate') return;
  if (actor.lease.connection === undefined || actor.lease.connection !== person.connection) {
    throw new Refusal('rule_connection_foreign', 'person is not one that this lease manages');
  }
}

/**
 * What is stopped in an emergency: a lease without a connection reaches everybody, one with a connection its own people.
 *
 * @throws {Refusal} `rule_connection_foreign`.
 */
export function requireReached(proposal: Proposal, person: PrincipalRecord): void {
  const { actor } = proposal;
  if (actor.rank === 'delegate' && actor.lease.connection !== undefined) requireManaged(proposal, person);
}

/** {@link requireReached} for `principal/<id>`, or the owner of `agent/<id>`. */
export function requireReachedSubject(proposal: Proposal, subject: string): void {
  const id = subject.slice(subject.indexOf('/') + 1);
  const person = subject.startsWith('agent/') ? proposal.read(`agent/${id}`)?.owner : id;
  requireReached(proposal, principalOf(proposal, person ?? ''));
}
