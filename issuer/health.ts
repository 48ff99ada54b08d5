import type { Account } from './account.ts';

interface AccountHealth {
  readonly account: string;
  /** Empty: it can mint. */
  readonly reasons: readonly string[];
  readonly size: number;
  readonly checkpointAgeSeconds: number | null;
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

async function checkAccount(
  { log, mint, store, ports }: Account,
  maxAgeSeconds: number,
): Promise<AccountHealth> {
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
  };
}
