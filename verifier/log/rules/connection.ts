import { Refusal } from '../../errors.ts';
import type { Lease } from '../operations.ts';
import type { Proposal } from '../proposal.ts';
import type { PrincipalRecord } from '../records.ts';
import { principalOf } from './known.ts';

/** A delegate manages only people of its own connection. @throws {Refusal} `rule_connection_foreign`. */
export function requireManaged({ actor }: Proposal, person: PrincipalRecord): void {
  if (actor.rank !== 'delegate') return;
  if (actor.lease.connection === undefined || actor.lease.connection !== person.connection) throw foreign();
}

/** {@link requireReachedBy}, where a delegate asks. */
export function requireReached({ actor }: Proposal, person: PrincipalRecord): void {
  if (actor.rank === 'delegate') requireReachedBy(actor.lease, person);
}

/**
 * What is stopped in an emergency, or let in on a delegate's word: a lease without a connection reaches everybody, one with a connection its own people.
 *
 * @throws {Refusal} `rule_connection_foreign`.
 */
export function requireReachedBy({ connection }: Lease, person: PrincipalRecord): void {
  if (connection !== undefined && connection !== person.connection) throw foreign();
}

/** {@link requireReached} for `principal/<id>`, or the owner of `agent/<id>`. */
export function requireReachedSubject(proposal: Proposal, subject: string): void {
  const id = subject.slice(subject.indexOf('/') + 1);
  const person = subject.startsWith('agent/') ? proposal.read(`agent/${id}`)?.owner : id;
  requireReached(proposal, principalOf(proposal, person ?? ''));
}

function foreign(): Refusal {
  return new Refusal('rule_connection_foreign', 'person is not one that this lease manages');
}
