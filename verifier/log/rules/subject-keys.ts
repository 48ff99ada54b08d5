import { Refusal } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { Proposal } from '../proposal.ts';
import { keyChainLength } from '../standing.ts';

/**
 * Revokes every key of a subject that `survivors` does not name.
 *
 * @returns the keys left, ascending.
 * @throws {Refusal} `rule_key_unknown` for a survivor that the subject does not have.
 */
export function keepKeys(
  proposal: Proposal,
  keys: readonly string[],
  survivors: readonly string[],
): readonly string[] {
  if (!survivors.every((key) => keys.includes(key))) {
    throw new Refusal('rule_key_unknown', 'surviving key is not one of the subject, or is revoked');
  }
  for (const key of keys) {
    if (!survivors.includes(key)) markRevoked(proposal, key, null);
  }
  return [...survivors].sort();
}

export function markRevoked(proposal: Proposal, thumbprint: string, since: number | null): void {
  const record = proposal.read(`key/${thumbprint}`);
  if (record === undefined) throw new Refusal('rule_key_unknown', 'no such key');
  proposal.put(`key/${thumbprint}`, {
    ...record,
    status: 'revoked',
    revokedSince: since ?? record.revokedSince,
  });
}

/** Lets one more key in for a subject. @returns the subject's keys, ascending. */
export function addKey(
  proposal: Proposal,
  keys: readonly string[],
  jwk: unknown,
  subject: string,
): readonly string[] {
  if (keys.length >= limits.maxKeysPerSubject) throw new Refusal('rule_keys_too_many', 'too many keys');
  const key = proposal.enterKey(jwk, subject);
  if (keyChainLength(proposal.read, key) > limits.maxKeyChain) {
    throw new Refusal('rule_key_chain', 'too many keys between this one and one added by an admin');
  }
  return [...keys, key].sort();
}
