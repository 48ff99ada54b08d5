import { Refusal } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { closureOf, requireWritableGroup } from '../groups.ts';
import type { Lease } from '../operations.ts';
import type { Proposal } from '../proposal.ts';
import type { DelegateRecord } from '../records.ts';
import { accountOf } from './account.ts';
import { unspent } from './lease.ts';
import { leasable } from './permitted.ts';
import type { Rules } from './rule.ts';

/** Admins, delegates and the log key: who may sign what. */
export const authorityRules: Rules<
  'admin.add' | 'admin.remove' | 'delegate.grant' | 'delegate.renew' | 'delegate.revoke' | 'log.key'
> = {
  'admin.add': (proposal, op) => {
    const account = accountOf(proposal);
    if (account.admins >= limits.maxAdmins) throw new Refusal('rule_admins_too_many', 'too many admins');
    proposal.put(`admin/${proposal.enterKey(op.key, 'admin')}`, { status: 'active' });
    proposal.put('account', { ...account, admins: account.admins + 1 });
  },

  'admin.remove': (proposal, op) => {
    const account = accountOf(proposal);
    if (proposal.read(`admin/${op.key}`)?.status !== 'active') {
      throw new Refusal('rule_admin_unknown', 'no active admin has this key');
    }
    if (account.admins - 1 < account.threshold) {
      throw new Refusal('rule_threshold_unmet', 'fewer admins than the threshold would remain');
    }
    proposal.put(`admin/${op.key}`, { status: 'removed' });
    revokeKey(proposal, op.key);
    proposal.put('account', { ...account, admins: account.admins - 1 });
  },

  'delegate.grant': (proposal, op) => {
    requireLease(proposal, op.lease);
    const delegate = proposal.enterKey(op.key, 'delegate');
    proposal.put(`delegate/${delegate}`, unspent(op.lease, proposal.time));
  },

  'delegate.renew': (proposal, op) => {
    const record = activeDelegate(proposal, op.key);
    requireEnd(proposal, op.notAfter);
    proposal.put(`delegate/${op.key}`, { ...record, lease: { ...record.lease, notAfter: op.notAfter } });
  },

  'delegate.revoke': (proposal, op) => {
    const record = activeDelegate(proposal, op.key);
    proposal.put(`delegate/${op.key}`, { ...record, status: 'revoked' });
    revokeKey(proposal, op.key);
  },

  'log.key': (proposal, op) => {
    if (op.key.kty !== 'OKP') throw new Refusal('rule_log_key_kind', 'log key is not Ed25519');
    const account = accountOf(proposal);
    revokeKey(proposal, account.logKey);
    proposal.put('account', { ...account, logKey: proposal.enterKey(op.key, 'log') });
  },
};

function activeDelegate(proposal: Proposal, key: string): DelegateRecord {
  const record = proposal.read(`delegate/${key}`);
  if (record?.status !== 'active') throw new Refusal('rule_delegate_unknown', 'no delegate with this key');
  return record;
}

function requireLease(proposal: Proposal, lease: Lease): void {
  if (!lease.operations.every((operation) => leasable.has(operation))) {
    throw new Refusal('rule_lease_operation', 'lease lists an operation that no delegate may sign');
  }
  if (lease.operations.includes('capability.mint') !== lease.maxLifetimeSeconds > 0) {
    throw new Refusal(
      'rule_lease_lifetime',
      '`maxLifetimeSeconds` and `capability.mint` do not fit together',
    );
  }
  const whole = lease.connection !== undefined && lease.domains !== undefined && lease.caps !== undefined;
  if (lease.operations.includes('principal.provision') && !whole) {
    throw new Refusal(
      'rule_lease_connection',
      'lease that provisions people lacks `connection`, `domains` or `caps`',
    );
  }
  for (const group of lease.groups) {
    if (!closureOf(proposal.read, [group]).has(group)) {
      throw new Refusal('rule_group_unknown', 'lease lists a group that does not exist');
    }
    requireWritableGroup(proposal.read, group, lease.groups);
  }
  requireEnd(proposal, lease.notAfter);
}

function requireEnd(proposal: Proposal, notAfter: number): void {
  if (notAfter <= proposal.time || notAfter > proposal.time + limits.maxLeaseSeconds) {
    throw new Refusal('rule_lease_length', 'lease does not end between now and `maxLeaseSeconds` from now');
  }
}

function revokeKey(proposal: Proposal, thumbprint: string): void {
  const key = proposal.read(`key/${thumbprint}`);
  if (key !== undefined) proposal.put(`key/${thumbprint}`, { ...key, status: 'revoked' });
}
