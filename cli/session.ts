import { limits, type Signer } from '@bulla/verifier';
import type { Given } from './command.ts';
import { CliError, describeFailure } from './errors.ts';
import { type AccountEntry, type Home, homeAt, type OwnPerson } from './home.ts';
import { KeyRing } from './keys.ts';
import { Ledger, type LedgerOptions } from './ledger.ts';
import { createOutput, type Output, span } from './output.ts';
import type { Surroundings } from './surroundings.ts';

/** One run of one command: who is asking, where things are kept, where to print. */
export class Session {
  readonly surroundings: Surroundings;
  readonly output: Output;
  readonly home: Home;
  readonly keys: KeyRing;
  /** How the process ends; 0 unless something sets it. */
  exit = 0;
  readonly #options: Given;

  constructor(surroundings: Surroundings, options: Given) {
    this.surroundings = surroundings;
    this.#options = options;
    this.output = createOutput(options.flag('json'), surroundings);
    this.home = homeAt(options.text('home'), surroundings.env);
    this.keys = new KeyRing(
      this.home,
      {
        passphraseFile: options.text('passphraseFile'),
        insecurePlaintextKey: options.flag('insecurePlaintextKey'),
      },
      surroundings,
    );
  }

  /** The account that `--account` names, or the current one. @throws {CliError} `home_missing`, `account_unknown`. */
  get account(): AccountEntry {
    return this.home.account(this.#options.text('account'));
  }

  /** The admin keys that sign: `--sign-with`, or those noted for the account. */
  async admins(): Promise<readonly Signer[]> {
    const named = this.#options.list('signWith');
    const names = named.length > 0 ? named : this.account.adminKeys;
    if (names.length === 0) {
      throw new CliError('key_missing', 'no admin key is noted for this account', {
        hint: 'name one with --sign-with',
      });
    }
    const signers: Signer[] = [];
    for (const name of names) signers.push(await this.keys.signer(name));
    return signers;
  }

  /** Follows the log, to look at. */
  reading<T>(work: (ledger: Ledger) => Promise<T> | T): Promise<T> {
    return this.#withLedger([], work);
  }

  /** Follows the log, to sign on its head. */
  async signing<T>(work: (ledger: Ledger) => Promise<T>): Promise<T> {
    return this.#withLedger(await this.admins(), work);
  }

  /** Who the owner of this home is in the account. @throws {CliError} `request_impossible`. */
  get person(): OwnPerson {
    const { person } = this.account;
    if (person !== undefined) return person;
    throw new CliError('request_impossible', 'this home has no person in the account', {
      hint: 'the mail that invited you says how; if an admin added you: `bulla admin account add --person`; admins use `bulla admin`',
    });
  }

  /** Follows the log, to ask for something as the person of this home: what is appended goes as a request. */
  async asking<T>(work: (ledger: Ledger, person: OwnPerson) => Promise<T>): Promise<T> {
    const { person } = this;
    const signer = await this.keys.signer(person.key);
    return this.#withLedger(
      [],
      (ledger) => work(ledger, person),
      (options) => Ledger.open({ ...options, person: signer }),
    );
  }

  /** As {@link signing} where an admin key is noted or named, else as {@link asking}. */
  async acting<T>(work: (ledger: Ledger) => Promise<T>): Promise<T> {
    const asAdmin = this.#options.list('signWith').length > 0 || this.account.adminKeys.length > 0;
    return asAdmin || this.account.person === undefined ? this.signing(work) : this.asking(work);
  }

  /** As {@link signing}; where the log cannot be followed or not be believed, on the copy of it that is here. */
  async stopping<T>(work: (ledger: Ledger) => Promise<T>): Promise<T> {
    return this.#withLedger(await this.admins(), work, async (options) => {
      try {
        return await Ledger.open({
          ...options,
          timeoutSeconds: Math.min(options.timeoutSeconds, impatience),
        });
      } catch (error) {
        const { code, message } = describeFailure(error);
        this.output.warn(`using the copy of the log that is here: ${message} (${code})`);
        return Ledger.open({ ...options, offline: true });
      }
    });
  }

  #withLedger<T>(
    admins: readonly Signer[],
    work: (ledger: Ledger) => Promise<T> | T,
    open: (options: LedgerOptions & { readonly timeoutSeconds: number }) => Promise<Ledger> = (options) =>
      Ledger.open(options),
  ): Promise<T> {
    const { account, url, readToken } = this.account;
    const timeoutSeconds = this.#options.duration('timeout') ?? 15;
    const { ports } = this.surroundings;
    return this.home.exclusively(account, async (folder) => {
      const ledger = await open({ account, url, readToken, folder, admins, ports, timeoutSeconds });
      try {
        this.#warn(ledger);
        return await work(ledger);
      } finally {
        await ledger.close();
      }
    });
  }

  /** What a person should hear about whatever they came for: leases that end, a log that does not move. */
  #warn(ledger: Ledger): void {
    const now = ledger.now();
    if (ledger.missing !== undefined) this.output.warn(ledger.missing.message);
    for (const { key, left } of endingLeases(ledger, now)) {
      this.output.warn(
        left > 0
          ? `the lease of key ${key} ends in ${span(left)}; renew it with \`bulla admin lease renew ${key}\``
          : `the lease of key ${key} has ended; nothing can be minted under it`,
      );
    }
    if (ledger.age > limits.defaultStalenessSeconds) {
      this.output.warn('the newest checkpoint is old; verifiers refuse by now');
    }
  }
}

const leaseWarningSeconds = 6 * 3600;
/** A stop waits no longer than this for an issuer to show its log. */
const impatience = 3;

/** Leases in force that end soon, and those that ended within the last week. */
function endingLeases(ledger: Ledger, now: number): { readonly key: string; readonly left: number }[] {
  return ledger.names('delegate/').flatMap((key) => {
    const record = ledger.trust.read(`delegate/${key}`);
    if (record?.status !== 'active') return [];
    const left = record.lease.notAfter - now;
    return left < leaseWarningSeconds && left > -7 * 86_400 ? [{ key, left }] : [];
  });
}
