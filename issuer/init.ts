import { canonicalJson } from '@bulla/verifier/envelope';
import { accountIdOf, apply, genesisPosition } from '@bulla/verifier/log';
import { openLibsqlStore } from './store/libsql.ts';

export interface InitialisedAccount {
  /** `acct_…`: the hash of the genesis leaf. */
  readonly account: string;
  /** base64url SHA-256 of the genesis leaf: the next entry's `prev`. */
  readonly head: string;
}

/**
 * Creates an account in a database from its genesis leaf. The only thing that creates one: an issuer that is started
 * for an account it does not have refuses.
 *
 * @throws {Refusal} whatever is wrong with the leaf.
 * @throws {IssuerRefusal} `account_exists`, `store_unavailable`.
 */
export async function initAccount(database: string, genesis: string): Promise<InitialisedAccount> {
  const account = accountIdOf(genesis);
  const { hash, writes } = apply(() => undefined, genesisPosition(account), genesis);
  const store = openLibsqlStore(database);
  try {
    const records = new Map([...writes].map(([key, record]) => [key, canonicalJson(record)]));
    await store.createAccount(account, { leaf: genesis, writes: records });
  } finally {
    await store.close();
  }
  return { account, head: hash };
}
