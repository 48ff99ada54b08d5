import { limits, type Signer } from '@bulla/verifier';
import { isCapped, type Lease, type LeaseCaps } from '@bulla/verifier/log';
import type { Confirmed, Ledger } from './ledger.ts';

/** What a lease may bring in and take away where nobody says more: enough for a small company, too little to empty a large one. */
const defaultCaps: LeaseCaps = {
  provisions: 1000,
  provisionsPerHour: 200,
  removals: 200,
  removalsPerHour: 50,
};

/** What a service key is lent; whatever is left out is nothing, except times, and caps where it can bring people in or take away. */
export type LeaseRequest = Partial<Omit<Lease, 'notAfter' | 'caps'>> & {
  readonly caps?: Partial<LeaseCaps>;
  /** How long from now. Default 24 h. */
  readonly seconds?: number;
};

/** Lends a service key what an issuer needs: minting for some audiences, signing some operations. */
export function grantLease(ledger: Ledger, key: Signer, request: LeaseRequest): Promise<Confirmed> {
  const lease = leaseOf(request, ledger.now());
  return ledger.append({ type: 'delegate.grant', key: key.publicKey.jwk, lease }, { cosigners: [key] });
}

export function leaseOf(request: LeaseRequest, now: number): Lease {
  const { seconds = limits.defaultLeaseSeconds, operations = [] } = request;
  const mints = operations.includes('capability.mint');
  const { connection, domains, logins = [], caps } = request;
  return {
    operations: [...new Set(operations)].sort(),
    groups: [...new Set(request.groups)].sort(),
    attributes: [...new Set(request.attributes)].sort(),
    audiences: [...new Set(request.audiences)].sort(),
    maxLifetimeSeconds: request.maxLifetimeSeconds ?? (mints ? 900 : 0),
    notAfter: now + seconds,
    maxEntriesPerHour: request.maxEntriesPerHour ?? 600,
    maxEntries: request.maxEntries ?? 10_000,
    ...(connection !== undefined && { connection, domains: [...new Set(domains)].sort() }),
    ...(logins.length > 0 && { logins: [...new Set(logins)].sort() }),
    ...((operations.some(isCapped) || caps !== undefined) && { caps: { ...defaultCaps, ...caps } }),
  };
}

/** Prolongs a lease from now on. `key`: thumbprint. */
export function renewLease(ledger: Ledger, key: string, seconds: number): Promise<Confirmed> {
  return ledger.append({ type: 'delegate.renew', key, notAfter: ledger.now() + seconds });
}
