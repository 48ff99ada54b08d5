import { limits, type Ports, Refusal, systemPorts } from '@bulla/verifier';
import {
  type Change,
  createFollower,
  type Follower,
  parseCheckpoint,
  type TrustView,
} from '@bulla/verifier/log';
import type { PolicySetDocument } from '@bulla/verifier/policy';
import { CliError } from './errors.ts';
import type { IssuerAddress } from './issuer-client.ts';

export interface FollowOptions extends IssuerAddress {
  /** Folder for this process's own copy of the log. One process at a time. */
  readonly folder: string;
  /** A `bulla.lock`: nothing below it is believed, and it is raised. */
  readonly lock?: string;
  /** Do with the copy on the disk, and ask nobody: for when the issuer is gone or not to be believed. */
  readonly offline?: boolean;
  readonly ports?: Ports;
  /** Longest wait for the log to be followed, and for a checkpoint with an entry, seconds. Default 15. */
  readonly timeoutSeconds?: number;
}

/** One leaf of the log as it was applied here. */
export interface LedgerEntry {
  readonly seq: number;
  /** base64url SHA-256 of the leaf. */
  readonly hash: string;
  /** Absent where the leaf broke a rule. */
  readonly change?: Change;
  /** Code of the rule it broke. */
  readonly refused?: string;
}

/** An own copy of an account's log: every entry replayed under the rules that verifiers run, up to a signed checkpoint. */
export class FollowedLog {
  readonly trust: TrustView;
  readonly #options: FollowOptions;
  readonly #ports: Ports;
  readonly #follower: Follower;
  readonly #entries: readonly LedgerEntry[];

  private constructor(
    options: FollowOptions,
    ports: Ports,
    follower: Follower,
    entries: readonly LedgerEntry[],
  ) {
    this.#options = options;
    this.#ports = ports;
    this.#follower = follower;
    this.#entries = entries;
    this.trust = follower.trust;
  }

  /**
   * Follows the log up to the checkpoint that the issuer shows now.
   *
   * @throws {CliError} `log_unreachable`, and {Refusal} why the log is not to be believed.
   */
  static async open(options: FollowOptions): Promise<FollowedLog> {
    const ports = options.ports ?? systemPorts;
    const size = options.offline === true ? undefined : await shownSize(options, ports);
    const entries: LedgerEntry[] = [];
    const state = { answers: 0, alarm: undefined as string | undefined };
    const follower = createFollower({
      account: options.account,
      url: options.url,
      readToken: options.readToken,
      directory: options.folder,
      transport: 'poll',
      pollSeconds: 0.1,
      ports: {
        now: ports.now,
        fetch: async (input, init) => {
          if (options.offline === true) throw new CliError('log_unreachable', 'nobody is asked');
          const response = await ports.fetch(input, init);
          if (response.ok && isAboutLog(input)) state.answers += 1;
          return response;
        },
      },
      ...(options.lock !== undefined && { lock: options.lock }),
      onAlarm: ({ code }) => {
        state.alarm = code;
      },
      onEntry: ({ seq, hash, change, refusal }) => {
        entries[seq] = { seq, hash, ...(change && { change }), ...(refusal && { refused: refusal.code }) };
      },
    });
    const log = new FollowedLog(options, ports, follower, entries);
    // The copy on the disk is ready at once; only an answer that was taken in makes it a present one. One that was begun may
    // not have been; one before the newest was.
    const present = (): boolean =>
      size === undefined ||
      state.answers > 1 ||
      (state.answers === 1 && log.age < limits.defaultStalenessSeconds);
    follower.start();
    try {
      const late = (): never => {
        throw new CliError('log_unreachable', `the log at \`${options.url}\` could not be followed`, {
          ...(state.alarm !== 'log_unreachable' && { reason: state.alarm }),
          hint: 'is the issuer running, and is the read token still valid? That of a person is void while they are suspended',
        });
      };
      await log.#within(follower.ready, late);
      await log.until((trust) => present() && trust.size >= (size ?? 0), late);
    } catch (error) {
      await follower.close();
      throw error;
    }
    return log;
  }

  async close(): Promise<void> {
    await this.#follower.close();
  }

  /** Every leaf so far, those without effect too. */
  get entries(): readonly LedgerEntry[] {
    return this.#entries;
  }

  /** Names of the records under `prefix` (`principal/`, `slot/`, …), without it, in the order they came to be. */
  names(prefix: string): readonly string[] {
    const keys = this.#entries.flatMap(({ change }) => [...(change?.writes.keys() ?? [])]);
    return [...new Set(keys)].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
  }

  /** A published set that the log names, as soon as it is here. @throws {CliError} `log_unreachable`. */
  async policySet(digest: string): Promise<PolicySetDocument> {
    const late = (): never => {
      throw new CliError('log_unreachable', 'the policy set could not be fetched in time');
    };
    await this.until((trust) => trust.policySet(digest) !== undefined, late);
    return this.trust.policySet(digest) ?? late();
  }

  /** Seconds since the log signed the newest checkpoint that is fully applied here. */
  get age(): number {
    return this.trust.age(this.#ports.now());
  }

  /** When the log signed that checkpoint, Unix seconds. */
  get checkpointTime(): number {
    const now = this.#ports.now();
    return Math.max(0, Math.round(now - this.trust.age(now)));
  }

  /** Unix seconds. */
  now(): number {
    return Math.floor(this.#ports.now());
  }

  /** Waits for the log to be so, at most `timeoutSeconds` (default: the option). `late` throws what to say then. */
  until(condition: (trust: TrustView) => boolean, late: () => never, timeoutSeconds?: number): Promise<void> {
    return this.#within(this.#follower.until(condition), late, timeoutSeconds);
  }

  async #within(
    work: Promise<void>,
    late: () => never,
    timeoutSeconds: number = this.#options.timeoutSeconds ?? 15,
  ): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const expired = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), timeoutSeconds * 1000);
    });
    // Whoever loses the race must not end the process.
    work.catch(() => undefined);
    try {
      if ((await Promise.race([work, expired])) === 'late') late();
    } catch (error) {
      if (error instanceof Refusal && error.code === 'follower_closed') late();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Entries with their checkpoint, not a policy set. */
function isAboutLog(input: string | URL | Request): boolean {
  return new URL(input instanceof Request ? input.url : input).pathname.includes('/log/');
}

const shownSizeSeconds = 5;

/** Size of the checkpoint that the issuer shows now: only how far to follow at least, so nothing rests on it. */
async function shownSize(
  { account, url, timeoutSeconds = shownSizeSeconds }: FollowOptions,
  ports: Ports,
): Promise<number> {
  try {
    const signal = AbortSignal.timeout(Math.min(shownSizeSeconds, timeoutSeconds) * 1000);
    const response = await ports.fetch(`${url}/a/${account}/log/checkpoint`, { signal, redirect: 'manual' });
    if (response.ok) return parseCheckpoint(await response.text()).size;
    throw new CliError('log_unreachable', `the issuer at \`${url}\` answered ${response.status}`, {
      hint: 'does it host this account?',
    });
  } catch (cause) {
    if (cause instanceof CliError) throw cause;
    throw new CliError('log_unreachable', `the issuer at \`${url}\` did not answer`, {
      cause,
      hint: 'is it running? `bulla serve` starts one',
    });
  }
}
