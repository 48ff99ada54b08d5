import type { Signer } from '@bulla/verifier';
import type { AccountConfig } from '../account-config.ts';
import { ConfigError } from '../errors.ts';
import { createDocumentFetch } from '../federation/fetch-document.ts';
import { KeySource } from '../federation/key-source.ts';
import type { AccountLog } from '../log/account-log.ts';
import type { IssuerPorts } from '../ports.ts';
import type { Connection } from '../provisioning/connection.ts';
import { loadSecret, loadSigner } from '../secrets.ts';
import type { AccountStore } from '../store/store.ts';
import { EventPoller } from './poll.ts';
import { EventStream } from './stream.ts';

export interface EventStreamsOptions {
  readonly config: AccountConfig;
  /** Whose keys no stream may share, and whose people a stream may be about. */
  readonly connections: ReadonlyMap<string, Connection>;
  readonly log: AccountLog;
  readonly store: AccountStore;
  readonly ports: IssuerPorts;
}

/** The streams of security events of one account. */
export class EventStreams {
  readonly #streams: ReadonlyMap<string, EventStream>;
  readonly #pollers: readonly EventPoller[];

  /** Asks nobody anything yet. @throws {ConfigError} for a key or token file that cannot be used, a shared key, an unknown connection. */
  constructor({ config, connections, log, store, ports }: EventStreamsOptions) {
    const fetchDocument = createDocumentFetch({
      lookup: ports.lookup,
      timeoutSeconds: config.keySetTimeoutSeconds,
    });
    const cooldownSeconds = config.keySetCooldownSeconds;
    const taken = new Set([...connections.values()].map(({ signer }) => signer.publicKey.thumbprint));
    const streams = config.eventStreams.map((stream) => {
      const signer = loadSigner('eventStreams.delegateKeyFile', stream.delegateKeyFile);
      requireOwnKey(signer, taken);
      if (stream.connection !== undefined && !connections.has(stream.connection)) {
        throw new ConfigError('`eventStreams`: a stream is about a connection that is not configured');
      }
      const keys = new KeySource(
        { kind: 'ssf', ...stream },
        { fetchDocument, now: ports.now, cooldownSeconds },
      );
      return new EventStream({ config: stream, signer, keys, log, store, ports });
    });
    this.#streams = new Map(streams.map((stream) => [stream.config.name, stream]));
    this.#pollers = streams.flatMap((stream) => {
      const { delivery, dangerouslyAllowPrivateAddresses } = stream.config;
      if (!('poll' in delivery)) return [];
      loadSecret('eventStreams.tokenFile', delivery.poll.tokenFile);
      const reach = dangerouslyAllowPrivateAddresses ? 'private' : 'public';
      const line: IssuerPorts['log'] = (each) => ports.log({ ...each, account: log.account });
      return [new EventPoller({ stream, config: delivery.poll, reach, fetchDocument, log: line })];
    });
  }

  /** Whose leases the streams act under. */
  get sources(): readonly Pick<Connection, 'name' | 'signer'>[] {
    return [...this.#streams.values()].map(({ config, signer }) => ({
      name: `events/${config.name}`,
      signer,
    }));
  }

  get(name: string): EventStream | undefined {
    return this.#streams.get(name);
  }

  /** Begins to poll where streams are polled. */
  start(): void {
    for (const poller of this.#pollers) poller.start();
  }

  /** Stops polling; waits for what is being applied. */
  async close(): Promise<void> {
    await Promise.all(this.#pollers.map((poller) => poller.close()));
  }
}

/** The log tells suspensions apart by key: with a shared one a stream could end what another source began. */
function requireOwnKey({ publicKey }: Signer, taken: Set<string>): void {
  if (taken.has(publicKey.thumbprint)) {
    throw new ConfigError(
      '`eventStreams`: a stream shares its delegate key with another stream or a connection',
    );
  }
  taken.add(publicKey.thumbprint);
}
