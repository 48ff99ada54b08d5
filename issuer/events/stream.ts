import { createHash } from 'node:crypto';
import { Refusal, type Signer } from '@bulla/verifier';
import type { OutsideKey } from '@bulla/verifier/envelope';
import type { Operation } from '@bulla/verifier/log';
import { IssuerRefusal } from '../errors.ts';
import type { KeySource, PublishedKey } from '../federation/key-source.ts';
import { createRateLimit, type RateLimit } from '../http/rate.ts';
import type { AccountLog } from '../log/account-log.ts';
import type { IssuerPorts, LogLine } from '../ports.ts';
import { eventPositions, seenEvents } from '../store/events.ts';
import type { AccountStore } from '../store/store.ts';
import { addRow, expectRows, putRow, type RowWrite, removeRows } from '../store/table.ts';
import type { EventStreamConfig, SubjectAttribute } from './config.ts';
import {
  actionOf,
  defaultActions,
  type EventAction,
  eventType,
  streamUpdatedType,
  verificationType,
} from './event-types.ts';
import { type EventActor, laneOf, operationsFor } from './operations.ts';
import { findSubjects } from './person.ts';
import { parseSet, readSet, type SecurityEvent, type UnverifiedSet, verifySet } from './set.ts';
import { readSubject } from './subject.ts';

/**
 * What became of a SET that was right. All of them are acknowledged.
 *
 * `applied`    entries were written, or the person was where the event wants them
 * `repeated`   its `jti` was received before; nothing was done
 * `outdated`   something newer of its kind was applied to the person; nothing was done
 * `ignored`    the stream maps it to nothing, or it is about the stream itself
 * `unknown`    nobody here is its subject
 * `ambiguous`  several people here could be its subject, too many for what it does; nothing was done
 */
export type EventOutcome = 'applied' | 'repeated' | 'outdated' | 'ignored' | 'unknown' | 'ambiguous';

export interface EventStreamOptions {
  readonly config: EventStreamConfig;
  /** Holds the lease under which events are applied. */
  readonly signer: Signer;
  readonly keys: KeySource;
  readonly log: AccountLog;
  readonly store: AccountStore;
  readonly ports: IssuerPorts;
}

interface Decided {
  readonly action: EventAction;
  /** For log lines: a type of the tables or of the configuration, else `other`. */
  readonly type: string;
}

interface Effect {
  readonly outcome: EventOutcome;
  /** Whom it is about, as far as they are here. */
  readonly principals: readonly string[];
  readonly ops: readonly Operation[];
  readonly rows: readonly RowWrite[];
}

const repeated: Effect = { outcome: 'repeated', principals: [], ops: [], rows: [] };
const skewSeconds = 60;
/** People whom one event may stop. */
const maxShared = 8;
const received = 'security_event.received';

/** One transmitter's stream of security events: docs/spec/events.md. */
export class EventStream {
  readonly config: EventStreamConfig;
  readonly signer: Signer;
  /** Charged for each SET that is pushed. */
  readonly charge: RateLimit;
  readonly #options: EventStreamOptions;

  constructor(options: EventStreamOptions) {
    this.config = options.config;
    this.signer = options.signer;
    this.charge = createRateLimit(options.config.perMinute, options.ports.now);
    this.#options = options;
  }

  /**
   * Checks a SET, and applies what it says. When this resolves, its `jti` and its effect are durable, both or neither: a
   * transmitter that was not answered delivers it again, to no further effect.
   *
   * @param jti under which it was delivered by polling; it must be the SET's own.
   * @throws {IssuerRefusal} `set_…` where it never will be acceptable; `key_set_unavailable`, `event_not_applied`,
   *   `store_unavailable` where it may be later.
   */
  async receive(compact: string, jti?: string): Promise<EventOutcome> {
    const { config, ports } = this.#options;
    const set = parseSet(compact);
    verifySet(set, await this.#keysFor(set));
    const { issuer, audience, maxAgeSeconds } = config;
    const event = readSet(set.claims, { issuer, audience, maxAgeSeconds, now: ports.now() });
    if (jti !== undefined && jti !== event.jti) {
      throw new IssuerRefusal('set_malformed', 'SET was delivered under another `jti` than its own');
    }
    const decided = this.#decide(event);
    const { outcome, principals } = await this.#write(event, decided);
    const people = principals.join(' ');
    this.#tell(outcome === 'unknown' || outcome === 'ambiguous' ? 'warn' : 'info', received, {
      ...decided,
      outcome,
      ...(people !== '' && { people }),
    });
    return outcome;
  }

  async #keysFor({ keyId }: UnverifiedSet): Promise<readonly OutsideKey[]> {
    const { keys, config } = this.#options;
    const fits = ({ id, key }: PublishedKey): boolean =>
      (keyId === undefined || id === undefined || id === keyId) &&
      (config.keys?.includes(key.thumbprint) ?? true);
    if (keys.isOld || keys.usable?.keys.some(fits) !== true) {
      await keys.refresh((reason) => this.#tell('warn', 'event_stream.keys_unavailable', { reason }));
    }
    const set = keys.usable;
    if (set === undefined) {
      const reason = keys.failure ?? 'no answer';
      throw new IssuerRefusal('key_set_unavailable', `key set of the transmitter cannot be had: ${reason}`);
    }
    return set.keys.filter(fits).map(({ key }) => key);
  }

  /** One SET does one thing: of several types in it, those that are not ignored must agree. */
  #decide({ events }: SecurityEvent): Decided {
    const decided = events.map(([uri, payload]): Decided => {
      const type = eventType(uri);
      const { map } = this.config;
      const mapped = Object.hasOwn(map, type) ? map[type] : defaultActions.get(type);
      const known = mapped !== undefined || type === verificationType || type === streamUpdatedType;
      if (type === streamUpdatedType) this.#tellStatus(payload['status']);
      return { action: actionOf(type, payload, mapped ?? 'ignore'), type: known ? type : 'other' };
    });
    const acting = decided.filter(({ action }) => action !== 'ignore');
    const [first = decided[0]] = acting;
    if (first === undefined || acting.some(({ action }) => action !== first.action)) {
      throw new IssuerRefusal('set_malformed', 'events of the SET contradict each other');
    }
    return first;
  }

  async #write(event: SecurityEvent, { action }: Decided): Promise<Effect> {
    const { log, store, signer, config } = this.#options;
    const jti = createHash('sha256').update(event.jti).digest('base64url');
    const seen = { stream: config.name, jti };
    const expires = Math.ceil(event.issuedAt) + config.maxAgeSeconds + skewSeconds;
    let effect: Effect = repeated;
    try {
      await log.write(signer, async (read, time) => {
        effect = repeated;
        if ((await store.count(seenEvents, seen)) > 0) return { ops: [] };
        const actor = { read, delegate: signer.publicKey.thumbprint };
        effect = await this.#effectOf(event, action, actor);
        const { ops, rows } = effect;
        const old = removeRows(seenEvents, { expires: { below: Math.floor(time) - skewSeconds } });
        return { ops, rows: () => [old, addRow(seenEvents, { ...seen, expires }), ...rows] };
      });
    } catch (cause) {
      // Another process of this issuer received it at the same moment.
      if (cause instanceof IssuerRefusal && cause.code === 'row_taken') return repeated;
      throw this.#notApplied(cause);
    }
    return effect;
  }

  async #effectOf(event: SecurityEvent, action: EventAction, actor: EventActor): Promise<Effect> {
    const none = { principals: [], ops: [], rows: [] };
    if (action === 'ignore') return { ...none, outcome: 'ignored' };
    // What stops somebody for a while stops everybody who may be meant: whoever shares an address must not shield its owner.
    const stops = action === 'suspend' || action === 'end-sessions';
    const shared = stops ? maxShared : 1;
    const everybody = await this.#find(event);
    const principals = stops && everybody.length > shared ? await this.#named(event, everybody) : everybody;
    if (principals.length === 0) return { ...none, outcome: 'unknown' };
    if (principals.length > shared) return { ...none, principals, outcome: 'ambiguous' };
    const ops: Operation[] = [];
    const rows: RowWrite[] = [];
    let outcome: EventOutcome = 'outdated';
    for (const principal of principals) {
      const position = await this.#position(event, principal, action);
      if (position === undefined) continue;
      outcome = 'applied';
      ops.push(...operationsFor(action, principal, actor));
      rows.push(...position);
    }
    return { outcome, principals, ops, rows };
  }

  async #find({ subject }: SecurityEvent, without?: SubjectAttribute): Promise<readonly string[]> {
    const { config, signer, store, log } = this.#options;
    const demands = { rules: config.subjects, issuers: config.subjectIssuers ?? [config.issuer] };
    // Whom the lease does not reach is nobody here: else one of them who claims an address would have the whole refused.
    const reach = log.read(`delegate/${signer.publicKey.thumbprint}`)?.lease.connection;
    const view = { rows: store, read: log.read, connection: config.connection ?? reach };
    const queries = readSubject(subject, demands).filter(({ attribute }) => attribute !== without);
    return findSubjects(queries, view);
  }

  /** Addresses are whatever IdPs write, to as many people as they like; a name is taken once in a connection. */
  async #named(event: SecurityEvent, everybody: readonly string[]): Promise<readonly string[]> {
    const named = await this.#find(event, 'email');
    return named.length > 0 ? named : everybody;
  }

  /** Moves the person's lane forward. Undefined: something newer was applied. */
  async #position(
    { happenedAt }: SecurityEvent,
    principal: string,
    action: EventAction,
  ): Promise<readonly RowWrite[] | undefined> {
    const lane = { stream: this.config.name, principal, lane: laneOf(action) };
    const before = await this.#options.store.first(eventPositions, lane);
    const happened = Math.floor(happenedAt * 1000);
    if (before !== undefined && happened < before.happened) return undefined;
    const asRead =
      before === undefined ? expectRows(eventPositions, lane, 0) : expectRows(eventPositions, before);
    return [asRead, putRow(eventPositions, { ...lane, happened })];
  }

  #notApplied(cause: unknown): unknown {
    if (!(cause instanceof Refusal)) return cause;
    this.#tell('error', received, { outcome: 'refused', code: cause.code });
    return new IssuerRefusal('event_not_applied', `the trust log refuses it: ${cause.code}`, { cause });
  }

  #tellStatus(status: unknown): void {
    const known = ['enabled', 'paused', 'disabled'].find((each) => each === status) ?? 'other';
    this.#tell(known === 'enabled' ? 'info' : 'warn', 'event_stream.updated', { status: known });
  }

  #tell(level: LogLine['level'], event: string, members: Readonly<Record<string, string | undefined>>): void {
    const { log, config, ports } = this.#options;
    ports.log({ level, event, account: log.account, stream: config.name, ...members });
  }
}
