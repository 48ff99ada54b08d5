import type { PrincipalRecord, Read } from './records.ts';
import { deedStands } from './standing.ts';

/**
 * Whether who may recover a person's key is still what they said: neither the key that set it nor the one that brought the recovery
 * key in was revoked `since` then.
 */
export function recoveryStands(read: Read, recovery: NonNullable<PrincipalRecord['recovery']>): boolean {
  if (!deedStands(read, recovery.setBy, recovery.setSeq)) return false;
  if (recovery.key === null) return true;
  const key = read(`key/${recovery.key}`);
  return key?.status === 'active' && deedStands(read, key.addedBy, key.addedSeq);
}
