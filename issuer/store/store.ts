import type { Rows, RowWrite } from './table.ts';

/**
 * Where an issuer keeps its accounts. The log (entries, and documents by digest) is the truth; everything else here is
 * a projection of it that can be dropped and rebuilt (law 6), or short-lived memory.
 *
 * Laws, held by every adapter and checked by `test/kit/store-conformance.ts`:
 *
 * S1. Nothing is acknowledged before it is durable: when a promise of a writing method resolves, the change survives
 *     `kill -9` and power loss.
 * S2. `append` is compare-and-set: of any number of concurrent writers with the same `expectedSize`, in any number of
 *     processes, exactly one succeeds. Entries, documents, state changes and directory rows become visible together or not at
 *     all: no person is in the log and not in the directory, or the reverse, whenever the process dies.
 * S3. Entries are never changed, removed or reordered. Entry `n` is what the writer handed over, byte for byte.
 * S4. A stored checkpoint is never replaced by one of smaller size or earlier time, nor by one of the same size and
 *     another root: `saveCheckpoint` answers `false` and changes nothing.
 * S5. `useOnce` takes each key at most once until `expiresAt` has passed, and all keys of a call or none.
 * S6. Accounts are separate: nothing done to one is visible in another. `createAccount` refuses an existing account
 *     (`account_exists`), `openAccount` a missing one (`account_missing`); neither does the other's work.
 * S7. A store that cannot answer throws; it never answers "none" instead.
 * S8. `tie` gives a name to whoever comes first, until `expiresAt` has passed; all others, in any process, get `false`.
 * S9. No two rows of an account share a key or a unique set: a write that would make two is refused as a whole (`row_taken`).
 * S10. An expectation that is not met (`expectRows`) answers `moved`, and nothing of its write is done; row writes are done in
 *     the order given, and what was read before them is theirs to expect.
 * S11. What was removed or replaced is overwritten, not only unlinked; after `scrub` no file of the store holds it.
 */
export interface Store {
  /** @throws {IssuerRefusal} `account_exists`, `store_unavailable`. */
  createAccount(account: string, genesis: Genesis): Promise<AccountStore>;
  /** @throws {IssuerRefusal} `account_missing`, `store_unavailable`. */
  openAccount(account: string): Promise<AccountStore>;
  accounts(): Promise<readonly string[]>;
  close(): Promise<void>;
}

export interface AccountStore extends Rows {
  readonly account: string;
  /** Number of entries. */
  size(): Promise<number>;
  /** Entries `from` to `from + limit - 1`, as far as they exist, in order. */
  entries(from: number, limit: number): Promise<readonly string[]>;
  /**
   * Appends entries and writes rows if the log has `expectedSize` entries and every expectation holds. `moved`: nothing was
   * changed.
   *
   * @throws {IssuerRefusal} `row_taken`, `store_unavailable`; nothing was changed then either.
   */
  append(append: Append): Promise<'appended' | 'moved'>;
  /** Rows alone, whatever the log's size. @throws {IssuerRefusal} as `append`. */
  writeRows(rows: readonly RowWrite[]): Promise<'written' | 'moved'>;
  /** Moves everything out of the write-ahead files, so that what was removed is nowhere (S11). @throws {IssuerRefusal} `store_unavailable`. */
  scrub(): Promise<void>;
  document(digest: string): Promise<string | undefined>;

  /** Projection: world-state key -> RFC 8785 text of its record. */
  state(): Promise<ReadonlyMap<string, string>>;
  /** Replaces the whole projection. */
  replaceState(state: ReadonlyMap<string, string>): Promise<void>;

  checkpoint(): Promise<StoredCheckpoint | undefined>;
  saveCheckpoint(checkpoint: StoredCheckpoint): Promise<boolean>;

  /**
   * Takes all `keys` and answers an empty list; or takes none and answers those that were taken before (or are named
   * twice), in the order given. `now` and `expiresAt` are Unix seconds; keys that expired before `now` may be forgotten.
   */
  useOnce(keys: readonly string[], expiresAt: number, now: number): Promise<readonly string[]>;

  /**
   * Ties `name` to `holder` until `expiresAt` (Unix seconds), if it is tied to nobody. @returns whether it is tied to `holder`
   * now. Ties that ended before `now` may be forgotten.
   */
  tie(name: string, holder: string, expiresAt: number, now: number): Promise<boolean>;
}

export interface Append {
  readonly expectedSize: number;
  /** In order; none where rows alone depend on the state of the log. */
  readonly leaves: readonly string[];
  /** Digest -> RFC 8785 text. */
  readonly documents: ReadonlyMap<string, string>;
  /** World-state records that the entries change: key -> RFC 8785 text. */
  readonly writes: ReadonlyMap<string, string>;
  /** Of the directory, done in this order. */
  readonly rows: readonly RowWrite[];
}

/** The first entry of an account, and the world-state records that it makes. */
export interface Genesis {
  readonly leaf: string;
  readonly writes: ReadonlyMap<string, string>;
}

export interface StoredCheckpoint {
  readonly size: number;
  /** RFC 6962 root, base64url. */
  readonly root: string;
  /** Unix seconds of its signature. */
  readonly time: number;
  /** The signed note. */
  readonly note: string;
}
