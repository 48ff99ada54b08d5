import { isDeepStrictEqual } from 'node:util';
import { type Ports, type Signer, systemPorts } from '@bulla/verifier';
import {
  apply,
  type Change,
  leafHash,
  type Operation,
  parseRequest,
  requestSubject,
  signEntry,
  signRequest,
  type TrustView,
} from '@bulla/verifier/log';
import type { PolicySetDocument } from '@bulla/verifier/policy';
import { Acknowledged } from './acknowledged.ts';
import { CliError } from './errors.ts';
import { FollowedLog, type FollowOptions, type LedgerEntry } from './followed-log.ts';
import { postEntry, postRequest } from './issuer-client.ts';

export interface LedgerOptions extends FollowOptions {
  /** The admins that sign: the first signs the entry, the others add their signatures. May be empty to read only. */
  readonly admins: readonly Signer[];
  /** Where no admin signs: the person whose requests the issuer wraps. */
  readonly person?: Signer;
}

/** An entry that this ledger itself saw covered by a checkpoint of the log. */
export interface Confirmed extends LedgerEntry {
  readonly change: Change;
  /** Size and root of the checkpoint under which it was seen. */
  readonly checkpoint: { readonly size: number; readonly root: string };
}

/** What goes with an operation. */
export interface AppendOptions {
  /** New keys that prove possession. */
  readonly cosigners?: readonly Signer[];
  readonly documents?: readonly PolicySetDocument[];
}

type Content = { readonly op: Operation } | { readonly request: string };

/** A leaf and the place it was signed for. */
export interface Signed {
  readonly seq: number;
  readonly leaf: string;
}

/** Where the issuer says that something stands: its word alone. */
interface Promised {
  readonly seq: number;
  readonly hash: string;
}

const maxHeadAgeSeconds = 60;
const maxAttempts = 8;
/** A hostile issuer may let us wait; verifiers get a stop no later than this. */
const offerSeconds = 3;
const maxOffers = 3;
const maxRequests = 3;
const requestSeconds = 300;

/**
 * An admin's or a person's own copy of an account's trust log. It replays every entry under the same rules as a verifier;
 * an admin signs only on a head that was followed here and whose checkpoint is fresh; and an entry is called done only when
 * a checkpoint that covers it was seen: an issuer's word for it is not enough.
 */
export class Ledger {
  readonly #options: LedgerOptions;
  readonly #ports: Ports;
  readonly #log: FollowedLog;
  readonly #acknowledged: Acknowledged;
  /** Why nothing may be appended: the issuer acknowledged an entry that its log lacks. */
  readonly missing: CliError | undefined;

  private constructor(options: LedgerOptions, log: FollowedLog, acknowledged: Acknowledged) {
    this.#options = options;
    this.#ports = options.ports ?? systemPorts;
    this.#log = log;
    this.#acknowledged = acknowledged;
    this.missing = options.offline === true ? undefined : acknowledged.missingIn(log.entries);
  }

  /**
   * Follows the log to the checkpoint that the issuer shows.
   *
   * @throws {CliError} `log_unreachable`, and {Refusal} why the log is not to be believed.
   */
  static async open(options: LedgerOptions): Promise<Ledger> {
    const acknowledged = new Acknowledged(options.folder);
    return new Ledger(options, await FollowedLog.open(options), acknowledged);
  }

  close(): Promise<void> {
    return this.#log.close();
  }

  get trust(): TrustView {
    return this.#log.trust;
  }

  /** Every leaf so far, those without effect too. */
  get entries(): readonly LedgerEntry[] {
    return this.#log.entries;
  }

  /** Names of the records under `prefix` (`principal/`, `slot/`, …), without it, in the order they came to be. */
  names(prefix: string): readonly string[] {
    return this.#log.names(prefix);
  }

  /** A published set that the log names, as soon as it is here. @throws {CliError} `log_unreachable`. */
  policySet(digest: string): Promise<PolicySetDocument> {
    return this.#log.policySet(digest);
  }

  /** Seconds since the log signed the newest checkpoint that is fully applied here. */
  get age(): number {
    return this.#log.age;
  }

  /** Unix seconds. */
  now(): number {
    return this.#log.now();
  }

  /**
   * Signs an operation as admin, appends it, and waits for a checkpoint that covers it. When somebody else was first,
   * it is signed anew on the new head, if the rules still allow it there. Without an admin, the person asks for it.
   *
   * @throws {Refusal} the rule that forbids it, before anything is sent (a person learns it from the issuer).
   * @throws {CliError} `entry_missing` (an earlier entry), `log_stale`, `issuer_refused`, `issuer_unreachable`, `head_contended`, `not_in_checkpoint`,
   *   `entry_skipped`, `subject_unknown`, `request_impossible`.
   */
  append(op: Operation, { cosigners = [], documents = [] }: AppendOptions = {}): Promise<Confirmed> {
    const { admins, person } = this.#options;
    if (admins.length === 0 && person !== undefined) return this.appendRequest(op, person, cosigners);
    return this.#append({ op }, cosigners, documents);
  }

  /**
   * As {@link append}, for what the holder of a key asks for: they sign a request, and an admin wraps it where there is one here,
   * else the issuer. A subject that changed meanwhile is asked about anew.
   */
  async appendRequest(op: Operation, holder: Signer, cosigners: readonly Signer[] = []): Promise<Confirmed> {
    for (let attempt = 1; ; attempt += 1) {
      const { size } = this.trust;
      try {
        return await this.sendRequest(this.signRequest(op, holder, cosigners));
      } catch (error) {
        const changed = error instanceof CliError && error.reason === 'rule_subject_version';
        if (!changed || attempt === maxRequests) throw error;
        await this.#seen(size, offerSeconds);
      }
    }
  }

  /**
   * Signs a request about its subject as it is now, good for `lifetimeSeconds`. Sends nothing: others may have to sign too.
   *
   * @throws {CliError} `request_impossible`, `subject_unknown`.
   */
  signRequest(
    op: Operation,
    holder: Signer,
    cosigners: readonly Signer[] = [],
    lifetimeSeconds: number = requestSeconds,
  ): string {
    const { account } = this.#options;
    const subject = requestSubject(this.trust.read, op);
    if (subject === undefined)
      throw new CliError('request_impossible', 'a person cannot ask for this, or nobody has this key');
    const record = this.trust.read(subject);
    if (record === undefined) throw new CliError('subject_unknown', 'the trust log has no such subject');
    const notAfter = this.now() + lifetimeSeconds;
    const draft = { account, op, subject, subjectVersion: record.version, notAfter };
    return signRequest(draft, holder, cosigners);
  }

  /** Hands over a request that everybody has signed, and waits as {@link append} does. */
  async sendRequest(request: string): Promise<Confirmed> {
    if (this.#options.admins.length > 0) return this.#append({ request }, [], []);
    if (this.missing !== undefined) throw this.missing;
    const promised = await postRequest(this.#options, this.#ports, request);
    const entry = await this.#confirmPromised(promised);
    const { op } = parseRequest(request);
    if (isDeepStrictEqual(entry.change.op, op)) return entry;
    throw new CliError('entry_missing', 'the issuer named an entry that is not the one asked for');
  }

  /**
   * For `bulla stop`: signs an operation for the newest head known here, fresh or not, and offers it to the issuer for a
   * moment, so that it is a leaf that the log can take. A leaf comes back whatever the issuer does; `failure` says why
   * the issuer did not take it. `silently` sends nothing.
   *
   * @throws {Refusal} the rule that forbids it.
   */
  async offer(op: Operation, silently: boolean): Promise<Signed & { readonly failure?: unknown }> {
    let signed = this.#sign({ op }, []);
    if (silently) return signed;
    try {
      for (let attempt = 0; attempt < maxOffers; attempt += 1) {
        const entry = { leaf: signed.leaf, documents: [] };
        const answer = await postEntry(this.#options, this.#ports, entry, offerSeconds);
        if (answer === 'accepted') return signed;
        await this.#seen(signed.seq, offerSeconds);
        signed = this.#sign({ op }, []);
      }
      throw new CliError('head_contended', 'others kept appending first');
    } catch (failure) {
      return { ...signed, failure };
    }
  }

  /** Waits for a checkpoint that covers a leaf which the issuer took. @throws as {@link append}. */
  confirm({ seq, leaf }: Signed): Promise<Confirmed> {
    return this.#confirmPromised({ seq, hash: leafHash(leaf) });
  }

  async #confirmPromised({ seq, hash }: Promised): Promise<Confirmed> {
    this.#acknowledged.add({ seq, hash, time: this.now() });
    if (this.#options.offline === true)
      throw new CliError('not_in_checkpoint', 'the log is not followed now');
    await this.#seen(seq);
    const entry = this.entries[seq];
    if (entry?.hash !== hash) {
      throw new CliError(
        'entry_missing',
        'the issuer acknowledged the entry, and the log has another in its place',
        { hint: 'treat the issuer as hostile; `bulla stop` restricts without it' },
      );
    }
    this.#acknowledged.clear(seq);
    const { change } = entry;
    if (change === undefined) {
      throw new CliError('entry_skipped', 'the entry is in the log without effect', {
        reason: entry.refused,
      });
    }
    const { size, root } = this.trust;
    return { ...entry, change, checkpoint: { size, root } };
  }

  async #append(
    content: Content,
    cosigners: readonly Signer[],
    documents: readonly PolicySetDocument[],
  ): Promise<Confirmed> {
    if (this.missing !== undefined) throw this.missing;
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      this.#requireFresh();
      const signed = this.#sign(content, cosigners);
      const answer = await postEntry(this.#options, this.#ports, { leaf: signed.leaf, documents });
      if (answer === 'accepted') return this.confirm(signed);
      await this.#seen(signed.seq);
    }
    throw new CliError('head_contended', 'others kept appending first', { hint: 'try again' });
  }

  #sign(content: Content, cosigners: readonly Signer[]): Signed {
    const { account, admins } = this.#options;
    const [first, ...others] = admins;
    if (first === undefined) throw new CliError('key_missing', 'no admin key to sign with');
    const seq = this.trust.size;
    const prevHash = this.entries[seq - 1]?.hash ?? null;
    const lastTime = this.entries.findLast(({ change }) => change !== undefined)?.change?.time ?? 0;
    const time = Math.max(this.now(), lastTime);
    const further = 'request' in content ? [] : [...others, ...cosigners];
    const prev = prevHash === null ? {} : { prev: prevHash };
    const leaf = signEntry({ account, seq, ...prev, time, ...content }, first, further);
    apply(this.trust.read, { account, seq, prevHash, lastTime }, leaf);
    return { seq, leaf };
  }

  #requireFresh(): void {
    if (this.age <= maxHeadAgeSeconds) return;
    throw new CliError('log_stale', 'the newest checkpoint is too old to sign on', {
      hint: 'the issuer no longer signs checkpoints, or somebody withholds them; `bulla stop` restricts without it',
    });
  }

  #seen(seq: number, timeoutSeconds?: number): Promise<void> {
    return this.#log.until(
      (trust) => trust.size > seq,
      () => {
        throw new CliError('not_in_checkpoint', `no checkpoint with entry ${seq} was seen in time`, {
          hint: 'assume that it has no effect; look with `bulla log show`, and use `bulla stop` if it cannot wait',
        });
      },
      timeoutSeconds,
    );
  }
}
