import { verifyJws } from '../envelope/jws.ts';
import { Refusal } from '../errors.ts';
import { parseEntry, type UnverifiedEntry } from './entry.ts';
import type { Operation } from './operations.ts';
import { audienceKey, type Read, revokedKey } from './records.ts';
import { storedKey } from './stored-keys.ts';

/** An admin-signed restriction that was handed over directly, because the log may be withholding it. */
export interface DirectStop {
  readonly leaf: string;
  readonly hash: string;
  /** The state keys that it names. */
  readonly keys: readonly string[];
  /** `key.revoke { since }`: what the key did from that seq on falls with it. */
  readonly since?: { readonly key: string; readonly seq: number };
}

/**
 * Checks a leaf as a direct stop: of this account, a restrictive operation, signed by at least the threshold of
 * admin keys in force in `read` and by nobody else. Its place in the log (`seq`, `prev`) and its time do not matter.
 *
 * `admins`: `active` for a stop that comes in; `any` for one that this process accepted before, so that removing an
 * admin does not lift it.
 *
 * @throws {Refusal} a code of parseEntry, `log_incomplete` while there is no state to check against,
 *   `rule_account_mismatch`, `stop_not_restrictive`, `stop_unauthorised`, `jws_signature_invalid`, `jws_algorithm_wrong`.
 */
export function parseStop(read: Read, account: string, leaf: string, admins: 'active' | 'any'): DirectStop {
  const entry = parseEntry(leaf);
  if (entry.account !== account)
    throw new Refusal('rule_account_mismatch', 'stop belongs to another account');
  const { op } = entry.content;
  const keys = op === undefined ? [] : stoppedKeys(op);
  if (op === undefined || keys.length === 0) {
    throw new Refusal('stop_not_restrictive', 'operation is not one that only takes away');
  }
  requireAdmins(read, entry, admins);
  const stop = { leaf, hash: entry.hash, keys };
  return op.type === 'key.revoke' && op.since !== undefined
    ? { ...stop, since: { key: op.key, seq: op.since } }
    : stop;
}

function requireAdmins(read: Read, entry: UnverifiedEntry, admins: 'active' | 'any'): void {
  const account = read('account');
  if (account === undefined) throw new Refusal('log_incomplete', 'no state to check the stop against yet');
  const signatures = [entry.statement.primary, ...entry.statement.further];
  for (const { thumbprint, jws } of signatures) {
    const status = read(`admin/${thumbprint}`)?.status;
    const key = storedKey(read, thumbprint);
    if (key === undefined || status === undefined || (admins === 'active' && status !== 'active')) {
      throw new Refusal('stop_unauthorised', 'stop is signed by a key that is not an admin key');
    }
    verifyJws(jws, key);
  }
  if (signatures.length < account.threshold) {
    throw new Refusal('stop_unauthorised', 'too few admins have signed the stop');
  }
}

/** The state keys that a restrictive operation names; none for any other operation. */
function stoppedKeys(op: Operation): readonly string[] {
  switch (op.type) {
    case 'principal.suspend':
    case 'principal.deprovision':
      return [`principal/${op.principal}`];
    case 'agent.suspend':
    case 'agent.revoke':
      return [`agent/${op.agent}`];
    case 'key.revoke':
      return [`key/${op.key}`];
    case 'delegate.revoke':
      return [`delegate/${op.key}`, `key/${op.key}`];
    case 'policy.retire':
      return [`slot/${op.slot}`];
    case 'audience.retire':
      return [audienceKey(op.audience)];
    case 'federation.distrust':
      return [`federation/${op.name}`];
    case 'capability.revoke':
      return [revokedKey(op.jti)];
    default:
      return [];
  }
}

/** The direct stops in force: each until the log applies exactly the leaf that was handed over. */
export class DirectStops {
  readonly #read: Read;
  readonly #held = new Map<string, DirectStop>();
  /** Hashes of restrictive leaves that the log has applied: handing one of them over again stops nothing. */
  readonly #done = new Set<string>();
  #keys: ReadonlySet<string> = new Set();

  constructor(read: Read) {
    this.#read = read;
  }

  get leaves(): string[] {
    return Array.from(this.#held.values(), ({ leaf }) => leaf);
  }

  /** @returns whether anything changed. */
  hold(stop: DirectStop): boolean {
    if (this.#done.has(stop.hash) || this.#held.has(stop.hash)) return false;
    this.#held.set(stop.hash, stop);
    this.#index();
    return true;
  }

  /** The log applied this leaf. @returns whether a stop was lifted by it. */
  applied(hash: string, op: Operation): boolean {
    if (stoppedKeys(op).length === 0) return false;
    this.#done.add(hash);
    if (!this.#held.delete(hash)) return false;
    this.#index();
    return true;
  }

  #index(): void {
    this.#keys = new Set(Array.from(this.#held.values(), ({ keys }) => keys).flat());
  }

  /** Whether a stop names this state key, or a key from which it came. */
  stops(key: string): boolean {
    if (this.#held.size === 0) return false;
    if (this.#keys.has(key)) return true;
    if (key.startsWith('key/')) {
      const record = this.#read(key as `key/${string}`);
      return record !== undefined && this.#deedFell(record.addedBy, record.addedSeq);
    }
    if (!key.startsWith('agent/')) return false;
    const record = this.#read(key as `agent/${string}`);
    return record !== undefined && this.#deedFell(record.adoptedWith, record.adoptedSeq);
  }

  /** As `deedStands` of standing.ts, for stops instead of entries; the chain there is bounded, and so is this. */
  #deedFell(by: string | null, doneAt: number): boolean {
    const since = Array.from(this.#held.values(), (stop) => stop.since).filter((each) => each !== undefined);
    let thumbprint = by;
    let seq = doneAt;
    for (let links = 0; since.length > 0 && thumbprint !== null && links < maxLinks; links += 1) {
      const name: string = thumbprint;
      if (since.some((each) => each.key === name && seq >= each.seq)) return true;
      const record = this.#read(`key/${name}`);
      thumbprint = record?.addedBy ?? null;
      seq = record?.addedSeq ?? 0;
    }
    return false;
  }
}

const maxLinks = 64;
