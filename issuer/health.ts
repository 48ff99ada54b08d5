import { liveDelegate } from '@bulla/verifier/log';
import type { Account } from './account.ts';
import type { Connection } from './provisioning/connection.ts';

/** Leases last a day by default: an hour is time to find out why they are not renewed. */
const delegateNoticeSeconds = 3600;

interface AccountHealth {
  readonly account: string;
  /** Empty: it can mint. */
  readonly reasons: readonly string[];
  readonly size: number;
  readonly checkpointAgeSeconds: number | null;
  readonly leaseSecondsLeft: number | null;
  /** Leases of connections, Users API and event streams: without one, nobody is provisioned or suspended that way. */
  readonly delegates: readonly DelegateHealth[];
}

type Delegate = Pick<Connection, 'name' | 'signer'>;

interface DelegateHealth {
  /** `connection/<name>`, `events/<stream>` or `users-api`. */
  readonly name: string;
  readonly state: 'lease_missing' | 'lease_ending' | 'ok';
  readonly leaseSecondsLeft: number | null;
}

export interface Health {
  /** True only if every account can mint. */
  readonly healthy: boolean;
  readonly accounts: readonly AccountHealth[];
}

/** Asks every account whether it can mint now, and if not why. */
export async function checkHealth(
  accounts: Iterable<Account>,
  maxCheckpointAgeSeconds: number,
): Promise<Health> {
  const checked = await Promise.all(
    Array.from(accounts, (account) => checkAccount(account, maxCheckpointAgeSeconds)),
  );
  return { healthy: checked.every(({ reasons }) => reasons.length === 0), accounts: checked };
}

async function checkAccount(account: Account, maxAgeSeconds: number): Promise<AccountHealth> {
  const { log, mint, store, ports } = account;
  const age = log.checkpoint === undefined ? undefined : Math.max(0, ports.now() - log.checkpoint.time);
  const left = mint.leaseSecondsLeft();
  const storeFailure = await store.size().then(
    () => undefined,
    () => 'store_unavailable',
  );
  const reasons = [
    storeFailure,
    mint.failure,
    log.checkpointFailure,
    age === undefined || age > maxAgeSeconds ? 'checkpoint_old' : undefined,
  ].filter((reason) => reason !== undefined);
  return {
    account: log.account,
    reasons: [...new Set(reasons)],
    size: log.world.size,
    checkpointAgeSeconds: age === undefined ? null : Math.floor(age),
    leaseSecondsLeft: left === undefined ? null : Math.floor(left),
    delegates: delegatesOf(account).map((source) => checkDelegate(account, source)),
  };
}

function delegatesOf({ connections, usersApi, events }: Account): readonly Delegate[] {
  const api = usersApi === undefined ? [] : [{ name: 'users-api', signer: usersApi.signer }];
  return [...connections.values(), ...api, ...events.sources];
}

/** Says it well before, and does not fail the whole issuer for it: minting goes on. */
function checkDelegate({ log, ports }: Account, { name, signer }: Delegate): DelegateHealth {
  const now = ports.now();
  const lease = liveDelegate(log.read, signer.publicKey.thumbprint, now)?.lease;
  if (lease === undefined) return { name, state: 'lease_missing', leaseSecondsLeft: null };
  const left = Math.floor(lease.notAfter - now);
  return { name, state: left <= delegateNoticeSeconds ? 'lease_ending' : 'ok', leaseSecondsLeft: left };
}
